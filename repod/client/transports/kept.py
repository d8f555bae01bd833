"""What a command writes, as much of it as is kept: the beginning and the end."""


class Kept:
    """Takes any number of bytes and keeps at most ``limit`` of them, one half from each end."""

    def __init__(self, limit: int) -> None:
        """``limit``: bytes."""
        self._half = max(limit // 2, 1)
        self._head = bytearray()
        self._tail = bytearray()
        self._passed = 0  # bytes that left the tail

    def add(self, data: bytes) -> None:
        """Take more."""
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        # Cut now and then only, so that a byte is not moved once for each that follows.
        if len(self._tail) > 2 * self._half:
            self._trim()

    def _trim(self) -> None:
        over = len(self._tail) - self._half
        if over > 0:
            self._passed += over
            del self._tail[:over]

    @property
    def cut(self) -> bool:
        """Whether something is missing."""
        return self._passed + len(self._tail) > self._half

    def text(self) -> str:
        """What was kept; where something is missing, a line says how much. Bytes that are no UTF-8 are replaced."""
        self._trim()
        if not self._passed:
            return (self._head + self._tail).decode(errors="replace")
        head, tail = (part.decode(errors="replace") for part in (self._head, self._tail))
        return f"{head}\n[{self._passed} bytes left out]\n{tail}"

    def last(self, size: int = 2000) -> str:
        """The end of it, ``size`` bytes at most, without white space around it."""
        return bytes((self._head + self._tail)[-size:]).decode(errors="replace").strip()


def last_line(text: bytes) -> str:
    """The last line that is not empty, for a person: what a program that says no more waits with."""
    lines = [line for line in text.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[-200:] if lines else ""
