"""Runs on disk: one file of JSON lines for each, flushed line by line, so that a killed run can be taken up again.

The first line is the plan; each later one is a host as it was then, or the run as a whole; the last word on each
counts. A last line that was torn by a crash is as if it had never been written: nothing follows from what was not
kept. Locks are those of the kernel, so none is left behind by a process that was killed.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

from repod import jsontext
from repod.client.runs import Plan, Progress, Standing, begun
from repod.errors import Conflict, Corrupt, NotFound, Unavailable
from repod.wording import counted

FORMAT = 1
_KEPT = 200
_TRIES, _LOOK = 4, 0.05

_PLAN: TypeAdapter[Plan] = TypeAdapter(Plan)
_PROGRESS: TypeAdapter[Progress] = TypeAdapter(Progress)
_AS_A_WHOLE = frozenset({"end", "ended", "problem", "notes", "part", "checked"})


class FileJournal:
    """The journal of one run, open to be written: by one process, which holds the locks of its groups."""

    def __init__(self, fd: int, path: Path) -> None:
        """``fd``: the file, opened to append; it is closed with this."""
        self._fd = fd
        self._path = path
        self._lock = Lock()

    @classmethod
    def create(cls, folder: Path, plan: Plan) -> Self:
        """A new one; ``Unavailable`` where it cannot be kept, ``Conflict`` where that run is there already."""
        path = _path(folder, plan.id)
        _make(folder)
        try:
            _forget(folder)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except FileExistsError as error:
            raise Conflict(f"{path} is there already; start the run again for an id of its own") from error
        except OSError as error:
            raise _unkept(path, error) from error
        journal = cls(fd, path)
        journal._write({"format": FORMAT, "plan": _PLAN.dump_python(plan, mode="json", by_alias=True)})
        _sync_folder(folder)
        return journal

    @classmethod
    def reopen(cls, folder: Path, name: str) -> tuple[Self, Standing]:
        """The journal of an earlier run, and how that stands. What was torn at its end is cut off."""
        standing, whole = _read(folder, name)
        path = _path(folder, name)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            os.ftruncate(fd, whole)
        except OSError as error:
            raise _unkept(path, error) from error
        return cls(fd, path), standing

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def note(self, standing: Standing, host: str = "") -> None:
        """See ``rundoors.Journal``. ``Unavailable`` where it cannot be kept."""
        if host:
            self._write({"host": _PROGRESS.dump_python(standing.hosts[host], mode="json")})
        else:
            self._write({"run": {key: getattr(standing, key) for key in sorted(_AS_A_WHOLE)}})

    def _write(self, line: Mapping[str, Any]) -> None:
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            try:
                while data:
                    data = data[os.write(self._fd, data) :]
                os.fsync(self._fd)
            except OSError as error:
                raise _unkept(self._path, error) from error


def read(folder: Path, name: str) -> Standing:
    """A run as its journal has it; ``NotFound`` where there is none, ``Corrupt`` where it cannot be understood."""
    return _read(folder, name)[0]


def names(folder: Path) -> Sequence[str]:
    """The ids of all runs that are kept, newest first."""
    try:
        return sorted((path.stem for path in folder.glob("*.jsonl")), reverse=True)
    except OSError as error:
        raise Unavailable(f"{folder} cannot be read ({error.strerror}); state_dir names where runs are kept") from error


@contextmanager
def locked(folder: Path, groups: Sequence[str], name: str) -> Iterator[None]:
    """While run ``name`` has these groups for itself on this machine; ``Conflict`` where another has one of them."""
    with ExitStack() as stack:
        for group in sorted(set(groups)):  # in one order, so that two runs never wait for each other
            stack.enter_context(_lock(folder, group, name))
        yield


@contextmanager
def _lock(folder: Path, group: str, name: str) -> Iterator[None]:
    path = folder / f"{group}.lock"
    _make(folder)
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _unkept(path, error) from error
    try:
        if not any(_taken(fd) for _ in range(_TRIES)):
            holder = os.pread(fd, 200, 0).decode(errors="replace").strip() or "another run"
            raise Conflict(f"group {group}: {holder} is at work; wait until it has ended, or stop it with Ctrl-C")
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"run {name} (process {os.getpid()})".encode(), 0)
        yield
    finally:
        os.close(fd)


def _taken(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(_LOOK)  # it may be a look of ``at_work``, which is over at once
        return False
    return True


def at_work(folder: Path, groups: Sequence[str]) -> bool:
    """Whether a process of this machine has one of these groups now."""
    for path in (folder / f"{group}.lock" for group in groups):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
    return False


def _read(folder: Path, name: str) -> tuple[Standing, int]:
    """The run, and how many bytes of its journal are whole lines."""
    path = _path(folder, name)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"there is no run {name!r} in {folder}; repoctl hosts runs lists those there are") from error
    except OSError as error:
        raise Unavailable(f"{path} cannot be read ({error.strerror})") from error
    whole = data.rfind(b"\n") + 1
    first, *rest = data[:whole].splitlines() or [b""]
    try:
        head = jsontext.loads(first)
        if head["format"] != FORMAT:
            raise Corrupt(f"{path} is of format {head['format']}, expected {FORMAT}; another repoctl wrote it")
        standing = begun(_PLAN.validate_python(head["plan"]))
        standing = _after(standing, [jsontext.loads(line) for line in rest])
    except (ValueError, KeyError, TypeError) as error:
        reason = counted(error.error_count(), "fault") if isinstance(error, ValidationError) else error
        msg = f"{path} cannot be understood ({reason}); remove it, and start a new run: hosts that are done stay so"
        raise Corrupt(msg) from error
    return standing, whole


def _after(standing: Standing, lines: Sequence[Mapping[str, Any]]) -> Standing:
    """With what the lines say; of each host, and of the run, the last one counts."""
    hosts = {line["host"]["host"]: line["host"] for line in lines if "host" in line}
    told = {name: _PROGRESS.validate_python(one) for name, one in hosts.items() if name in standing.hosts}
    whole: Mapping[str, Any] = next((line["run"] for line in reversed(lines) if "run" in line), {})
    of_it = {key: whole[key] for key in whole.keys() & _AS_A_WHOLE}
    return replace(standing, hosts={**standing.hosts, **told}, **of_it)


def _forget(folder: Path) -> None:
    """Keep the newest runs only."""
    for name in names(folder)[_KEPT:]:
        _path(folder, name).unlink(missing_ok=True)


def _path(folder: Path, name: str) -> Path:
    if not name or "/" in name or name.startswith("."):
        raise NotFound(f"{name!r} is no id of a run; repoctl hosts runs lists those there are")
    return folder / f"{name}.jsonl"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise _unkept(folder, error) from error


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _unkept(path: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"{path} cannot be written ({error.strerror}): a run that is not kept could not be resumed; "
        "make room or rights there, or name another place as state_dir"
    )
