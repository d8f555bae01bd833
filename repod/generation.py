"""A repository's content over time: numbered, immutable generations and what lies between two."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from repod.errors import Corrupt
from repod.package import Nevra, Package, Sha256, StorePath, sha256, store_path

FORMAT = 1
HEAD = StorePath(".repod/head.json")


def record_path(number: int) -> StorePath:
    """Where the record of generation ``number`` lies."""
    return StorePath(f".repod/generations/{number}.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document that repomd.xml names. Sizes are in bytes; ``open_*`` speak of the plain text."""

    type: str
    href: StorePath
    checksum: Sha256
    size: int
    open_checksum: Sha256
    open_size: int
    timestamp: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one publish does to a repository's content.

    A package in ``added`` takes the place of another with the same NEVRA.
    """

    added: Sequence[Package] = ()
    removed: Sequence[Nevra] = ()

    def __bool__(self) -> bool:
        """Whether anything changes."""
        return bool(self.added or self.removed)


def apply(content: Mapping[Nevra, Package], change: Change) -> dict[Nevra, Package]:
    """The content after ``change``."""
    gone = set(change.removed)
    kept = {nevra: package for nevra, package in content.items() if nevra not in gone}
    return kept | {package.nevra: package for package in change.added}


def diff(old: Mapping[Nevra, Package], new: Mapping[Nevra, Package]) -> Change:
    """What leads from ``old`` to ``new``; applied to ``old`` it gives ``new``."""
    return Change(
        added=tuple(p for nevra, p in new.items() if old.get(nevra) != p),
        removed=tuple(nevra for nevra in old if nevra not in new),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """The record of one generation, as ``.repod/generations/N.json`` holds it.

    ``time`` is seconds since 1970 (UTC). ``repomd`` and ``signature`` are the exact bytes
    of the live view, so that whoever starts after a crash can finish it without a key.
    """

    number: int
    parent: int
    time: int
    actor: str
    why: str
    packages: int
    added: Sequence[Package]
    removed: Sequence[Package]
    documents: Sequence[Document]
    repomd: str
    signature: str

    def to_json(self) -> bytes:
        """The record as it is stored."""
        return json.dumps({"format": FORMAT} | asdict(self), indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """The record that ``data`` holds; ``Corrupt`` where it holds none."""
        try:
            fields = _fields(data, "generation record")
            _typed(fields, int, "number", "parent", "time", "packages")
            _typed(fields, str, "actor", "why", "repomd", "signature")
            return cls(
                **fields
                | {
                    "added": _packages(fields["added"]),
                    "removed": _packages(fields["removed"]),
                    "documents": tuple(_document(d) for d in fields["documents"]),
                }
            )
        except (ValueError, KeyError, TypeError) as error:
            msg = f"generation record is unreadable ({error}); restore it from a copy of the store"
            raise Corrupt(msg) from error


def _fields(data: bytes, what: str) -> dict[str, Any]:
    fields = json.loads(data)
    if not isinstance(fields, dict):
        msg = f"expected a JSON object, found {type(fields).__name__}"
        raise TypeError(msg)
    if fields.pop("format") != FORMAT:
        msg = f"{what} is of another format: a newer repod wrote it; upgrade this one"
        raise Corrupt(msg)
    return fields


def _typed(fields: dict[str, Any], kind: type, *names: str) -> None:
    for name in names:
        if type(fields[name]) is not kind:
            msg = f"{name}: expected {kind.__name__}, found {fields[name]!r}"
            raise TypeError(msg)


def _packages(rows: Iterable[dict[str, Any]]) -> tuple[Package, ...]:
    return tuple(
        Package(
            nevra=Nevra(**row["nevra"]),
            pkgid=sha256(row["pkgid"]),
            size=int(row["size"]),
            href=store_path(row["href"]),
        )
        for row in rows
    )


def _document(row: dict[str, Any]) -> Document:
    return Document(
        **row
        | {
            "href": store_path(row["href"]),
            "checksum": sha256(row["checksum"]),
            "open_checksum": sha256(row["open_checksum"]),
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The pointer, ``.repod/head.json``: which generation is current."""

    generation: int

    def to_json(self) -> bytes:
        """The pointer as it is stored."""
        return json.dumps({"format": FORMAT, "generation": self.generation}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """The pointer that ``data`` holds; ``Corrupt`` where it holds none."""
        try:
            fields = _fields(data, HEAD)
            return cls(generation=int(fields["generation"]))
        except (ValueError, KeyError, TypeError) as error:
            msg = f"{HEAD} is unreadable ({error}); expected {{'generation': N}}; restore it"
            raise Corrupt(msg) from error
