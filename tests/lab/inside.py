"""A connection to a host of ``tests/lab/machines.py`` that needs no sshd, and can be cut as one over SSH can."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence

from repod.client.fleet import HostFault, Limits, Ran, Trouble
from tests.lab.box import ENVIRONMENT
from tests.lab.machine import Machine

_LIMITS = Limits()


class Inside:
    """See ``fleet.Connection``. ``asked``: every call.

    ``cut``: asked before each call; where it says so, that one's connection ends a second after it began, and not
    before ``under_way`` says that what is to be cut is at work; what ``cut`` gives is raised then, if that is an
    exception.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.asked: list[Sequence[str]] = []
        self.cut: Callable[[Sequence[str]], bool | BaseException] = lambda _: False
        self.under_way: Callable[[], bool] = lambda: True

    def actions(self) -> list[str]:
        """What ``host.sh`` was asked for, in order, whether in one call or in several."""
        return [action for argv in self.asked for action in actions(argv)]

    def run(self, argv: Sequence[str], *, root: bool = False, data: bytes = b"", limits: Limits = _LIMITS) -> Ran:
        """See ``fleet.Connection``; it is root already."""
        assert root, argv
        self.asked.append(list(argv))
        lost = self.cut(argv)
        process = subprocess.Popen(
            [*self.machine.inside(), *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            start_new_session=True,
        )
        with process:  # what was not read of its input is let go of too
            try:
                talk = self._until_it_is_cut if lost else _to_its_end
                out, err = talk(process, data, limits.seconds)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGHUP)
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                if isinstance(lost, BaseException):
                    raise lost from None
                trouble = Trouble.LOST if lost else Trouble.TIME_LIMIT
                raise HostFault(trouble, f"{self.machine.name}: the connection ended") from None
        if isinstance(lost, BaseException):
            raise lost
        if lost:
            raise HostFault(Trouble.LOST, f"{self.machine.name}: the connection ended")
        return Ran(code=process.returncode, out=out.decode(errors="replace"), err=err.decode(errors="replace"))

    def _until_it_is_cut(self, process: "subprocess.Popen[bytes]", data: bytes, seconds: float) -> tuple[bytes, bytes]:
        """What it wrote; ``TimeoutExpired`` after a second, and as soon as what is to be cut is under way."""
        end, given = time.monotonic() + seconds, data or None
        while True:
            try:
                return process.communicate(given, timeout=1.0)
            except subprocess.TimeoutExpired:
                if self.under_way() or time.monotonic() > end:
                    raise
                given = None  # it has it


def _to_its_end(process: "subprocess.Popen[bytes]", data: bytes, seconds: float) -> tuple[bytes, bytes]:
    return process.communicate(data, timeout=seconds)


def actions(argv: Sequence[str]) -> list[str]:
    """What one call asks ``host.sh`` for; nothing where it is not called."""
    if list(argv[:2]) != ["sh", "-s"]:
        return []
    if argv[3] != "all":
        return [argv[3]]
    words, found = list(argv[4:]), list[str]()
    while words:
        found.append(words[1])
        words = words[int(words[0]) + 1 :]
    return found
