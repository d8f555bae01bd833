"""Which processes the tests started, and that none of them is left."""

import os
import signal
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from tests.lab.wait import until

_MARK = "REPOD_TEST_RUN"
_HOME = "REPOD_TEST_HOME"
# A long-lived helper of Python itself: one per process, ends with it.
_PYTHON_HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


def mark() -> str:
    """Put a mark into the environment of this process that all its descendants inherit.

    It finds those too that became daemons, such as gpg-agents.
    """
    value = f"{os.getpid()}-{uuid.uuid4().hex}"
    os.environ[_MARK] = value
    return value


def marked(environ: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """A mark of its own for a process that is to be started, and ``environ`` with it: see ``bearers``."""
    value = f"{os.getpid()}-{uuid.uuid4().hex}"
    return value, {**environ, _MARK: value}


def environment(home: Path, **more: str) -> dict[str, str]:
    """A small, constant environment for tools, with this run's mark and ``home`` as theirs."""
    plain = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(home),
        _HOME: str(home),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }
    if _MARK in os.environ:
        plain[_MARK] = os.environ[_MARK]
    return plain | more


def _pids() -> Iterator[int]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            yield int(entry.name)


def _read(pid: int, what: str) -> bytes:
    # Every test asks for all processes of the machine twice: an unbuffered read costs half.
    try:
        with Path(f"/proc/{pid}/{what}").open("rb", buffering=0) as file:
            return file.readall()
    except OSError:
        return b""


def _status(pid: int) -> list[str]:
    """The fields of ``/proc/PID/stat`` after the name: state, parent, group, session …"""
    return _read(pid, "stat").decode(errors="replace").rpartition(")")[2].split()


def _alive(status: list[str]) -> bool:
    # A zombie holds nothing but its number; PID 1 of a container may leave it so.
    return bool(status) and status[0] not in {"Z", "X"}


def command(pid: int) -> list[str]:
    """The command line of a process, empty where it is gone or a zombie."""
    return _read(pid, "cmdline").decode(errors="replace").split("\0")[:-1]


def session(sid: int) -> set[int]:
    """Living processes of a session (one that ``start_new_session`` began)."""
    return {pid for pid in _pids() if _alive(fields := _status(pid)) and fields[3] == str(sid)}


def children(parent: int) -> set[int]:
    """Living children of a process, and theirs."""
    return _below(parent, {pid: fields for pid in _pids() if _alive(fields := _status(pid))})


def _below(parent: int, living: Mapping[int, list[str]]) -> set[int]:
    parents = {pid: int(fields[1]) for pid, fields in living.items()}
    found = {parent}
    while more := {pid for pid, above in parents.items() if above in found} - found:
        found |= more
    return found - {parent}


def descendants(value: str) -> set[int]:
    """Living processes that this one started: those that inherited the mark ``value``, and its children.

    The mark alone would miss a forked worker, a parent alone a process that became a daemon. What runs in a PID
    namespace of its own ends with the process that keeps that, so that one alone is counted.
    """
    living = _since_this_one()
    found = _bearing(value, living) | _below(os.getpid(), living)
    return {pid for pid in found if _namespace(pid) == _namespace(os.getpid())}


def bearers(value: str) -> set[int]:
    """Living processes that inherited the mark ``value``, whoever is their parent now."""
    return _bearing(value, _since_this_one())


def _since_this_one() -> dict[int, list[str]]:
    # What was there before this process is none of its descendants, and its environment need not be read.
    first = _started(_status(os.getpid()))
    return {pid: fields for pid in _pids() if _alive(fields := _status(pid)) and _started(fields) >= first}


def _bearing(value: str, living: Mapping[int, list[str]]) -> set[int]:
    needle = f"{_MARK}={value}".encode()
    return {pid for pid in living if needle in _read(pid, "environ").split(b"\0")}


def _started(status: list[str]) -> int:
    """When a process was started, in ticks since the machine was."""
    return int(status[19])


def _namespace(pid: int) -> str:
    with suppress(OSError):
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    return ""


def is_python_helper(pid: int) -> bool:
    """Whether it is one that multiprocessing starts once and keeps."""
    return any(helper in word for word in command(pid) for helper in _PYTHON_HELPERS)


def end(pids: Callable[[], set[int]], seconds: float, what: str) -> None:
    """Kill the processes that ``pids`` finds, by their numbers, and wait until it finds none."""
    for pid in pids():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not pids(), seconds, f"the end of {what}")


def end_agents(home: Path) -> None:
    """End the gpg-agents that were started under ``environment(home)`` or serve a directory below it."""

    def agents() -> set[int]:
        return {pid for pid in _pids() if _is_agent(pid, str(home))}

    for pid in agents():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    with suppress(AssertionError):
        until(lambda: not agents(), 2, "gpg-agents to end")
    end(agents, 5, f"gpg-agents of {home}")


def _is_agent(pid: int, home: str) -> bool:
    words = command(pid)
    if not words or Path(words[0]).name != "gpg-agent":
        return False
    # zypper's agents serve /var/tmp/zypp.*, so the home directory alone does not tell.
    if f"{_HOME}={home}".encode() in _read(pid, "environ").split(b"\0"):
        return True
    homes = [after for word, after in pairwise(words) if word == "--homedir"]
    return any(Path(served).is_relative_to(home) for served in homes)
