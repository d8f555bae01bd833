"""``repod promote``: builds of one repository into another."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from repod.commands.common import by, deeds, settings_option
from repod.config import load
from repod.office import Deed
from repod.options import json_option, leave, say, why_option
from repod.package import Nevra
from repod.promote import Wanted
from repod.show import show


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
    deed = deeds(load(config)).promote(source, target, wanted, by(why), force=force, dry_run=dry_run)
    if as_json:
        show(deed.rows, as_json=True, empty="")
    else:
        _print(deed)
    for line in deed.rows[0]["refused"]:
        say(line)
    leave(deed)


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


def _print(deed: Deed) -> None:
    (row,) = deed.rows
    show(list(_rows(row, deed)), as_json=False, empty="no builds")
    if row["left_out"]:
        arches = ", ".join(sorted({Nevra.parse(nevra).arch for nevra in row["left_out"]}))
        click.echo(f"left out: {len(row['left_out'])} builds for {arches}, which {deed.repository} does not take")
    if not deed.refused:
        click.echo(deed.text)


def _rows(row: Mapping[str, Any], deed: Deed) -> Iterator[dict[str, str]]:
    for build, effect in zip(row["builds"], deed.facts["effects"], strict=True):
        yield {"build": build["package"], "on hosts": effect, "gates": _gate_words(build)}
    for nevra in row["present"]:
        yield {"build": nevra, "on hosts": "is there already", "gates": "-"}


def _gate_words(build: Mapping[str, Any]) -> str:
    words = [("shut: ", build["shut"]), ("passed: ", build["passed"])]
    return "; ".join(word + ", ".join(gates) for word, gates in words if gates)
