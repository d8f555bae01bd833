"""A body becomes a file in an inbox: streamed to disk by threads of its own, hashed on the way, or refused early."""

import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from fastapi import Request

from repod.errors import RepodError
from repod.letterbox import Letter, Letterbox, misnamed
from repod.web.api.digests import Digests
from repod.web.api.problems import Declined
from repod.web.desk import Desk

_PIECE = 1 << 20
_MALFORMED, _NO_ARRIVAL, _INVALID, _TOO_LARGE, _MISMATCH = "malformed", "no-arrival", "invalid", "too-large", "mismatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What is brought: ``size`` in bytes, None where it is not known before."""

    file: str
    size: int | None
    digests: Digests
    repository: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What lies in the inbox now, under the name ``file``."""

    file: str
    size: int
    sha256: str


def announced(request: Request, file: str, box: Letterbox, repository: str) -> Upload:
    """What a request is about to bring, from its head alone; ``Declined`` where it is not to be brought."""
    if fault := misnamed(file):
        raise Declined(_MALFORMED, f"the name of the file: {fault}; expected NAME.rpm or a document's name")
    if why := box.refuses(file):
        raise Declined(_NO_ARRIVAL, f"{file}: {why}; the inbox of {repository} would leave it alone")
    if coding := request.headers.get("content-encoding", ""):
        raise Declined(_NO_ARRIVAL, f"Content-Encoding: expected none, found {coding[:40]!r}; send it as it is")
    if "content-range" in request.headers:
        raise Declined(_MALFORMED, "Content-Range: an upload is one whole file; send it again from its start")
    digests = Digests(request.headers)
    length = request.headers.get("content-length")
    size = int(length) if length is not None else None
    if size is not None:
        _fits(file, size, box, repository)
        if not size:
            raise _empty(file)
    return Upload(file=file, size=size, digests=digests, repository=repository)


def _empty(file: str) -> Declined:
    """The answer to a body without a byte."""
    return Declined(_INVALID, f"{file}: the body is empty; send the file as the body: curl -T FILE URL")


def _fits(file: str, size: int, box: Letterbox, repository: str) -> None:
    if size > box.limit:
        limit = f"expected at most {box.limit} ([repository.acceptance] max_size of {repository})"
        raise Declined(_TOO_LARGE, f"{file}: {size} bytes or more; {limit}")


class Receiving:
    """Takes bodies in. ``desk``: threads that write to disks, and may hang with them."""

    def __init__(self, desk: Desk) -> None:
        """The desk is this one's alone."""
        self._desk = desk

    async def receive(
        self,
        request: Request,
        upload: Upload,
        box: Letterbox,
        *,
        expect: Callable[[str, str], object],
    ) -> Brought:
        """Bring the body of ``request`` to ``box``. Raises ``ClientDisconnect``, ``Declined`` and what ``Letter`` does.

        ``expect`` is told SHA-256 and name before the file can be seen.
        """
        letter = await self._desk.run(lambda: box.open(upload.file, upload.size))
        writing = _Writing(letter, upload.digests)
        try:
            size = 0
            async for piece in _pieces(request):
                size += len(piece)
                _fits(upload.file, size, box, upload.repository)
                await self._desk.run(lambda data=piece: writing.write(data))  # type: ignore[misc]
            if not size:
                raise _empty(upload.file)
            if faults := upload.digests.faults():
                raise Declined(_MISMATCH, *(f"{upload.file}: {fault}" for fault in faults))
            checksum = upload.digests.sha256
            name = await self._desk.run(lambda: writing.deliver(lambda name: expect(checksum, name)))
        finally:
            # Even where this task was cancelled: what was gathered is let go of, after what is being written.
            with contextlib.suppress(RepodError):
                await self._desk.run(writing.close)
        return Brought(file=name, size=size, sha256=checksum)


class _Writing:
    """A letter and what its bytes are hashed with; a write that was given up ends before it is closed."""

    def __init__(self, letter: Letter, digests: Digests) -> None:
        self._letter = letter
        self._digests = digests
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        with self._lock:
            self._digests.update(data)
            self._letter.write(data)

    def deliver(self, expect: Callable[[str], object]) -> str:
        with self._lock:
            return self._letter.deliver(expect)

    def close(self) -> None:
        with self._lock:
            self._letter.close()


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces that are worth a thread's while."""
    held = bytearray()
    async for data in request.stream():
        held += data
        if len(held) >= _PIECE:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)
