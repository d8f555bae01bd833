"""This machine as a host."""

import getpass
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any

from repod.client.fleet import ORDINARY, Connection, Host, HostFault, Limits, Ran, Trouble
from repod.client.transports.ended import Streams
from repod.client.transports.framing import words

_PIECE = 1 << 16


class LocalTransport:
    """``Transport`` to this machine, whatever the host's address."""

    @contextmanager
    def connect(self, host: Host) -> Iterator[Connection]:  # noqa: ARG002 - the door's
        """See ``Transport.connect``."""
        yield _Here()


class _Here:
    """``Connection`` to this machine."""

    def run(self, argv: Sequence[str], *, root: bool = False, data: bytes = b"", limits: Limits = ORDINARY) -> Ran:
        """See ``Connection.run``."""
        through_sudo = root and os.geteuid() != 0
        streams = Streams(limits)
        try:
            process = subprocess.Popen(
                words(argv, streams.mark, root=through_sudo),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise HostFault(Trouble.FAILED, f"{argv[0]} cannot be started: {error}") from error
        with process:
            if not _gathered(process, streams, data, time.monotonic() + limits.seconds):
                # All that it began ends with it, unless it went its own way.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise streams.silent(limits.seconds, argv[0])
        code = process.returncode
        return streams.ran(code if code >= 0 else 128 - code, root=through_sudo, user=getpass.getuser())


def _gathered(process: Any, streams: Streams, data: bytes, deadline: float) -> bool:
    """Whether it ended before ``deadline``; both streams are read and ``data`` is written as it takes it.

    What it left running may hold the streams open for as long as it likes: nobody waits for that.
    """
    kept = {process.stdout.fileno(): streams.out, process.stderr.fileno(): streams.err}
    os.set_blocking(process.stdin.fileno(), False)
    left = _written(process.stdin, memoryview(data))
    ended = os.pidfd_open(process.pid)
    try:
        while (now := time.monotonic()) < deadline:
            writing = [process.stdin] if left else []
            ready, writable, _ = select.select([*kept, ended], writing, [], deadline - now)
            for number in set(ready) & set(kept):
                if piece := os.read(number, _PIECE):
                    kept[number].add(piece)
                else:
                    del kept[number]
            if ready == [ended]:
                process.wait()
                return True
            if writable:
                left = _written(process.stdin, left)
    finally:
        os.close(ended)
    return False


def _written(stdin: IO[bytes], left: memoryview) -> memoryview:
    """What is still to be written; nothing where it is not read any more."""
    try:
        left = left[os.write(stdin.fileno(), left[:_PIECE]) :] if left else left
    except BlockingIOError:
        return left
    except BrokenPipeError:
        left = left[:0]
    if not left:
        with suppress(BrokenPipeError):
            stdin.close()
    return left
