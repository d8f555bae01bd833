"""``repod promote``: builds of one repository into another."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click

from repod.commands.changes import read_carried
from repod.commands.common import json_option, person, settings_option, why_option
from repod.config import Repository, Settings, load
from repod.documents import in_words
from repod.doors import Store
from repod.errors import Refused
from repod.generation import Generation
from repod.headers import Headers
from repod.history import History
from repod.ledger import Ledger
from repod.log import open_log
from repod.places import open_store
from repod.promote import Giver, Plan, Promotion, Taker, Wanted
from repod.promotion import Gates, Move
from repod.related import open_relations
from repod.repodata.listing import StoredListings
from repod.repodata.taken import TakenDocuments
from repod.show import show
from repod.wiring import pause, rules_of
from repod.workplace import Workplace, open_workplace


@click.command()
@settings_option
@json_option
@click.argument("names", metavar="[NAME[-EVR]]...", nargs=-1)
@click.option("--from", "source", metavar="A", required=True, help="The repository that lists the builds.")
@click.option("--to", "target", metavar="B", required=True, help="The repository that is to list them.")
@click.option("--advisory", "advisories", metavar="ID", multiple=True, help="An advisory, and the builds it lists.")
@click.option("--generation", type=int, metavar="N", help="As A was then; without names, all that it listed.")
@click.option("--siblings", is_flag=True, help="Also all builds of the same source packages.")
@click.option("--force", is_flag=True, help="Also where B lists a newer build.")
@why_option
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
def promote(
    config: Path, source: str, target: str, why: str, *, force: bool, dry_run: bool, as_json: bool, **what: Any
) -> None:
    """Add builds of repository A to repository B, without building or uploading them again.

    A build is said as NAME (its newest build), NAME-EVR, or in full as NAME-EVR.ARCH. Modular builds
    bring their module stream along. With --generation alone all that A listed comes, with its
    groups, module streams and advisories; B loses nothing.

    Answers 3, with every reason, where a gate of B ([repository.promotion]) or its acceptance says no;
    nothing is published then.
    """
    wanted = Wanted(**what)
    _refuse_nonsense(wanted, source, target)
    settings = load(config)
    giver, taker = settings.named(source), settings.named(target)
    log = open_log(settings.log.format, settings.log.level)
    with _opened(settings, giver, taker, log, force=force) as promotion:
        if dry_run:
            plan, generation = promotion.plan(wanted), None
        else:
            plan, generation = promotion.run(wanted, actor=person(os.environ), why=why)
    _answer(source, target, plan, generation, as_json=as_json)
    if plan.refusals:
        for line in plan.refusals:
            click.echo(f"repod: {line}", err=True)
        sys.exit(Refused.exit_code)


def _refuse_nonsense(wanted: Wanted, source: str, target: str) -> None:
    if wanted.whole and wanted.generation is None:
        msg = "say what to promote: NAME..., --advisory ID, or --generation N for all that A listed then"
        raise click.UsageError(msg)
    if wanted.whole and wanted.siblings:
        msg = "--siblings: a whole generation has them all; leave it out, or say a NAME"
        raise click.UsageError(msg)
    if source == target:
        msg = f"--from and --to are both {source}; expected two repositories"
        raise click.UsageError(msg)


@contextmanager
def _opened(settings: Settings, giver: Repository, taker: Repository, log: Any, *, force: bool) -> Iterator[Promotion]:
    """The two repositories; that which builds come from is only read."""
    with (
        open_workplace(settings, taker.name, log, os.environ) as work,
        open_relations(settings, taker, work.store, work.workspace, pause) as relations,
    ):
        yield Promotion(
            giver=_giver(giver, open_store(settings, giver), work),
            taker=Taker(
                name=taker.name,
                store=work.store,
                repodata=work.repodata,
                publisher=work.publisher,
                headers=work.headers,
                rules=rules_of(taker),
                gates=_gates(taker, force=force),
                published=work.signer.published,
                relations=relations,
                plain=partial(read_carried, work.store),
            ),
            papers=TakenDocuments(),
            clock=time.time,
            pause=pause,
        )


def _giver(repository: Repository, store: Store, work: Workplace) -> Giver:
    return Giver(
        name=repository.name,
        store=store,
        history=History(store),
        builds=StoredListings(store),
        ledger=Ledger(store, pause),
        headers=Headers(store=store, rpms=work.rpms, changelogs=work.repository.changelogs, workspace=work.workspace),
        plain=partial(read_carried, store),
    )


def _gates(repository: Repository, *, force: bool) -> Gates:
    gates = repository.promotion
    return Gates(
        sources=gates.sources,
        min_age=gates.min_age,
        label=gates.label,
        dependencies=gates.dependencies,
        replace=repository.duplicates == "replace",
        force=force,
    )


def _answer(source: str, target: str, plan: Plan, generation: Generation | None, *, as_json: bool) -> None:
    origin = f"{source}@{plan.of.number}"
    published = generation is not None and (plan.on is None or generation.number != plan.on.number)
    if as_json:
        row = {
            "from": origin,
            "to": target,
            "generation": generation.number if generation else None,
            "published": published,
            "builds": [_row(move) for move in plan.moves],
            "documents": [edit.what for edit in plan.edits],
            "present": [str(package.nevra) for package in plan.present],
            "left_out": [str(package.nevra) for package in plan.left],
            "refused": plan.refusals,
        }
        show([row], as_json=True, empty="")
        return
    rows = [{"build": str(m.package.nevra), "on hosts": str(m.effect), "gates": _gate_words(m)} for m in plan.moves]
    rows += [{"build": str(p.nevra), "on hosts": "is there already", "gates": "-"} for p in plan.present]
    show(rows, as_json=False, empty="no builds")
    if plan.left:
        arches = ", ".join(sorted({package.nevra.arch for package in plan.left}))
        click.echo(f"left out: {len(plan.left)} builds for {arches}, which {target} does not take")
    if not plan.refusals:
        click.echo(_summary(plan, origin, target, generation, published=published))


def _row(move: Move) -> dict[str, Any]:
    return {
        "package": str(move.package.nevra),
        "sha256": move.package.pkgid,
        "effect": move.effect.kind,
        "of": str(move.effect.of) if move.effect.of else None,
        "passed": list(move.passed),
        "shut": list(move.shut),
        "refused": list(move.refused),
    }


def _gate_words(move: Move) -> str:
    words = [("shut: ", move.shut), ("passed: ", move.passed)]
    return "; ".join(word + ", ".join(gates) for word, gates in words if gates)


def _summary(plan: Plan, origin: str, target: str, generation: Generation | None, *, published: bool) -> str:
    what = _counted(plan.moves, plan)
    if generation is None:
        return f"would promote {what} from {origin} to {target}" if what else f"{target} has it all: nothing to do"
    if not published:
        return f"generation {generation.number} of {target} has it all: nothing to do"
    return f"promoted {what} from {origin}: generation {generation.number} of {target}"


def _counted(moves: Sequence[Move], plan: Plan) -> str:
    """As the record of the generation says it."""
    if not moves:
        return in_words(plan.edits)
    names = str(moves[0].package.nevra) if len(moves) == 1 else f"{len(moves)} packages"
    return f"{names} with {in_words(plan.edits)}" if plan.edits else names
