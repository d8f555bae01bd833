"""Questions to a catalog: each one or two statements that read an index in the order of the answer."""

import base64
import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from repod import jsontext
from repod.catalog.tables import COLUMNS, folded, standing
from repod.errors import Misconfigured, NotFound
from repod.office import Named, Names, Page, Row, Search
from repod.package import Nevra, Package, Sha256, StorePath
from repod.times import stamp

_MOST = 1000  # rows of one answer
_LONGEST = 300  # characters of a text to search for: names and summaries are not longer
# By order: what a page is sorted by, and what comes after the last row of a page; the names are its keys.
_ORDERS: Mapping[str, tuple[str, str, Sequence[str]]] = {
    "newest": (
        "came DESC, built DESC, nevra",
        "came <= :came AND (came < :came OR built < :built OR (built = :built AND nevra > :nevra))",
        ("came", "built", "nevra"),
    ),
    "name": (
        "name, rank DESC, nevra",
        "name >= :name AND (name > :name OR rank < :rank OR (rank = :rank AND nevra > :nevra))",
        ("name", "rank", "nevra"),
    ),
}
_FAR = 1 << 63  # SQLite's integers end here
_SET = re.compile(r"\[!?\]?[^\]]*\]")


def page(connection: sqlite3.Connection, search: Search) -> Page:
    """See ``Catalog.search``."""
    order, beyond, keys = _ORDERS[search.order]
    where, values = _conditions(search)
    (total,) = connection.execute(f"SELECT count(*) FROM package WHERE {_all(where)}", values).fetchone()  # noqa: S608  # nosec B608
    if search.after:
        where.append(beyond)
        values |= _cursor(search)
    limit = max(1, min(search.limit, _MOST))
    query = f"SELECT {COLUMNS}, rank FROM package WHERE {_all(where)} ORDER BY {order} LIMIT {limit + 1}"  # noqa: S608  # nosec B608
    rows = [_Found(row) for row in connection.execute(query, values)]
    more = rows[limit - 1].key(keys) if len(rows) > limit else None
    return Page(
        rows=[row.shown() for row in rows[:limit]],
        total=total,
        next=_opaque([search.order, *more]) if more else "",
        generation=_generation(connection),
    )


def names(connection: sqlite3.Connection, limit: int) -> Names:
    """See ``Catalog.names``."""
    rows = connection.execute(
        f"SELECT {COLUMNS}, rank, (SELECT count(*) FROM package p WHERE p.name = package.name),"  # noqa: S608  # nosec B608
        " (SELECT group_concat(DISTINCT arch) FROM package p WHERE p.name = package.name)"
        " FROM package WHERE first ORDER BY came DESC, built DESC, name LIMIT ?",
        (max(0, limit),),
    ).fetchall()
    (total,) = connection.execute("SELECT count(*) FROM package WHERE first").fetchone()
    (packages,) = connection.execute("SELECT count(*) FROM package").fetchone()
    return Names(
        rows=[
            Named(newest=_Found(row).shown(), builds=row[-2], arches=sorted(str(row[-1]).split(","))) for row in rows
        ],
        total=total,
        packages=packages,
        generation=_generation(connection),
    )


def builds_of(connection: sqlite3.Connection, name: str) -> Sequence[Row]:
    """See ``Catalog.builds_of``."""
    query = f"SELECT {COLUMNS}, rank FROM package WHERE name = ? ORDER BY name, rank DESC, nevra LIMIT {_MOST}"  # noqa: S608  # nosec B608
    return [_Found(row).shown() for row in connection.execute(query, (name,))]


def arches(connection: sqlite3.Connection) -> Mapping[str, int]:
    """See ``Catalog.arches``."""
    return dict(connection.execute("SELECT arch, count(*) FROM package GROUP BY arch ORDER BY arch").fetchall())


def package(connection: sqlite3.Connection, nevra: Nevra) -> Package:
    """The package that is listed as ``nevra``; ``NotFound`` where none is."""
    row = connection.execute("SELECT pkgid, size, href FROM package WHERE nevra = ?", (str(nevra),)).fetchone()
    if row is None:
        msg = f"no package {nevra} is listed"
        raise NotFound(msg)
    return Package(nevra=nevra, pkgid=Sha256(row[0].hex()), size=row[1], href=StorePath(row[2]))


class _Found:
    """A row of the table, its columns those of ``COLUMNS`` and ``rank``."""

    _NAMES = (*COLUMNS.split(", "), "rank")

    def __init__(self, row: Sequence[Any]) -> None:
        self._fields = dict(zip(self._NAMES, row, strict=False))

    def key(self, names: Sequence[str]) -> Sequence[Any]:
        values = (self._fields[name] for name in names)
        return [value.hex() if isinstance(value, bytes) else value for value in values]

    def shown(self) -> Row:
        fields = self._fields
        return Row(
            package=fields["nevra"],
            name=fields["name"],
            evr=fields["evr"],
            arch=fields["arch"],
            size=fields["size"],
            sha256=fields["pkgid"].hex(),
            path=fields["href"],
            summary=fields["summary"],
            built=stamp(fields["built"]) if fields["built"] else None,
            generation=fields["came"] or None,
            since=stamp(fields["since"]) if fields["came"] else None,
        )


def _generation(connection: sqlite3.Connection) -> int:
    place = standing(connection)
    return place.generation if place else 0


def _conditions(search: Search) -> tuple[list[str], dict[str, Any]]:
    where, values = list[str](), dict[str, Any]()
    if search.text:
        where.append("text LIKE :text ESCAPE '\\'")
        values["text"] = f"%{_literally(folded(_sound(search.text)))}%"
    if search.name:
        where.append("name = :exactly")
        values["exactly"] = _sound(search.name)
    if search.arch:
        where.append("arch = :arch")
        values["arch"] = _sound(search.arch)
    if search.nevra:
        where.append("(nevra = :build OR nevra GLOB :pattern)")
        word = _sound(search.nevra)
        values |= {"build": _exact(word), "pattern": _glob(word)}
    return where, values


def _sound(text: str) -> str:
    """``text`` as SQLite can take it."""
    return text[:_LONGEST].encode("utf-8", "replace").decode()


def _all(conditions: Sequence[str]) -> str:
    return " AND ".join(conditions) or "1"


def _literally(text: str) -> str:
    """``text`` for LIKE, where ``%`` and ``_`` mean others."""
    return re.sub(r"[\\%_]", r"\\\g<0>", text)


def _exact(word: str) -> str:
    """The NEVRA as it is printed; with ``0:`` before its version or without is the same."""
    try:
        return str(Nevra.parse(word))
    except ValueError:
        return word


def _glob(pattern: str) -> str:
    """A shell pattern for SQLite, which writes ``[^…]`` for ``[!…]`` and does not take a lone ``[`` as itself."""
    made, at = "", 0
    while at < len(pattern):
        found = _SET.match(pattern, at)
        if found:
            inside = found[0][1:-1]
            made += f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"
            at = found.end()
        else:
            made += "[[]" if pattern[at] == "[" else pattern[at]
            at += 1
    return made


def _opaque(key: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def _cursor(search: Search) -> Mapping[str, Any]:
    """The key that ``after`` holds, by name."""
    keys = _ORDERS[search.order][2]
    try:
        padded = search.after + "=" * (-len(search.after) % 4)
        values = jsontext.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
        found = dict(zip(("order", *keys), values, strict=True))
        return {name: _typed(search.order, name, value) for name, value in found.items()}
    except (ValueError, TypeError, RecursionError) as error:
        msg = f"after: expected the next of a page in the order {search.order!r}, found {search.after[:80]!r} ({error})"
        raise Misconfigured(msg) from error


def _typed(order: str, name: str, value: Any) -> Any:
    """A value of a cursor, proven; ``ValueError`` or ``TypeError`` where it cannot be one."""
    if name == "order" and value != order:
        msg = f"it is of the order {value!r}"
        raise ValueError(msg)
    if name == "rank":
        return bytes.fromhex(value)
    if isinstance(value, bool) or not isinstance(value, int if name in {"came", "built"} else str):
        msg = f"its {name} is {value!r}"
        raise TypeError(msg)
    if isinstance(value, int) and not 0 <= value < _FAR:
        msg = f"its {name} is {value}"
        raise ValueError(msg)
    return _sound(value) if isinstance(value, str) else value
