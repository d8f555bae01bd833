"""The segments of a repository, from its own stored documents: where there is no cache that fits."""

from collections.abc import Sequence

from repod.doors import Store
from repod.errors import Corrupt, NotFound
from repod.generation import Document, Generation
from repod.package import StorePath, store_path
from repod.repodata import codec, text
from repod.repodata.cache import Cache, Index
from repod.repodata.listing import members
from repod.repodata.segments import Segment


def sources(generation: Generation) -> list[tuple[Document, StorePath]]:
    """Each column's document, and where it is stored."""
    live = [(document, document.href) for document in generation.documents[: len(text.KINDS)]]
    return [*live, (generation.frozen, store_path(generation.view + generation.frozen.href))]


def fits(index: Index, generation: Generation) -> bool:
    """Whether the index speaks of just these documents."""
    sizes = [
        head + tail + sum(segment.packs[kind].length for segment in index.segments)
        for kind, (head, tail) in enumerate(zip(index.heads, index.tails, strict=True))
    ]
    return index.generation == generation.number and sizes == [d.size for d, _ in sources(generation)]


def segmented(store: Store, cache: Cache, generation: Generation) -> Index:
    """The index of ``generation``, with its segments put into ``cache``, from the store's documents.

    ``NotFound`` or ``Corrupt`` where they are missing or not sound.
    """
    readers = [members(store, document, path) for document, path in sources(generation)]
    parts: list[Segment] = []
    try:
        heads = [next(reader) for reader in readers]
        tails = next(rows := zip(*readers, strict=True))
        for row in rows:
            parts.append(_kept(cache, tails))
            tails = row
    except NotFound as error:
        raise NotFound(f"generation {generation.number}: {error}; restore it from a copy of the store") from error
    except (StopIteration, ValueError) as error:
        msg = f"generation {generation.number}: its documents are not cut alike ({error}); restore them from a copy"
        raise Corrupt(msg) from error
    frame = [(text.head(kind, generation.packages), text.tail(kind)) for kind in text.COLUMNS]
    count = sum(segment.packages for segment in parts)
    if count != generation.packages or [(h.text, t.text) for h, t in zip(heads, tails, strict=True)] != frame:
        msg = f"generation {generation.number}: its documents do not hold {generation.packages} packages"
        raise Corrupt(msg)
    return Index(
        generation=generation.number,
        heads=[len(member.packed) for member in heads],
        tails=[len(member.packed) for member in tails],
        segments=parts,
    )


def _kept(cache: Cache, row: Sequence[codec.Member]) -> Segment:
    listed = text.packages(row[0].text)
    if not listed:
        msg = "primary has a member without a package"
        raise Corrupt(msg)
    return Segment(
        first=listed[0].nevra.order,
        packages=len(listed),
        texts=[log.append(member.text) for log, member in zip(cache.texts, row, strict=True)],
        crcs=[codec.crc(member.text) for member in row],
        packs=[log.append(member.packed) for log, member in zip(cache.packs, row, strict=True)],
    )
