"""The log: a line that cannot be written is nobody's fault, and counted."""

import errno
import io

from repod.log import Steady


class _Stream(io.StringIO):
    """A stream on a disk that may be full."""

    full = False

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


def test_a_line_that_is_not_taken_fails_nobody_and_the_next_one_says_how_many_there_were() -> None:
    stream = _Stream()
    log = Steady(stream)
    assert log.told(None, "info", {"event": "a"}) == {"event": "a"}
    stream.full = True
    for _ in range(3):
        log.write("lost\n")
    stream.full = False
    assert log.told(None, "info", {"event": "b"}) == {"event": "b", "missed_before": 3}
    log.write("b\n")
    assert log.told(None, "info", {"event": "c"}) == {"event": "c"}
    assert stream.getvalue() == "b\n"


def test_a_stream_that_is_closed_fails_nobody() -> None:
    stream = io.StringIO()
    stream.close()
    Steady(stream).write("a\n")
