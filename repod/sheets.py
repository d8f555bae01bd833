"""Answers as a person reads them: what both command lines print of questions and changes, from plain values alone.

A machine gets the values as they are (``--json``); both command lines then say the same, word for word.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from repod import office
from repod.office import Deed, State
from repod.package import Nevra, Origin
from repod.show import card, show
from repod.wording import counted

Row = Mapping[str, Any]

SOUND = "sound: everything it lists is there, unaltered and signed"
_BUILDS = 20
"""Builds that a person is shown of one generation; a machine gets all."""

_STATE = ("repository", "generation", "packages", "published", "fresh_until", "inbox", "rejected", "url")
_KINDS = ("added", "removed", "upgraded", "downgraded", "replaced")


def show_states(states: Sequence[State], *, as_json: bool) -> None:
    """Each repository in a row."""
    rows = [{key: getattr(state, key) for key in _STATE} for state in states]
    show(rows, as_json=as_json, empty="no repositories")


def show_packages(rows: Sequence[office.Row], streams: Mapping[str, Sequence[str]], *, as_json: bool) -> None:
    """Listed packages, with the module streams of those that have any."""
    shown = [
        {
            "package": row.package,
            "size": row.size,
            "sha256": row.sha256,
            "path": row.path,
            "module": list(streams.get(row.package, ())),
        }
        for row in rows
    ]
    show(shown, as_json=as_json, empty="no packages")


def show_history(rows: Sequence[Row], package: str, *, as_json: bool) -> None:
    """Generations; ``package``: the name that was asked for, or empty."""
    empty = f"nothing is known of {package}" if package else "nothing published yet"
    show(rows if as_json else list(map(_brief, rows)), as_json=as_json, empty=empty)


def _brief(row: Row) -> Row:
    """A row for a person: long lists cut, origins in words."""
    sources = [_source(Origin(**origin)) or "-" for origin in row["from"]]
    return {
        **row,
        "added": _cut(row["added"]),
        "from": _cut(sources) if any(source != "-" for source in sources) else None,
        "removed": _cut(row["removed"] or ()),
    }


def _source(origin: Origin) -> str:
    """Where a build came from, in a word or two; empty where that is unknown."""
    words = {"rollback": f"generation {origin.of}", "unknown": ""}
    return words.get(origin.how, origin.of)


def _cut(texts: Sequence[str]) -> list[str]:
    more = len(texts) - _BUILDS
    return [*texts[:_BUILDS], f"and {more} more"] if more > 1 else list(texts)


def show_builds(rows: Sequence[Row], *, as_json: bool) -> None:
    """All that is known of builds, one below the other."""
    if as_json:
        show(rows, as_json=True, empty="")
        return
    for number, row in enumerate(rows):
        click.echo(("\n" if number else "") + row["package"])
        card(_story(row))


def _story(row: Row) -> Row:
    """The story for a person."""
    return {
        "listed": _listing(row),
        "came": [line for coming in row["came"] for line in _came(coming)] or "not known any more",
        "signed": [f"{one['time']} by {one['key']}" for one in row["signed"]],
        "sha256": row["sha256"],
        "size": f"{_decimal(row['size'])} ({row['size']} bytes)" if row["size"] is not None else None,
        "path": _path(row),
        "generations": _ranges(row["generations"]),
        "elsewhere": [f"{name}: {text}" for name, text in row["elsewhere"].items()],
        "labels": [f"{label} ({_marked(mark)})" for label, mark in row["labels"].items()],
        "pinned": _marked(row["pin"]) if row["pin"] else None,
        "module": row["module"],
        "advisories": row["advisories"],
        "retention": _fate(row["retention"]),
    }


def _fate(fate: Row | None) -> list[str]:
    if fate is None:
        return []
    word = "kept" if fate["kept"] else "goes"
    return [f"{word}: {why}" for why in fate["why"]]


def _listing(row: Row) -> str:
    if row["listed"]:
        since = row["since"]
        return f"since {_said(since)}" if since else "yes, from before the oldest generation that is kept"
    return f"no, it went with {_said(row['went'])}" if row["went"] else "no"


def _said(change: Row) -> str:
    why = f": {change['why']}" if change["why"] else ""
    return f"generation {change['generation']}, {change['time']}, by {change['actor']}{why}"


_WAYS = {
    "arrival": "uploaded as {}",
    "promotion": "promoted from {}",
    "adoption": "taken over from {}",
    "rollback": "it was listed in generation {} already",
    "resigning": "signed anew, {}",
}


def _came(coming: Row) -> list[str]:
    source = _WAYS.get(coming["how"], "from where is not known").format(coming["of"])
    checksum = f", sha256 {coming['checksum']}" if coming["checksum"] else ""
    return [f"{coming['repository']} {_said(coming)}", f"  {source}{checksum}"]


def _path(row: Row) -> str | None:
    return f"{row['path']}{'' if row['stored'] else ', which is not there'}" if row["path"] else None


def _ranges(runs: Sequence[Sequence[int]]) -> str:
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in reversed(runs))


def _marked(mark: Mapping[str, str]) -> str:
    return f"{mark['actor']}, {mark['time']}" + (f": {mark['why']}" if mark["why"] else "")


def _decimal(size: int) -> str:
    from rich.filesize import decimal  # noqa: PLC0415 - as in show

    return decimal(size)


def show_rollback(deed: Deed, *, dry_run: bool, as_json: bool) -> None:
    """What a rollback changed for hosts, or would."""
    if as_json:
        show(deed.rows, as_json=True, empty="")
        return
    if deed.facts["needed"]:
        show(deed.facts["changes"], as_json=False, empty="hosts see no difference")
    click.echo(deed.text)
    if deed.facts["needed"] and not dry_run:
        click.echo("hosts follow it, down and up, with: dnf --refresh distro-sync")


def show_difference(difference: Row, *, as_json: bool) -> None:
    """What would change for hosts."""
    rows = [difference] if as_json else changes(difference)
    show(rows, as_json=as_json, empty="nothing differs")


def changes(difference: Row) -> list[dict[str, Any]]:
    """A comparison for a person: what hosts see of each name, then the rest."""
    steps = [_change(kind, pair["before"], pair["after"]) for kind in _KINDS for pair in difference[kind]]
    rows = sorted(steps, key=lambda row: Nevra.parse(row["after"] or row["before"]).name)
    others = difference["others"]
    rows += [_change("other build came", None, nevra) for nevra in others["came"]]
    rows += [_change("other build went", nevra, None) for nevra in others["went"]]
    for what, lists in (("advisory", difference["advisories"]), ("document", difference["documents"])):
        rows += [_change(f"{what} came", None, key) for key in lists["came"]]
        rows += [_change(f"{what} went", key, None) for key in lists["went"]]
        rows += [_change(f"{what} changed", key, key) for key in lists["changed"]]
    return rows


def _change(change: str, before: str | None, after: str | None) -> dict[str, Any]:
    return {"change": change, "before": before, "after": after}


def show_removal(deed: Deed, *, as_json: bool) -> None:
    """What became of each build that was to be removed."""
    # A warning has its own line for a person; a table would fold it.
    brief = [{key: row[key] for key in ("package", "result", "generation")} for row in deed.rows]
    show(deed.rows if as_json else brief, as_json=as_json, empty="")


def show_keys(rows: Sequence[Row], *, as_json: bool) -> None:
    """Keys that hosts get, with what each signed where."""
    if not as_json:
        rows = [{**row, "repositories": [_where(*one) for one in row["repositories"].items()]} for row in rows]
    show(rows, as_json=as_json, empty="no keys")


def _where(name: str, one: Row) -> str:
    return f"{name}: {signed_in(one)}"


def signed_in(one: Row) -> str:
    """What a key signed in one repository."""
    since = f"hosts get it since {one['since']}" if one["since"] else "hosts do not get it yet"
    return f"{counted(one['packages'], 'package')}; {since}"


def show_rings(rows: Sequence[Row], *, as_json: bool) -> None:
    """Rings, and how far each is."""
    show(rows if as_json else list(map(_ring, rows)), as_json=as_json, empty="no rings")


def _ring(row: Row) -> Row:
    return {
        "ring": row["ring"],
        "builds": [build["nevra"] for build in row["builds"]],
        "percent": row["percent"],
        "since": row["phases"][-1]["since"] if row["phases"] else None,
        "spread": _span(row["spread"]),
        "windows": list(row["windows"]) or "any time",
        "state": "paused" if row["paused"] else "runs",
        "by": row["actor"],
    }


def _span(seconds: int) -> str:
    for length, unit in ((3600, "h"), (60, "min")):
        if seconds and seconds % length == 0:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def show_promotion(deed: Deed, *, as_json: bool) -> None:
    """What was promoted, or would be, and what each build does on hosts."""
    if as_json:
        show(deed.rows, as_json=True, empty="")
        return
    (row,) = deed.rows
    show(list(_moves(row, deed)), as_json=False, empty="no builds")
    if row["left_out"]:
        arches = ", ".join(sorted({Nevra.parse(nevra).arch for nevra in row["left_out"]}))
        click.echo(
            f"left out: {counted(len(row['left_out']), 'build')} for {arches}, which {deed.repository} does not take"
        )
    if not deed.refused:
        click.echo(deed.text)


def _moves(row: Row, deed: Deed) -> Iterator[dict[str, str]]:
    for build, effect in zip(row["builds"], deed.facts["effects"], strict=True):
        yield {"build": build["package"], "on hosts": effect, "gates": _gate_words(build)}
    for nevra in row["present"]:
        yield {"build": nevra, "on hosts": "is there already", "gates": "-"}


def _gate_words(build: Row) -> str:
    words = [("shut: ", build["shut"]), ("passed: ", build["passed"])]
    return "; ".join(word + ", ".join(gates) for word, gates in words if gates)
