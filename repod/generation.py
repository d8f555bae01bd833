"""A repository's content over time: numbered, immutable generations, and the pointer to the current one."""

import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from repod import patient
from repod.errors import Corrupt
from repod.package import HOW, UNKNOWN, Nevra, Origin, Package, Sha256, StorePath, sha256, store_path

FORMAT = 2
_RECORD = re.compile(r"\.repod/generations/([0-9]+)\.json")
HEAD = StorePath(".repod/head.json")
RETENTION = "retention"
"""The actor of generations that only let builds go, by the settings."""


def record_path(number: int) -> StorePath:
    """Where the record of generation ``number`` lies."""
    return StorePath(f".repod/generations/{number}.json")


def record_number(path: str) -> int | None:
    """The number of the generation whose record lies at ``path``; None where no record does."""
    match = _RECORD.fullmatch(path)
    return int(match[1]) if match else None


def view_path(number: int) -> str:
    """Where the frozen view of generation ``number`` lies, with a slash at its end."""
    return f"generations/{number}/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document that repomd.xml names. Sizes are in bytes; ``open_*`` speak of the plain text.

    ``href`` is relative to the view whose index names it.
    """

    type: str
    href: StorePath
    checksum: Sha256
    size: int
    open_checksum: Sha256
    open_size: int
    timestamp: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """A run ``[start, stop)`` of the parent's segments, and what is there in its place.

    ``packed``: how long each fresh segment is in bytes, packed, in each of the four columns.
    """

    start: int
    stop: int
    packed: Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """What of the parent's segments is not in the documents any more, and where in them the fresh ones lie.

    For who holds the parent's segments and wants to fetch no more than the fresh ones. The columns are
    primary, filelists, other, and the frozen view's primary. ``heads`` and ``tails`` are the lengths in
    bytes of each document's first and last member; ``runs`` stand in the parent's order.
    """

    heads: Sequence[int]
    tails: Sequence[int]
    runs: Sequence[Rewritten]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """The record of one generation, as ``.repod/generations/N.json`` holds it.

    ``time`` is seconds since 1970 (UTC). ``origins`` says of each of ``added``, in its order, where it
    came from; it is empty where nothing is known. ``documents`` are those of the live view: primary,
    filelists and other, then the carried ones. The frozen view has the same, but for its own
    primary, ``frozen``, whose hrefs reach the packages from there. The indexes and their
    signatures are the exact bytes, so that whoever starts after a crash can finish both views
    without a key. ``patch``: how the documents came from the parent's; None where most of them is
    fresh, where they are streams, and in records of old. ``parent_sha256``: of the parent's record as it is
    stored, so that the records hang together; None where there is no parent, and in records of old. ``shown``:
    since when, at the latest, clients had seen the parent when this one was begun, in seconds since 1970; 0
    where that is not known.
    """

    number: int
    parent: int
    time: int
    actor: str
    why: str
    packages: int
    added: Sequence[Package]
    removed: Sequence[Package]
    documents: tuple[Document, ...]
    frozen: Document
    repomd: str
    signature: str
    frozen_repomd: str
    frozen_signature: str
    origins: Sequence[Origin] = ()
    patch: Patch | None = None
    parent_sha256: Sha256 | None = None
    shown: float = 0.0

    @property
    def view(self) -> str:
        """Where the frozen view lies, with a slash at its end."""
        return view_path(self.number)

    @property
    def came(self) -> Sequence[tuple[Package, Origin]]:
        """Each of ``added`` with where it came from."""
        known = len(self.origins) == len(self.added)
        return list(zip(self.added, self.origins if known else [UNKNOWN] * len(self.added), strict=True))

    @property
    def stored(self) -> Mapping[StorePath, Document]:
        """Every document of both views by the place where it is stored."""
        live = {document.href: document for document in self.documents}
        frozen = {store_path(self.view + document.href): document for document in (self.frozen, *self.documents[1:])}
        return live | frozen

    @property
    def carried(self) -> Mapping[str, Document]:
        """The live view's carried documents by their type."""
        return {document.type: document for document in self.documents[3:]}

    def document(self, kind: str) -> Document | None:
        """The live view's document of that type, where it has one."""
        return next((document for document in self.documents if document.type == kind), None)

    def to_json(self) -> bytes:
        """The record as it is stored."""
        text = io.StringIO()
        json.dump({"format": FORMAT} | asdict(self), text, indent=1)  # piece by piece: it may be long
        return text.getvalue().encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """The record that ``data`` holds; ``Corrupt`` where it holds none."""
        try:
            fields = _fields(data, "generation record")
            _typed(fields, int, "number", "parent", "time", "packages")
            _typed(fields, str, "actor", "why", "repomd", "signature", "frozen_repomd", "frozen_signature")
            return cls(
                **fields
                | {
                    "added": _packages(fields["added"]),
                    "removed": _packages(fields["removed"]),
                    "documents": tuple(_document(d) for d in fields["documents"]),
                    "frozen": _document(fields["frozen"]),
                    "origins": tuple(_origin(row) for row in fields.get("origins", ())),
                    "patch": _patch(fields.get("patch")),
                    "parent_sha256": _digest(fields.get("parent_sha256")),
                    "shown": float(fields.get("shown", 0.0)),
                }
            )
        except (ValueError, KeyError, TypeError) as error:
            msg = f"generation record is unreadable ({error}); restore it from a copy of the store"
            raise Corrupt(msg) from error


def _fields(data: bytes, what: str) -> dict[str, Any]:
    fields = patient.loads(data)
    if not isinstance(fields, dict):
        msg = f"expected a JSON object, found {type(fields).__name__}"
        raise TypeError(msg)
    found = fields.pop("format")
    if found != FORMAT:
        msg = f"{what}: expected format {FORMAT}, found {found!r}: use the repod that wrote it, or upgrade this one"
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
            nevra=Nevra.of(row["nevra"]),
            pkgid=sha256(row["pkgid"]),
            size=int(row["size"]),
            href=store_path(row["href"]),
        )
        for row in rows
    )


def _origin(row: dict[str, Any]) -> Origin:
    _typed(row, str, *row)
    origin = Origin(**row)
    if origin.how not in HOW:
        msg = f"how: expected one of {', '.join(HOW)}, found {origin.how!r}"
        raise ValueError(msg)
    return origin


def _digest(text: str | None) -> Sha256 | None:
    return None if text is None else sha256(text)


def _patch(row: dict[str, Any] | None) -> Patch | None:
    if row is None:
        return None
    runs = (
        Rewritten(start=int(run["start"]), stop=int(run["stop"]), packed=tuple(map(_lengths, run["packed"])))
        for run in row["runs"]
    )
    return Patch(heads=_lengths(row["heads"]), tails=_lengths(row["tails"]), runs=tuple(runs))


def _lengths(row: Sequence[Any]) -> tuple[int, ...]:
    return tuple(map(int, row))


def _document(row: dict[str, Any]) -> Document:
    _typed(row, str, "type")
    _typed(row, int, "size", "open_size", "timestamp")
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
