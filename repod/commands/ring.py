"""``repod ring``: which builds the hosts of a ring are to run, for hosts that look for themselves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from repod.actions.rings import rings
from repod.commands.common import by, deeds, json_option, repository_argument, settings_option, why_option
from repod.config import load
from repod.office import Deed
from repod.rings import RingChange
from repod.show import show
from repod.values import Seconds

_RING = click.argument("ring_name", metavar="RING")


@click.group()
def ring() -> None:
    """Say which builds hosts in pull mode are to run, ring by ring (repod-agent on hosts)."""


class _Duration(click.ParamType[int]):
    """A time such as 30m or 4h, in seconds."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See ``click.ParamType``."""
        try:
            return int(TypeAdapter(Seconds).validate_python(value))
        except ValidationError:
            self.fail(f"expected a duration such as 30m, 4h or 1d, found {value!r}", param, ctx)


@ring.command("set")
@settings_option
@json_option
@repository_argument
@_RING
@click.argument("names", metavar="[BUILD]...", nargs=-1)
@click.option("--percent", type=click.IntRange(0, 100), help="So many of its hosts, always the same ones first.")
@click.option("--spread", type=_Duration(), help="Time over which these begin; 1h for a new ring.")
@click.option("--window", "windows", multiple=True, metavar="WINDOW", help="When hosts may; repeat it. '': always.")
@click.option("--on-failure", type=click.Choice(["downgrade", "stay"]), help="After a health check that fails.")
@click.option("--check/--no-check", default=None, help="Whether only hosts with a health check update.")
@why_option
def set_(config: Path, name: str, ring_name: str, names: Sequence[str], why: str, *, as_json: bool, **how: Any) -> None:
    """Make hosts of RING run a BUILD of REPO: NAME (its newest), NAME-EVR or NAME-EVR.ARCH.

    Without a BUILD it names what it named, and the rest is changed. A WINDOW is such as 'Mon-Fri 22:00-04:00',
    by the clock of the host, or with ' UTC' at its end.
    """
    windows = tuple(filter(None, how.pop("windows"))) if any(how["windows"]) else () if how.pop("windows") else None
    change = RingChange(names=names, windows=windows, **how)
    _show(deeds(load(config)).ring(name, ring_name, change, by(why)), as_json=as_json)


@ring.command("list")
@settings_option
@json_option
@repository_argument
def list_(config: Path, name: str, *, as_json: bool) -> None:
    """List the rings of REPO."""
    found = rings(load(config), name)
    show(found["rings"] if as_json else [_brief(row) for row in found["rings"]], as_json=as_json, empty="no rings")


@ring.command("remove")
@settings_option
@json_option
@repository_argument
@_RING
@why_option
def remove(config: Path, name: str, ring_name: str, why: str, *, as_json: bool) -> None:
    """Remove RING: its hosts stay as they are."""
    deed = deeds(load(config)).ring(name, ring_name, None, by(why))
    show(deed.rows, as_json=as_json, empty="")


def _pausing(word: str, text: str, *, paused: bool) -> None:
    @ring.command(word, help=text)
    @settings_option
    @json_option
    @repository_argument
    @_RING
    @why_option
    def pausing(config: Path, name: str, ring_name: str, why: str, *, as_json: bool) -> None:
        _show(deeds(load(config)).ring(name, ring_name, RingChange(paused=paused), by(why)), as_json=as_json)


_pausing("pause", "Let no host of RING begin any more; those that have begun finish.", paused=True)
_pausing("resume", "Let hosts of RING go on.", paused=False)


def _show(deed: Deed, *, as_json: bool) -> None:
    show(deed.rows if as_json else [_brief(row) for row in deed.rows], as_json=as_json, empty="")


def _brief(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A ring for a person."""
    return {
        "ring": row["ring"],
        "builds": "\n".join(build["nevra"] for build in row["builds"]),
        "percent": row["percent"],
        "since": row["phases"][-1]["since"],
        "spread": _span(row["spread"]),
        "windows": "\n".join(row["windows"]) or "any time",
        "state": "paused" if row["paused"] else "runs",
        "by": row["actor"],
    }


def _span(seconds: int) -> str:
    for length, unit in ((3600, "h"), (60, "min")):
        if seconds and seconds % length == 0:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
