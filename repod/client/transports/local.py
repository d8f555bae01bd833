"""This machine as a host: commands run here, with the same marks around them, and with sudo where root is asked for."""

import os
import secrets
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import IO

from repod.client.fleet import ORDINARY, Connection, Host, HostFault, Limits, Ran, Trouble
from repod.client.transports import frame

_PIECE = 64 << 10
_GRACE = 2.0  # seconds to end when asked to


class LocalTransport:
    """See ``Transport``. Every host is this machine, whatever its address."""

    def connect(self, host: Host) -> AbstractContextManager[Connection]:
        """See ``Transport``."""
        return self._connect(host)

    @contextmanager
    def _connect(self, host: Host) -> Iterator[Connection]:
        yield LocalConnection(host.name)


class LocalConnection:
    """See ``Connection``."""

    def __init__(self, name: str) -> None:
        """``name``: of the host, for people."""
        self._name = name

    def run(self, argv: Sequence[str], *, root: bool = False, data: bytes = b"", limits: Limits = ORDINARY) -> Ran:
        """See ``Connection``."""
        mark = secrets.token_hex(16)
        words = [word.encode("utf-8", "surrogateescape") for word in frame.marked(argv, mark, root=root)]
        out, err = frame.Stream(mark, limits.output), frame.Stream(mark, limits.output)
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        with ExitStack() as stack:
            pipes = [pipe for pipe in (process.stdin, process.stdout, process.stderr) if pipe]
            for pipe in pipes:
                stack.enter_context(pipe)
            stack.callback(_end, process)
            ended = _pump(pipes, data, (out, err), limits.seconds)
            if ended is None:
                raise frame.late(self._name, argv[0], limits.seconds, out, err)
        if out.code is None or err.code is None:
            raise self._unmarked(process.returncode, out, err, root=root)
        return frame.ran(out, err)

    def _unmarked(self, code: int, out: frame.Stream, err: frame.Stream, *, root: bool) -> HostFault:
        """What it means that it ended before the last marks came."""
        for stream in (out, err):
            stream.close()
        said = err.noise or out.noise or f"exit status {code}"
        if root and not out.begun:
            return frame.no_sudo(self._name, f"uid {os.getuid()}", said)
        last = err.kept.last() or out.kept.last()
        return HostFault(Trouble.LOST, f"{self._name}: its shell ended before the command did ({code})", output=last)


def _pump(
    pipes: Sequence[IO[bytes]], data: bytes, streams: tuple[frame.Stream, frame.Stream], seconds: float
) -> bool | None:
    """Write and read until both streams had their last mark or ended; None where time is over before that."""
    end = time.monotonic() + seconds
    left = memoryview(data)
    with selectors.DefaultSelector() as ready:
        for pipe, stream in zip(pipes, (None, *streams), strict=True):
            os.set_blocking(pipe.fileno(), False)
            ready.register(pipe, selectors.EVENT_READ if stream else selectors.EVENT_WRITE, stream)
        while any(key.data and key.data.code is None for key in ready.get_map().values()):
            wait = end - time.monotonic()
            if wait <= 0:
                return None
            for key, _ in ready.select(wait):
                if key.data is None:
                    left = _write(key.fd, left)
                    done = not left
                else:
                    done = not _read(key.fd, key.data)
                if done:
                    ready.unregister(key.fileobj)
                    if key.data is None:
                        pipes[0].close()
    return True


def _write(descriptor: int, left: memoryview) -> memoryview:
    try:
        return left[os.write(descriptor, left[:_PIECE]) :]
    except BlockingIOError:
        return left
    except OSError:
        return left[:0]  # a command may end without having read all


def _read(descriptor: int, stream: frame.Stream) -> bool:
    """Whether more may come."""
    data = os.read(descriptor, _PIECE)
    stream.feed(data)
    return bool(data) and stream.code is None


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Wait for its end; where it does not come, bring it about, as far as this user may."""
    for sign in (None, signal.SIGTERM, signal.SIGKILL):
        if sign is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.0 if sign is None else _GRACE)
            return
