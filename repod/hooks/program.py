"""Runs a program for each event: the event on its standard input, bounded in time, never by a shell."""

import shlex
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO

from repod.children import ended_within
from repod.errors import Misconfigured
from repod.happenings import Event
from repod.hooking import Hook, Undelivered

# What a program gets of the daemon's environment: no credentials, nothing that systemd gave to repod alone.
_PASSED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR")
_KEPT = 4096  # bytes of its output, the last ones
_SHOWN = 200


def words(hook: Hook, environ: Mapping[str, str]) -> Sequence[str]:
    """The command line of a hook; ``Misconfigured`` where there is no such program."""
    try:
        found = shlex.split(hook.exec)
    except ValueError as error:
        msg = f"hook {hook.name!r}: exec: not a command line ({error}); see its quotes"
        raise Misconfigured(msg) from error
    if not found or shutil.which(found[0], path=environ.get("PATH")) is None:
        name = found[0] if found else hook.exec
        msg = f"hook {hook.name!r}: exec: {name} is no program that repod may run; give its path, and see its mode"
        raise Misconfigured(msg)
    return found


class Program:
    """``Sink`` that is a program; exit status 0 means that it has the event."""

    def __init__(self, hook: Hook, environ: Mapping[str, str]) -> None:
        """Raises ``Misconfigured`` where there is no such program."""
        self._words = words(hook, environ)
        self._timeout = hook.timeout
        self._environ = {name: environ[name] for name in _PASSED if name in environ}
        self._environ |= {name: value for name, value in environ.items() if name.startswith("LC_")}

    def deliver(self, event: Event) -> str:
        """See ``Sink.deliver``."""
        about = {
            "REPOD_EVENT_ID": event.id,
            "REPOD_EVENT_TYPE": str(event.kind),
            "REPOD_EVENT_REPOSITORY": event.repository,
        }
        name = self._words[0]
        try:
            process = subprocess.Popen(
                self._words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self._environ | about,
                start_new_session=True,  # so that all that it starts can be ended with it
            )
        except OSError as error:
            msg = f"{name} cannot be started ({error.strerror}); see that it is installed and may be run"
            raise Undelivered(msg) from error
        status, output = _run(process, event.to_json(), self._timeout)
        if status is None:
            msg = f"{name} took more than {self._timeout:g} s and was killed; see what it waits for, or raise timeout"
            raise Undelivered(msg)
        if status:
            raise Undelivered(f"{name} ended with {_in_words(status)}" + (f": {output}" if output else ""))
        return output or "exit status 0"


def _run(process: subprocess.Popen[bytes], data: bytes, timeout: float) -> tuple[int | None, str]:
    """Its exit status, None where it took too long, and the last line that it wrote."""
    kept = bytearray()
    helpers = [
        threading.Thread(target=_feed, args=(process.stdin, data), daemon=True),
        threading.Thread(target=_drain, args=(process.stdout, kept), daemon=True),
    ]
    ended = ended_within(process, timeout, helpers, after=1)
    lines = bytes(kept).decode(errors="replace").split("\n")
    said = [text for line in lines if (text := "".join(char for char in line.strip() if char.isprintable()))]
    return (process.returncode if ended else None), (said[-1][:_SHOWN] if said else "")


def _feed(pipe: IO[bytes] | None, data: bytes) -> None:
    if pipe:
        with suppress(OSError), pipe:  # a program need not read it
            pipe.write(data)


def _drain(pipe: IO[bytes] | None, kept: bytearray) -> None:
    """Read all, so that nobody waits, and keep the end."""
    if pipe:
        with suppress(OSError, ValueError), pipe:
            while piece := pipe.read1(65536):  # type: ignore[attr-defined]
                kept += piece
                del kept[:-_KEPT]


def _in_words(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
