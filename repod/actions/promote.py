"""Builds of one repository into another."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from repod.actions.changes import read_carried
from repod.actions.means import Means
from repod.config import Repository
from repod.documents import in_words
from repod.doors import Store
from repod.errors import Misconfigured, Refused
from repod.generation import Generation
from repod.headers import Headers
from repod.history import History
from repod.ledger import Ledger
from repod.office import By, Deed
from repod.places import open_store
from repod.promote import Giver, Plan, Promotion, Taker, Wanted
from repod.promotion import Gates, Move
from repod.related import open_relations
from repod.repodata.listing import StoredListings
from repod.repodata.taken import TakenDocuments
from repod.wiring import pause, rules_of
from repod.wording import counted
from repod.workplace import Workplace


def promote(means: Means, source: str, target: str, wanted: Wanted, by: By, *, force: bool, dry_run: bool) -> Deed:
    """Add builds of ``source`` to ``target``; see ``Deeds.promote``."""
    _refuse_nonsense(wanted, source, target)
    settings = means.settings
    with _opened(means, settings.named(source), settings.named(target), force=force) as promotion:
        if dry_run:
            plan, generation = promotion.plan(wanted), None
        else:
            plan, generation = promotion.run(wanted, actor=by.actor, why=by.why)
    return _deed(source, target, plan, generation)


def _refuse_nonsense(wanted: Wanted, source: str, target: str) -> None:
    if wanted.whole and wanted.generation is None:
        msg = "nothing is named to be promoted; expected names, advisories, or a generation for all that it lists"
        raise Misconfigured(msg)
    if wanted.whole and wanted.siblings:
        msg = "siblings: a whole generation has them all; leave it out, or name builds"
        raise Misconfigured(msg)
    if source == target:
        msg = f"source and target are both {source}; expected two repositories"
        raise Misconfigured(msg)


@contextmanager
def _opened(means: Means, giver: Repository, taker: Repository, *, force: bool) -> Iterator[Promotion]:
    """The two repositories; that which builds come from is only read."""
    with (
        means.workplace(taker.name) as work,
        open_relations(means.settings, taker, work.store, work.workspace, pause) as relations,
    ):
        yield Promotion(
            giver=_giver(giver, open_store(means.settings, giver), work),
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


def _deed(source: str, target: str, plan: Plan, generation: Generation | None) -> Deed:
    origin = f"{source}@{plan.of.number}"
    published = generation is not None and (plan.on is None or generation.number != plan.on.number)
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
    refused = bool(plan.refusals)
    return Deed(
        repository=target,
        generation=generation.number if generation and published else None,
        rows=[row],
        refused=refused,
        facts={"effects": [str(move.effect) for move in plan.moves]},
        text=_refusal(plan, target) if refused else _summary(plan, origin, target, generation, published=published),
        code=Refused.exit_code if refused else 0,
    )


def _refusal(plan: Plan, target: str) -> str:
    first, *others = plan.refusals
    return f"{target} does not take it: {first}" + (f" (and {counted(len(others), 'reason')} more)" if others else "")


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
