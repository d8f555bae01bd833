"""One command over a channel of SSH: both streams read as they come, its input written as it is taken."""

import select
import time
from collections.abc import Callable
from dataclasses import dataclass

import paramiko

from repod.client.transports.frame import Stream

_PIECE = 32 << 10
_FULL = 0.02  # seconds until a host that takes no more input is looked at again
_PATIENCE = 3  # times ``silence`` until a host that answers nothing is given up
_LAST = 1.0  # seconds for the exit status to follow the end of the streams


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The host closed the channel: with this exit status, or None where it told of none."""

    status: int | None


class LateError(Exception):
    """Time is over."""


class SilentError(Exception):
    """The host did not answer for a while, not even that it is there."""


@dataclass(slots=True, kw_only=True)
class Pump:
    """``silence``: seconds without a byte after which ``ask`` is called, which has the host answer; 0: never.

    ``heard`` tells when it last answered.
    """

    channel: paramiko.Channel
    out: Stream
    err: Stream
    silence: float
    ask: Callable[[], None]
    heard: Callable[[], float]

    def run(self, data: bytes, seconds: float) -> Ended | None:
        """Write ``data`` and read until both streams have their last mark: None; or the channel is closed.

        Raises ``LateError``, ``SilentError``, or ``OSError`` where the connection ends.
        """
        poll = select.poll()
        poll.register(self.channel.fileno(), select.POLLIN)
        left = memoryview(data)
        now = time.monotonic()
        end, read, asked = now + seconds, now, now
        while True:
            left = self._write(left)
            if self._read():
                read = time.monotonic()
            if self.out.code is not None and self.err.code is not None:
                return None
            if self.channel.closed or self.channel.eof_received:
                return self._ended()
            now = time.monotonic()
            if now >= end:
                raise LateError
            asked = self._still_there(max(read, self.heard()), asked, now)
            wait = min(end - now, _FULL if left else self.silence or seconds)
            poll.poll(max(wait, 0.001) * 1000)

    def _write(self, left: memoryview) -> memoryview:
        while left and self.channel.send_ready():
            try:
                left = left[self.channel.send(bytes(left[:_PIECE])) :]
            except OSError:
                return left[:0]  # a command may end without having read all
            if not left:
                self.channel.shutdown_write()
        return left

    def _read(self) -> bool:
        """Whether anything came."""
        some = False
        while self.channel.recv_ready():
            self.out.feed(self.channel.recv(_PIECE))
            some = True
        while self.channel.recv_stderr_ready():
            self.err.feed(self.channel.recv_stderr(_PIECE))
            some = True
        return some

    def _ended(self) -> Ended:
        self._read()
        if self.out.code is not None and self.err.code is not None:
            return Ended(status=self.out.code)
        told = self.channel.status_event.wait(_LAST)
        status = self.channel.exit_status
        return Ended(status=status if told and status >= 0 else None)

    def _still_there(self, heard: float, asked: float, now: float) -> float:
        """When the host was last asked."""
        if not self.silence:
            return asked
        if now - heard >= self.silence * _PATIENCE:
            raise SilentError
        if now - max(heard, asked) >= self.silence:
            self.ask()
            return now
        return asked
