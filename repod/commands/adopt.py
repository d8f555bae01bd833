"""``repod adopt``: takes over a repository that another tool made."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from repod.adopt import Adopted, Adoption, Plan, Tell, blocked
from repod.adoption import Left
from repod.commands.common import audited, settings_option
from repod.config import load
from repod.elsewhere import Foreign, Source
from repod.errors import RepodError
from repod.log import open_log
from repod.options import json_option, person, repository_argument, why_option
from repod.repodata.foreign import read
from repod.scratch import scratch
from repod.show import show
from repod.source import open_source
from repod.wiring import System, pause
from repod.wording import counted

_PARALLEL = 8


@click.command()
@settings_option
@json_option
@repository_argument
@click.argument("where", metavar="DIR-OR-URL")
@click.option("--skip-missing", "skip", is_flag=True, help="Leave out packages that are missing or damaged.")
@why_option
@click.option("--dry-run", is_flag=True, help="Only read, and tell what would be done.")
def adopt(config: Path, name: str, where: str, why: str, *, skip: bool, dry_run: bool, as_json: bool) -> None:
    """Take over into REPO a repository that another tool made.

    DIR-OR-URL is the folder that holds its repodata/: a directory or s3://BUCKET/PREFIX/, which may be
    REPO's own store, or an http, https or file URL. Answers 1 where packages are missing or damaged; nothing is
    published then, and after mending, the same command carries on.
    """
    settings = load(config)
    store = settings.named(name).store
    log = open_log(settings.log.format, settings.log.level)
    with (
        open_source(where, pause, settings.s3) as source,
        audited(settings, "adopt", name, {"from": source.name, "skip_missing": skip}, why, dry=dry_run) as outcome,
        System(settings, log=log, observe=lambda *_: None, environ=os.environ) as system,
        scratch(system.workspace) as documents,
        _progress() as tell,
    ):
        foreign = read(source, documents)
        wired, root = system.repositories[name], source.path("")
        adoption = Adoption(
            source=source,
            foreign=foreign,
            store=wired.store,
            repodata=wired.repodata,
            publisher=wired.publisher,
            workspace=system.workspace,
            own=source.name == store or (root is not None and root.resolve() == Path(store).resolve()),
            parallel=_PARALLEL,
            tell=tell,
        )
        plan = adoption.plan()
        done = None
        if not dry_run:
            system.signer.refuse_expired(time.time())
            text = f"adopted from {source.name}" + (f": {why}" if why else "")
            done = adoption.carry_out(plan, actor=person(os.environ), why=text, skip=skip)
            if done.generation:
                wired.write_host_files(system.signer)
        stopped = blocked((done or plan).left, skip=skip)
        outcome.end(
            f"{counted(done.packages if done else 0, 'package')} taken over", RepodError.exit_code if stopped else 0
        )
    _answer(name, source, foreign, plan, done, as_json=as_json)
    if stopped:
        click.echo(f"repod: {name}: {_stopped((done or plan).left)}", err=True)
        sys.exit(RepodError.exit_code)


@contextlib.contextmanager
def _progress() -> Iterator[Tell]:
    """A bar on the terminal, and nothing where there is none."""
    if not sys.stderr.isatty():
        yield lambda _doing, _done, _all: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading documents", total=None)
        yield lambda doing, done, count: bar.update(task, description=doing, completed=done, total=count)


def _stopped(left: Sequence[Left]) -> str:
    kinds = {kind: sum(one.kind == kind for one in left) for kind in ("missing", "damaged", "taken")}
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
    remedy = "restore them at the source, or leave them out with --skip-missing"
    if kinds["taken"]:
        remedy = "another build has their place here: remove it first, or adopt into an empty repository"
    return f"packages cannot be taken over ({counts}), so nothing was published; {remedy}"


def _answer(name: str, source: Source, foreign: Foreign, plan: Plan, done: Adopted | None, *, as_json: bool) -> None:
    generation = done.generation if done else None
    left = (done or plan).left
    row: dict[str, Any] = {
        "repository": name,
        "source": source.name,
        "generation": generation.number if generation else None,
        "packages": done.packages if done else len(plan.found),
        "bytes": plan.size,
        "present": plan.present,
        "documents": sorted(one.type for one in foreign.carried),
        "kept": list(done.kept) if done else [],
        "left_out": [{"kind": o.kind, "package": str(o.nevra), "path": o.href, "why": o.text} for o in left],
        "notes": list(foreign.notes),
    }
    if as_json:
        show([row], as_json=True, empty="")
        return
    if left:
        show(row["left_out"], as_json=False, empty="")
    for note in foreign.notes:
        click.echo(f"note: {note}")
    for kind in row["kept"]:
        click.echo(f"note: {kind} stays as {name} had it already; the one of {source.name} is another")
    if done is None or generation:
        click.echo(_summary(row))
    if generation:
        click.echo(
            "The packages keep their own signatures; those that hosts with gpgcheck=1 would refuse: "
            f"repod verify {name}"
        )


def _summary(row: dict[str, Any]) -> str:
    carried = f" and {', '.join(row['documents'])}" if row["documents"] else ""
    packages = f"{counted(row['packages'], 'package')} ({decimal(row['bytes'])}){carried} from {row['source']}"
    present = f"; {row['present']} were published already" if row["present"] else ""
    if row["generation"] is None:
        return f"would adopt {packages}{present}"
    if row["present"] and not row["packages"]:
        held = f"{counted(row['present'], 'package')} of {row['source']}"
        return f"generation {row['generation']} of {row['repository']} holds {held} already"
    return f"adopted {packages} as generation {row['generation']} of {row['repository']}{present}"
