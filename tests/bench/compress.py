"""Libraries, levels and lengths of segments, on real text: what they cost, and against one stream by createrepo_c."""

import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import createrepo_c
import deflate
import zstandard
from isal import isal_zlib
from zlib_ng import zlib_ng

from repod.package import Entry
from repod.repodata import codec, segments, text
from tests.bench.corpus import build
from tests.bench.measure import table
from tests.bench.publisher import entry

Pack = Callable[[bytes], bytes]
_WRITERS = (createrepo_c.PrimaryXmlFile, createrepo_c.FilelistsXmlFile, createrepo_c.OtherXmlFile)
_SPREADS = (24, 48, 96, 192)
_MB = 1e6


def run(count: int) -> None:
    """Measure and print the tables."""
    with tempfile.TemporaryDirectory(prefix="repod-bench-") as name:
        paths = build(Path(name) / "corpus", count)
        entries = sorted(map(entry, paths), key=lambda one: one.package.nevra.order)
        peers = {"gz": createrepo_c.GZ_COMPRESSION, "zstd": createrepo_c.ZSTD_COMPRESSION}
        streams = {kind: _streams(entries, way, Path(name)) for kind, way in peers.items()}
    length = sum(len(getattr(one, kind)) for one in entries for kind in text.KINDS)
    print(f"{count:,} packages, {length / _MB:.0f} MB of text\n")
    _compare(entries, streams, length)
    print()
    _spread(entries, streams)


def _compare(entries: Sequence[Entry], streams: dict[str, list[int]], length: int) -> None:
    cut = _cut(entries, segments.SPREAD)
    rows = []
    for name, pack, unpack in _candidates():
        seconds, packed = _timed(pack, cut)
        back, _ = _timed(unpack, packed)
        stream = streams["zstd" if name.startswith("zstd") else "gz"]
        rows.append([name, *_ratios(packed, stream), f"{length / seconds / _MB:.0f}", f"{length / back / _MB:.0f}"])
    header = ["", *text.KINDS, "all", "pack MB/s", "unpack MB/s"]
    table(header, rows)
    print(f"\nSegments of {segments.SPREAD} packages; sizes against createrepo_c's single stream of the same format.")


def _spread(entries: Sequence[Entry], streams: dict[str, list[int]]) -> None:
    rows = []
    for spread in _SPREADS:
        cut = _cut(entries, spread)
        for one in codec.CODECS.values():
            seconds, packed = _timed(one.pack, cut)
            each = seconds / len(cut[0]) * 1000
            rows.append([str(spread), one.name, *_ratios(packed, streams[one.name]), f"{each:.1f}"])
    table(["packages per segment", "codec", *text.KINDS, "all", "ms to pack one segment of each document"], rows)
    print("\nWhat repod uses, by length of segments: a change packs at least one segment of each document.")


def _cut(entries: Sequence[Entry], spread: int) -> list[list[bytes]]:
    """The texts of each document's segments."""
    starts = [0, *(at for at, one in enumerate(entries) if at and _starts(one, spread))]
    runs = [entries[a:b] for a, b in zip(starts, [*starts[1:], len(entries)], strict=True)]
    return [[b"".join(getattr(one, kind) for one in run) for run in runs] for kind in text.KINDS]


def _starts(one: Entry, spread: int) -> bool:
    """As ``segments.starts``, with another spread."""
    return zlib.crc32("\0".join(map(str, one.package.nevra.order)).encode()) % spread == 0


def _candidates() -> Iterator[tuple[str, Pack, Pack]]:
    for level in (4, 6, 7, 8):
        yield f"libdeflate {level}", lambda data, at=level: bytes(deflate.gzip_compress(data, at)), _deflated
    for library, levels in ((zlib_ng, (5, 6, 8)), (zlib, (4, 6, 9)), (isal_zlib, (1, 3))):
        name = library.__name__.rpartition(".")[2]
        for level in levels:
            yield f"{name} {level}", _packer(library, level), lambda data, by=library: by.decompress(data, 31)
    for level in (1, 3, 6, 9, 12, 15):
        yield f"zstd {level}", zstandard.ZstdCompressor(level=level, write_checksum=True).compress, zstandard.decompress


def _deflated(data: bytes) -> bytes:
    return bytes(deflate.gzip_decompress(data))


def _packer(library: object, level: int) -> Pack:
    def pack(data: bytes) -> bytes:
        packer = library.compressobj(level, zlib.DEFLATED, 31)
        return packer.compress(data) + packer.flush()

    return pack


def _timed(work: Pack, cut: Sequence[Sequence[bytes]]) -> tuple[float, list[list[bytes]]]:
    """The better of two times of the processor, and what the work made."""
    best = float("inf")
    for _ in range(2):
        start = time.process_time()
        made = [[work(data) for data in document] for document in cut]
        best = min(best, time.process_time() - start)
    return best, made


def _ratios(packed: Sequence[Sequence[bytes]], stream: Sequence[int]) -> list[str]:
    sizes = [sum(map(len, document)) for document in packed]
    pairs = [*zip(sizes, stream, strict=True), (sum(sizes), sum(stream))]
    return [f"{size / one - 1:+.1%}" for size, one in pairs]


def _streams(entries: Sequence[Entry], way: int, folder: Path) -> list[int]:
    """The sizes of the documents as createrepo_c writes them."""
    sizes = []
    for kind, writer in zip(text.KINDS, _WRITERS, strict=True):
        path = folder / f"{kind}.{way}"
        file = writer(str(path), way)
        file.set_num_of_pkgs(len(entries))
        for one in entries:
            file.add_chunk(getattr(one, kind).decode())
        file.close()
        sizes.append(path.stat().st_size)
    return sizes
