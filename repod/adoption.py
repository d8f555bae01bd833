"""What becomes of the packages that another repository lists: pure, decided before anything is written.

Of several entries with one NEVRA one stays: the one built last; of those built at the same time, the
one whose file is newest, then the one with the highest checksum. Of equal files, the first href.
"""

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from repod.elsewhere import Listed
from repod.package import Nevra, StorePath, store_path

# What repod itself writes into a store.
_OURS = {"repodata", "generations", ".repod"}


Kind = Literal["twice", "missing", "damaged", "taken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A package that is not taken over, and why.

    ``twice``: another entry with its NEVRA is. ``missing`` and ``damaged``: its file is not there,
    or not as documented. ``taken``: the repository holds something else under its NEVRA or path.
    """

    nevra: Nevra
    href: str
    kind: Kind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where a file may lie: a raw href, and the ``xml:base`` it is relative to (empty: the repository)."""

    href: str
    base: str


def one_of_each(listed: Iterable[Listed]) -> tuple[list[Listed], list[Left]]:
    """One package per NEVRA, and those that are left out for it."""
    best: dict[Nevra, Listed] = {}
    left = []
    for package in listed:
        rival = best.setdefault(package.nevra, package)
        if rival is package:
            continue
        winner, loser = sorted((rival, package), key=_worth)
        best[package.nevra] = winner
        left.append(Left(nevra=loser.nevra, href=loser.href, kind="twice", text=_why_not(loser, winner)))
    return list(best.values()), left


def _worth(package: Listed) -> tuple[int, int, str, str]:
    """The least is the best. Checksums are compared as numbers turned round: the highest is the least."""
    turned = "".join(f"{15 - int(digit, 16):x}" for digit in package.checksum)
    return (-package.built, -package.filed, turned, package.href)


def _why_not(loser: Listed, winner: Listed) -> str:
    if loser.checksum == winner.checksum:
        return f"the same file is listed at {winner.href} too, and taken from there"
    return (
        f"two builds have this NEVRA: taken {winner.href} ({winner.algorithm} {winner.checksum[:12]}…), built last; "
        f"left out {loser.href} ({loser.algorithm} {loser.checksum[:12]}…)"
    )


def spots(package: Listed) -> Iterator[Spot]:
    """Where to look for a package's file, in this order.

    An href is raw, but some tools write it percent-encoded, and on DOS with back-slashes: where
    the file is there decides. A file beside the documents is as good as one at ``xml:base``, since
    its checksum must be the documented one.
    """
    plain = package.href.replace("\\", "/")
    hrefs = dict.fromkeys((plain, unquote(plain), package.href))
    for base in dict.fromkeys(("", package.base)):
        for href in hrefs:
            yield Spot(href=href, base=base)


def place(href: str, nevra: Nevra) -> StorePath:
    """Where a package found at ``href`` lies in our store.

    Its own href, so that hosts with the old metadata still find it, unless that could leave the
    store or meet what repod writes; then the place that repod would give it.
    """
    plain = posixpath.normpath(href.lstrip("/"))
    if plain.partition("/")[0] in _OURS or not plain.endswith(".rpm"):
        return nevra.location
    try:
        return store_path(plain)
    except ValueError:
        return nevra.location
