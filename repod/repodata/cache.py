"""The segments of one repository on local disk: append-only files and an index.

Only a cache: it may be deleted at any time, and every text is checked against its CRC
when it is used. ``Corrupt`` means: clear it and rebuild from the repository's documents.
"""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from repod import jsontext
from repod.doors import Fetch
from repod.errors import Corrupt, Unavailable
from repod.repodata import buffers, codec
from repod.repodata.segments import Segment, Span
from repod.scratch import scratch

FORMAT = 3
_STAGE = "index-"
_CLOSED = -1
GARBAGE = 64 << 20
"""Bytes that no segment uses, above which the files are written anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What the files hold: which generation, how its documents begin and end, its segments.

    ``packing`` names how the documents are packed, ``checksums`` are theirs. ``heads`` and ``tails``
    are the lengths in bytes of each document's first and last member, 0 where it is one stream.
    """

    generation: int
    packing: str
    checksums: Sequence[str]
    heads: Sequence[int]
    tails: Sequence[int]
    segments: Sequence[Segment]


class Log:
    """One append-only file of spans."""

    def __init__(self, path: Path) -> None:
        """Open or create the file."""
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self.end = os.fstat(self._file).st_size

    def append(self, data: bytes) -> Span:
        """Write ``data`` at the end."""
        span = Span(offset=self.end, length=len(data))
        view = memoryview(data)
        try:
            while view:
                written = os.pwrite(self._file, view, self.end)
                view = view[written:]
                self.end += written
        except OSError as error:
            raise _unusable(self.path, error) from error
        return span

    def read(self, span: Span) -> bytes:
        """The bytes of ``span``; ``Corrupt`` where the file is short or was given up."""
        if self._file == _CLOSED:
            msg = f"cache file {self.path} was given up meanwhile"
            raise Corrupt(msg)
        try:
            data = os.pread(self._file, span.length, span.offset)
        except OSError as error:
            raise _unusable(self.path, error) from error
        if len(data) != span.length:
            raise self._short()
        return data

    def fetcher(self, spans: Sequence[Span]) -> Fetch:
        """Gives ranges of the bytes that ``spans`` are in a row; any thread may ask."""

        def fetch(offset: int, length: int) -> bytes:
            starts = list(accumulate((span.length for span in spans), initial=0))
            at, pieces = bisect_right(starts, offset) - 1, []
            while length:
                if at >= len(spans):
                    raise self._short()
                skip = offset - starts[at]
                piece = Span(offset=spans[at].offset + skip, length=min(length, spans[at].length - skip))
                pieces.append(self.read(piece))
                offset, length, at = offset + piece.length, length - piece.length, at + 1
            return b"".join(pieces)

        return fetch

    def feed(self, spans: Iterable[Span], update: Callable[[memoryview], object]) -> None:
        """Give the bytes of ``spans``, in their order, to ``update`` by large pieces.

        ``Corrupt`` where the file is short.
        """
        for start, length in _joined(spans):
            self._feed_run(start, length, update)

    def _feed_run(self, at: int, left: int, update: Callable[[memoryview], object]) -> None:
        with buffers.lent() as view:
            while left:
                try:
                    count = os.preadv(self._file, [view[: min(left, buffers.SIZE)]], at)
                except OSError as error:
                    raise _unusable(self.path, error) from error
                if not count:
                    raise self._short()
                update(view[:count])
                at, left = at + count, left - count

    def _short(self) -> Corrupt:
        return Corrupt(f"cache file {self.path} is shorter than its index says")

    def close(self) -> None:
        """Close the file. Who still asks for a range of it is refused, and never given another file's bytes."""
        file, self._file = self._file, _CLOSED
        os.close(file)


class Cache:
    """The files of one repository: a text log and a pack log per document, and the index.

    One process uses a folder at a time. A second one gets a temporary folder of its own,
    so that a command beside the daemon works, only slower.
    """

    def __init__(self, folder: Path, kinds: Sequence[str], garbage: int = GARBAGE) -> None:
        """Open what lies in ``folder``, or start empty; ``Unavailable`` where it cannot be written.

        The files are written anew where ``garbage`` bytes, and more than are in use, are in vain.
        """
        self._kinds = kinds
        self._limit = garbage
        self._own = ExitStack()
        # By identity, which holds as long as the segment is kept beside its row.
        self._rows: dict[int, tuple[Segment, bytes]] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise _unusable(folder, error) from error
        try:
            self.folder = self._claim(folder)
            self._epoch = self._known_epoch() or self._new_epoch()
            self.texts, self.packs = self._open(self._epoch)
        except OSError as error:
            os.close(self._lock)
            raise _unusable(folder, error) from error

    def _claim(self, folder: Path) -> Path:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return self._own.enter_context(scratch(folder, "second-"))
        for left_over in folder.glob("second-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        for stage in folder.glob(f"{_STAGE}*"):
            stage.unlink(missing_ok=True)
        return folder

    def _known_epoch(self) -> str:
        """The folder of files that the index speaks of; every other one is removed."""
        fields = self._fields() or {}
        known = str(fields.get("epoch", ""))
        for folder in self.folder.glob("epoch-*"):
            if folder.name != known:
                shutil.rmtree(folder, ignore_errors=True)
        return known if known and (self.folder / known).is_dir() else ""

    def _new_epoch(self) -> str:
        epoch = f"epoch-{secrets.token_hex(8)}"
        (self.folder / epoch).mkdir(mode=0o700)
        return epoch

    def _open(self, epoch: str) -> tuple[list[Log], list[Log]]:
        folder = self.folder / epoch
        return (
            [Log(folder / f"{kind}.text") for kind in self._kinds],
            [Log(folder / f"{kind}.packed") for kind in self._kinds],
        )

    def text(self, column: int, segment: Segment) -> bytes:
        """A segment's plain text in one column; ``Corrupt`` where it is not what was kept."""
        data = self.texts[column].read(segment.texts[column])
        if codec.crc(data) != segment.crcs[column]:
            raise self._altered(column)
        return data

    def feed_text(self, column: int, parts: Sequence[Segment], update: Callable[[memoryview], object]) -> None:
        """Give the plain text of ``parts`` to ``update``; ``Corrupt`` at its end where it is not what was kept."""
        crc = 0

        def both(piece: memoryview) -> None:
            nonlocal crc
            crc = codec.crc(piece, crc)
            update(piece)

        self.texts[column].feed((segment.texts[column] for segment in parts), both)
        if crc != codec.joined_crc((segment.crcs[column], segment.texts[column].length) for segment in parts):
            raise self._altered(column)

    def _altered(self, column: int) -> Corrupt:
        return Corrupt(f"the cached text of {self._kinds[column]} does not have its CRC")

    @property
    def _logs(self) -> Sequence[Log]:
        return (*self.texts, *self.packs)

    def _fields(self) -> dict[str, Any] | None:
        try:
            digest, _, data = (self.folder / "index.json").read_bytes().partition(b"\n")
        except OSError:
            return None
        # A flipped bit in here would make ``find`` look in the wrong segment and miss a package.
        if digest != _digest(data):
            return None
        fields: dict[str, Any] = jsontext.loads(data)
        return fields if fields["format"] == FORMAT else None

    def load(self) -> Index | None:
        """The saved index, or None where there is none that fits the files."""
        fields = self._fields()
        if fields is None or fields["epoch"] != self._epoch:
            return None
        if any(log.end < end for log, end in zip(self._logs, fields["ends"], strict=True)):
            return None
        segments = [_segment(*row) for row in fields["segments"]]
        known = {name: fields[name] for name in ("generation", "packing", "checksums", "heads", "tails")}
        return Index(**known, segments=segments)

    def save(self, index: Index) -> Index:
        """Replace the saved index; the files are written anew first where garbage fills them.

        Where it fails (``Unavailable``, ``Corrupt``) everything is as it was, and ``index`` can be used on.
        """
        try:
            if self._garbage(index) > self._limit:
                return self._compacted(index)
            self._write(index, self._epoch, self._logs)
        except OSError as error:
            raise _unusable(self.folder, error) from error
        return index

    def _write(self, index: Index, epoch: str, logs: Sequence[Log]) -> None:
        fields = {
            "format": FORMAT,
            "epoch": epoch,
            "generation": index.generation,
            "packing": index.packing,
            "checksums": index.checksums,
            "heads": index.heads,
            "tails": index.tails,
            "ends": [log.end for log in logs],
        }
        data = b'%s,"segments":[%s]}' % (_json(fields)[:-1], b",".join(self._encoded(index.segments)))
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=_STAGE, delete=False) as stage:
            try:
                stage.write(_digest(data) + b"\n" + data)
                stage.close()
                Path(stage.name).replace(self.folder / "index.json")
            except BaseException:
                Path(stage.name).unlink(missing_ok=True)
                raise

    def _encoded(self, segments: Sequence[Segment]) -> list[bytes]:
        """The rows of the index. Nearly all are those of the last time: making all anew takes 12 ms for 1,000."""
        known = self._rows
        self._rows = {id(one): known.get(id(one)) or (one, _json(_row(one))) for one in segments}
        return [row for _, row in self._rows.values()]

    def clear(self) -> None:
        """Forget everything."""
        try:
            (self.folder / "index.json").unlink(missing_ok=True)
            epoch = self._new_epoch()
            self._switch(epoch, *self._open(epoch))
        except OSError as error:
            raise _unusable(self.folder, error) from error

    def close(self) -> None:
        """Close the files and let another process have the folder."""
        for log in self._logs:
            log.close()
        os.close(self._lock)
        self._own.close()

    def _garbage(self, index: Index) -> int:
        """Bytes that no segment uses, where they are more than those in use; else 0."""
        used = sum(span.length for segment in index.segments for span in (*segment.texts, *segment.packs))
        garbage = sum(log.end for log in self._logs) - used
        return garbage if garbage > used else 0

    def _compacted(self, index: Index) -> Index:
        epoch = self._new_epoch()
        texts, packs = self._open(epoch)
        try:
            segments = [
                Segment(
                    first=segment.first,
                    packages=segment.packages,
                    texts=list(_moved(self.texts, segment.texts, texts)),
                    crcs=segment.crcs,
                    packs=list(_moved(self.packs, segment.packs, packs)),
                )
                for segment in index.segments
            ]
            index = replace(index, segments=segments)
            self._write(index, epoch, [*texts, *packs])
        except BaseException:
            for log in (*texts, *packs):
                log.close()
            shutil.rmtree(self.folder / epoch, ignore_errors=True)
            raise
        self._switch(epoch, texts, packs)
        return index

    def _switch(self, epoch: str, texts: list[Log], packs: list[Log]) -> None:
        for log in self._logs:
            log.close()
        old, self._epoch = self._epoch, epoch
        self.texts, self.packs = texts, packs
        shutil.rmtree(self.folder / old, ignore_errors=True)


def _unusable(path: Path, error: OSError) -> Unavailable:
    return Unavailable(f"cache {path} cannot be used ({error}); give [state_dir] room and repod the right")


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


def _joined(spans: Iterable[Span]) -> Iterator[tuple[int, int]]:
    """Offset and length of the runs that ``spans`` form where one begins as the last ends."""
    start = length = 0
    for span in spans:
        if start + length != span.offset:
            if length:
                yield start, length
            start, length = span.offset, 0
        length += span.length
    if length:
        yield start, length


def _moved(old: Sequence[Log], spans: Sequence[Span], new: Sequence[Log]) -> Iterator[Span]:
    # A segment of a document that is one stream has no members of its own.
    for source, span, target in zip(old[: len(spans)], spans, new[: len(spans)], strict=True):
        yield target.append(source.read(span))


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _row(segment: Segment) -> list[Any]:
    return [
        segment.first,
        segment.packages,
        [(span.offset, span.length) for span in segment.texts],
        segment.crcs,
        [(span.offset, span.length) for span in segment.packs],
    ]


def _segment(first: list[Any], packages: int, texts: list[Any], crcs: list[int], packs: list[Any]) -> Segment:
    name, version, release, arch, epoch = first
    return Segment(
        first=(name, version, release, arch, epoch),
        packages=packages,
        texts=[Span(offset=offset, length=length) for offset, length in texts],
        crcs=crcs,
        packs=[Span(offset=offset, length=length) for offset, length in packs],
    )
