"""The segments of a repository, from its own stored documents: where there is no cache that fits."""

from collections.abc import Iterator, Sequence

from repod.doors import Store
from repod.errors import Corrupt, NotFound
from repod.generation import Document, Generation
from repod.package import StorePath, store_path
from repod.repodata import codec, segments, text
from repod.repodata.cache import Cache, Index
from repod.repodata.codec import Packing
from repod.repodata.listing import codec_of, members, texts
from repod.repodata.segments import Segment

_START = 64 << 10
"""Bytes in which the first member of a document in members ends."""


def sources(generation: Generation) -> list[tuple[Document, StorePath]]:
    """Each column's document, and where it is stored."""
    live = [(document, document.href) for document in generation.documents[: len(text.KINDS)]]
    return [*live, (generation.frozen, store_path(generation.view + generation.frozen.href))]


def fits(index: Index, generation: Generation) -> bool:
    """Whether the index speaks of just these documents."""
    checksums = [document.checksum for document, _ in sources(generation)]
    return index.generation == generation.number and list(index.checksums) == checksums


def segmented(store: Store, cache: Cache, generation: Generation) -> Index:
    """The index of ``generation``, with its segments put into ``cache``, from the store's documents.

    However they are packed. ``NotFound`` or ``Corrupt`` where they are missing or not sound.
    """
    try:
        packing = _packing(store, generation)
        made = _of_streams if packing.stream else _of_members
        heads, tails, parts = made(store, cache, generation)
    except NotFound as error:
        raise NotFound(f"generation {generation.number}: {error}; restore it from a copy of the store") from error
    except (StopIteration, ValueError) as error:
        msg = f"generation {generation.number}: its documents are not cut alike ({error}); restore them from a copy"
        raise Corrupt(msg) from error
    if sum(segment.packages for segment in parts) != generation.packages:
        raise _other(generation)
    return Index(
        generation=generation.number,
        packing=packing.name,
        checksums=[document.checksum for document, _ in sources(generation)],
        heads=heads,
        tails=tails,
        segments=parts,
    )


def _packing(store: Store, generation: Generation) -> Packing:
    """How the documents are packed; all are packed alike, or what reads them will say so."""
    document, path = sources(generation)[0]
    start = b"".join(store.stream(path, 0, _START))
    first = codec_of(document).first(start)
    return Packing(codec=codec_of(document), stream=first != text.head(text.KINDS[0], generation.packages))


_Found = tuple[list[int], list[int], list[Segment]]
"""The lengths of first and last members, and the segments."""


def _of_members(store: Store, cache: Cache, generation: Generation) -> _Found:
    readers = [members(store, document, path) for document, path in sources(generation)]
    parts: list[Segment] = []
    heads = [next(reader) for reader in readers]
    tails = next(rows := zip(*readers, strict=True))
    for row in rows:
        parts.append(kept(cache, [member.text for member in tails], [member.packed for member in tails]))
        tails = row
    frame = [(text.head(kind, generation.packages), text.tail(kind)) for kind in text.COLUMNS]
    if [(h.text, t.text) for h, t in zip(heads, tails, strict=True)] != frame:
        raise _other(generation)
    return [len(member.packed) for member in heads], [len(member.packed) for member in tails], parts


def _of_streams(store: Store, cache: Cache, generation: Generation) -> _Found:
    columns = [
        _entries(kind, generation, texts(store, *source))
        for kind, source in zip(text.COLUMNS, sources(generation), strict=True)
    ]
    parts: list[Segment] = []
    rows: list[text.Row] = []
    for entries in zip(*columns, strict=True):
        row = text.entry_row(entries)
        if rows and segments.starts(row.order):
            parts.append(_segment(cache, rows))
            rows = []
        rows.append(row)
    if rows:
        parts.append(_segment(cache, rows))
    none = [0] * len(text.COLUMNS)
    return none, none, parts


def _entries(kind: str, generation: Generation, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for run in text.runs(kind, generation.packages, pieces):
        yield from text.split(run)


def _segment(cache: Cache, rows: Sequence[text.Row]) -> Segment:
    return kept(cache, [b"".join(row.texts[column] for row in rows) for column in range(len(text.COLUMNS))], [])


def kept(cache: Cache, plain: Sequence[bytes], packed: Sequence[bytes]) -> Segment:
    """Put a segment's plain text and member of each column into ``cache``; ``Corrupt`` where it has no package."""
    listed = text.packages(plain[0])
    if not listed:
        msg = "primary has a member without a package"
        raise Corrupt(msg)
    return Segment(
        first=listed[0].nevra.order,
        packages=len(listed),
        texts=[log.append(data) for log, data in zip(cache.texts, plain, strict=True)],
        crcs=[codec.crc(data) for data in plain],
        packs=[cache.packs[column].append(data) for column, data in enumerate(packed)],
    )


def _other(generation: Generation) -> Corrupt:
    return Corrupt(f"generation {generation.number}: its documents do not hold {generation.packages} packages")
