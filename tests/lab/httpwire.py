"""HTTP/1.1 on the wire: heads, and bodies with their framing, passed on as they came."""

from asyncio import StreamReader
from collections.abc import AsyncIterator, Iterable

_PIECE = 1 << 18


async def again(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    """The pieces once more."""
    for piece in pieces:
        yield piece


async def read_head(reader: StreamReader) -> tuple[str, list[tuple[str, str]]]:
    """The first line and the headers of a message; ``EOFError`` where none comes."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return first, [(name, value.strip()) for name, _, value in pairs]


def wire(first: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """A head as bytes."""
    return "".join([f"{first}\r\n", *(f"{name}: {value}\r\n" for name, value in headers), "\r\n"]).encode("latin-1")


def closes(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether the connection ends with this message."""
    return any(name.lower() == "connection" and value.lower() == "close" for name, value in headers)


async def read_body(
    reader: StreamReader, headers: Iterable[tuple[str, str]], *, answer: bool = False, empty: bool = False
) -> AsyncIterator[bytes]:
    """The body that follows a head, in pieces, with its framing."""
    said = {name.lower(): value for name, value in headers}
    if empty:
        return
    if said.get("transfer-encoding", "").lower() == "chunked":
        size = -1
        while size:
            line = await reader.readline()
            size = int(line.split(b";")[0], 16)
            yield line + (await reader.readexactly(size + 2) if size else b"")
        while (line := await reader.readline()) not in {b"\r\n", b""}:
            yield line
        yield b"\r\n"
    elif answer and "content-length" not in said:
        while piece := await reader.read(_PIECE):
            yield piece
    else:
        left = int(said.get("content-length", 0))
        while left:
            piece = await reader.read(min(left, _PIECE))
            if not piece:
                raise EOFError
            left -= len(piece)
            yield piece
