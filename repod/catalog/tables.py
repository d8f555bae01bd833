"""The tables of a catalog, and how they are filled and changed."""

import sqlite3
import time
from collections.abc import Iterable, Sequence

from repod.listings import Coming, Listed, Standing
from repod.package import Package

VERSION = 1
"""Of the tables: raised with every change of them or of what is written into them."""

COLUMNS = "name, evr, arch, nevra, pkgid, size, href, summary, built, came, since"
"""What a row of an answer is made of."""

# ``text`` is what is searched, folded. ``came`` is the generation that listed the build first, 0 where unknown.
# The texts stand in the indexes too: a search reads the index alone, in the order of the answer.
_TABLES = (
    "CREATE TABLE standing (generation INTEGER NOT NULL, checksum TEXT NOT NULL)",
    "CREATE TABLE coming (pkgid BLOB PRIMARY KEY, generation INTEGER NOT NULL, time INTEGER NOT NULL) WITHOUT ROWID",
    (
        "CREATE TABLE package (id INTEGER PRIMARY KEY, name TEXT NOT NULL, rank BLOB NOT NULL, evr TEXT NOT NULL,"
        " arch TEXT NOT NULL, nevra TEXT NOT NULL, pkgid BLOB NOT NULL, size INTEGER NOT NULL, href TEXT NOT NULL,"
        " summary TEXT NOT NULL, built INTEGER NOT NULL, came INTEGER NOT NULL, since INTEGER NOT NULL,"
        " first INTEGER NOT NULL DEFAULT 0, text TEXT NOT NULL)"
    ),
)
_INDEXES = (
    "CREATE UNIQUE INDEX by_nevra ON package (nevra)",
    "CREATE INDEX by_coming ON package (came DESC, built DESC, nevra, arch, text)",
    "CREATE INDEX by_name ON package (name, rank DESC, nevra, arch, text)",
    "CREATE INDEX by_first ON package (came DESC, built DESC, name) WHERE first",
)
_INSERT = (
    "INSERT INTO package (name, rank, evr, arch, nevra, pkgid, size, href, summary, built, text, came, since)"
    " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, coalesce(c.generation, 0), coalesce(c.time, 0)"
    " FROM (SELECT 1) LEFT JOIN coming c ON c.pkgid = ?6"
)
_FIRST = "SELECT id FROM package WHERE name = ? ORDER BY name, rank DESC, nevra LIMIT 1"


def standing(connection: sqlite3.Connection) -> Standing | None:
    """Of which generation the tables are."""
    row = connection.execute("SELECT generation, checksum FROM standing").fetchone()
    return Standing(generation=row[0], checksum=row[1]) if row else None


def fill(
    connection: sqlite3.Connection, comings: Iterable[Sequence[Coming]], packages: Iterable[Sequence[Listed]]
) -> None:
    """Make the tables anew, of batches; others may compute between two of them."""
    for table in ("standing", "coming", "package"):
        connection.execute(f"DROP TABLE IF EXISTS {table}")
    for statement in _TABLES:
        connection.execute(statement)
    for batch in comings:
        come(connection, batch)
        time.sleep(0)
    for packs in packages:
        connection.executemany(_INSERT, [_values(one) for one in packs])
        time.sleep(0)
    for statement in _INDEXES:
        connection.execute(statement)
    connection.execute(
        "UPDATE package SET first = 1 WHERE id IN (SELECT id FROM"
        " (SELECT id, row_number() OVER (PARTITION BY name ORDER BY rank DESC, nevra) AS place FROM package)"
        " WHERE place = 1)"
    )


def come(connection: sqlite3.Connection, comings: Iterable[Coming]) -> None:
    """Note how builds came; of each the first time counts."""
    rows = ((bytes.fromhex(pkgid), generation, at) for pkgid, generation, at in comings)
    connection.executemany(
        "INSERT INTO coming VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
        " SET generation = excluded.generation, time = excluded.time WHERE excluded.generation < generation",
        rows,
    )


def change(connection: sqlite3.Connection, removed: Iterable[Package], added: Sequence[Listed]) -> None:
    """Take builds out, then put others in."""
    names = {one.package.nevra.name for one in added}
    for package in removed:
        names.add(package.nevra.name)
        connection.execute("DELETE FROM package WHERE nevra = ?", (str(package.nevra),))
    connection.executemany(_INSERT, map(_values, added))
    for name in names:
        connection.execute("UPDATE package SET first = 0 WHERE first AND name = ?", (name,))
        connection.execute(f"UPDATE package SET first = 1 WHERE id = ({_FIRST})", (name,))  # noqa: S608 - a constant  # nosec B608


def stand(connection: sqlite3.Connection, place: Standing) -> None:
    """The tables are of this generation now."""
    connection.execute("DELETE FROM standing")
    connection.execute("INSERT INTO standing VALUES (?, ?)", (place.generation, place.checksum))


def count(connection: sqlite3.Connection) -> int:
    """How many packages the tables hold."""
    (found,) = connection.execute("SELECT count(*) FROM package").fetchone()
    return int(found)


def folded(text: str) -> str:
    """``text`` as it is searched: upper case and lower case are one."""
    return text.casefold()


def _values(one: Listed) -> tuple[object, ...]:
    package, nevra = one.package, one.package.nevra
    text = folded(f"{nevra.name}\n{one.summary}")
    return (
        *(nevra.name, nevra.rank, nevra.evr, nevra.arch, str(nevra)),
        *(bytes.fromhex(package.pkgid), package.size, package.href, one.summary, one.built, text),
    )
