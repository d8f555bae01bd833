"""The output of a program, of which no more is kept than is wanted, whatever it writes."""

from collections import deque


class Kept:
    """The beginning and the end of a stream; ``cut`` says whether something between them is missing."""

    def __init__(self, most: int) -> None:
        """``most``: how many bytes are kept, half of them of the beginning."""
        self._head_room = most - most // 2
        self._tail_room = most // 2
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._in_tail = 0
        self.missing = 0

    @property
    def cut(self) -> bool:
        """Whether something is missing."""
        return self.missing > 0

    def add(self, piece: bytes) -> None:
        """What comes next."""
        room = self._head_room - len(self._head)
        self._head += piece[:room]
        rest = piece[room:]
        if rest:
            self._tail.append(rest)
            self._in_tail += len(rest)
        while self._in_tail > self._tail_room:
            over = self._in_tail - self._tail_room
            first = self._tail.popleft()
            if len(first) > over:
                self._tail.appendleft(first[over:])
            gone = min(len(first), over)
            self._in_tail -= gone
            self.missing += gone

    def bytes(self) -> bytes:
        """What is kept, with a line in the place of what is missing."""
        between = f"\n[{self.missing} bytes left out]\n".encode() if self.missing else b""
        return bytes(self._head) + between + b"".join(self._tail)


def last_line(text: bytes) -> str:
    """The last line that is not empty, for a person: what a program that says no more waits with."""
    lines = [line for line in text.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[-200:] if lines else ""
