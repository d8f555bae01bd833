"""Processes that read strangers' files: each thing they must not do is really tried, in a real one."""

import errno
import importlib
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from repod.confinement.answers import Dishonest
from repod.confinement.bounds import Bounds
from repod.doors import Unreadable
from repod.processes import Lost, Processes
from repod.rpmfile import pool as rpmfile
from repod.rpmfile.pool import RpmWorkers
from tests.lab import intruder, rpms

_INTRUDER = intruder.__name__
_CANARY = b"a secret that no package may see"


@contextmanager
def _process(bounds: Bounds) -> Iterator[Processes]:
    pool = Processes(
        what="test", count=1, timeout=60, begin=importlib.import_module, arguments=[_INTRUDER], bounds=bounds
    )
    with closing(pool):
        yield pool


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of private copies; its neighbours hold what a process must not see."""
    base = tmp_path_factory.mktemp("confined")
    (base / "work").mkdir()
    (base / "key").write_bytes(_CANARY)
    (base / "work" / "copy.rpm").write_bytes(b"copy")
    (base / "work" / "way-out").symlink_to(base / "key")
    return base


@pytest.fixture(scope="module")
def reader(box: Path) -> Iterator[Processes]:
    """As what reads packages is bounded."""
    with _process(Bounds(writes=[box / "work"], largest=1 << 20, memory=2 << 30)) as pool:
        yield pool


@pytest.fixture(scope="module")
def signer() -> Iterator[Processes]:
    """As what signs is bounded."""
    with _process(Bounds()) as pool:
        yield pool


def test_this_kernel_does_all_that_bounds_ask_for(reader: Processes, signer: Processes) -> None:
    assert (list(reader.gaps()), list(signer.gaps())) == ([], [])


@pytest.mark.parametrize("what", ["socket", "socket of the machine", "netlink", "socketpair"])
def test_it_has_no_network(reader: Processes, signer: Processes, what: str) -> None:
    assert {pool.run(intruder.attempt, what) for pool in (reader, signer)} == {"EPERM"}


def test_it_reaches_no_listener_of_this_machine(reader: Processes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        assert reader.run(intruder.attempt, "connect", listener.getsockname()[1]) == "EPERM"
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_it_starts_no_process_and_no_thread(reader: Processes, signer: Processes) -> None:
    for pool in (reader, signer):
        assert pool.run(intruder.attempt, "fork") == "EPERM"
        assert pool.run(intruder.attempt, "thread") == "can't start new thread"


@pytest.mark.parametrize(
    "what",
    [
        "execve", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_open", "pidfd_getfd", "mount", "keyctl",
        "add_key", "bpf", "userfaultfd", "io_uring_setup", "perf_event_open", "unshare", "setns", "open_by_handle_at",
        "init_module",
    ],
)  # fmt: skip
def test_what_no_reader_asks_for_by_mistake_ends_it(reader: Processes, what: str) -> None:
    """The kernel ends it before the call is begun."""
    with pytest.raises(Lost) as lost:
        reader.run(intruder.attempt, what, attempts=1)
    assert lost.value.exitcode == -signal.SIGSYS


@pytest.mark.parametrize("what", ["memfd_create", "sched_setaffinity", "setuid", "dumpable", "code"])
def test_all_other_calls_that_reading_does_not_need_are_refused(reader: Processes, what: str) -> None:
    assert reader.run(intruder.attempt, what) == "EPERM"


def test_it_signals_neither_its_parent_nor_anybody_else(reader: Processes, signer: Processes) -> None:
    for pid in (os.getpid(), 1, -1, 0):
        assert {pool.run(intruder.attempt, "kill", pid) for pool in (reader, signer)} == {"EPERM"}
    assert reader.run(intruder.attempt, "limit of another", os.getpid()) == "EPERM"


def test_it_reads_nothing_but_the_private_copies(box: Path, reader: Processes) -> None:
    """Not the key beside them, not through a link, not what is open to all, not its parent's memory."""
    assert reader.run(intruder.attempt, "read", f"{box}/work/copy.rpm") == "done"
    outside = [f"{box}/key", f"{box}/work/../key", f"{box}/work/way-out", "/etc/shadow", "/etc/passwd"]
    outside += [f"/proc/{os.getpid()}/{what}" for what in ("environ", "mem", "maps")]
    for path in outside:
        assert reader.run(intruder.attempt, "read", path) == "EACCES", path
    assert reader.run(intruder.attempt, "list", str(box)) == "EACCES"


def test_it_writes_nothing_but_private_copies(box: Path, reader: Processes) -> None:
    assert reader.run(intruder.attempt, "write", f"{box}/work/new") == "done"
    for path in (f"{box}/key", f"{box}/new", f"{box}/work/way-out", "/dev/shm/new", "/tmp/repod-new"):
        assert reader.run(intruder.attempt, "write", path) == "EACCES", path
    assert (box / "key").read_bytes() == _CANARY
    assert sorted(path.name for path in box.iterdir()) == ["key", "work"]
    for what, words in (
        ("rename", (f"{box}/work/new", f"{box}/new")),
        ("link", (f"{box}/key", f"{box}/work/linked")),
        ("symlink", (f"{box}/key", f"{box}/work/linked")),
        ("fifo", (f"{box}/work/fifo",)),
        ("chmod", (f"{box}/work/new",)),
    ):
        assert reader.run(intruder.attempt, what, *words) in {"EPERM", "EACCES", "EXDEV"}, what


def test_a_file_grows_no_larger_than_a_package_may_be(box: Path, reader: Processes) -> None:
    assert reader.run(intruder.attempt, "grow", f"{box}/work/large", 1 << 10) == "done"
    assert reader.run(intruder.attempt, "grow", f"{box}/work/large", 1 << 20) == errno.errorcode[errno.EFBIG]


def test_what_signs_sees_no_file_at_all(box: Path, signer: Processes) -> None:
    for path in (f"{box}/work/copy.rpm", f"{box}/key", "/etc/passwd", "/dev/null"):
        assert signer.run(intruder.attempt, "read", path) == "EPERM", path


def test_it_holds_no_descriptor_of_its_parents_and_has_limits(reader: Processes) -> None:
    """Its pipe, and three that lead nowhere."""
    held = reader.run(intruder.open_descriptors)
    assert [line.partition(": ")[2] for line in held] == ["0o20666"] * 3 + ["0o140777"]
    limits = reader.run(intruder.limits)
    assert limits["CORE"] == limits["NPROC"] == (0, 0)
    assert limits["FSIZE"] == (1 << 20, 1 << 20)
    assert limits["NOFILE"] == (64, 64)
    assert limits["AS"] == (2 << 30, 2 << 30)
    assert 0 < limits["CPU"][0] < 600


def test_what_it_answers_is_never_called(reader: Processes) -> None:
    with pytest.raises(Dishonest, match=r"names posix\.system, which no answer holds"):
        reader.run(intruder.lie)
    assert not Path("/tmp/repod-was-taken-over").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("execve", r"it made its reader ask for what no reader needs, and the kernel ended that \(SIGSYS\)"),
        ("socket", "it made its reader ask for what no reader needs, and the kernel refused that .*not permitted"),
    ],
)
def test_a_file_that_makes_its_reader_do_it_is_refused_and_no_other(
    box: Path, name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a reason that says so; the next file is read as ever."""
    monkeypatch.setattr(rpmfile, "_TASKS", (*rpmfile._TASKS, _INTRUDER))
    good = rpms.quick(box / "work", f"good-{name}")
    with closing(RpmWorkers(count=1, timeout=60, bounds=Bounds(writes=[box / "work"], largest=1 << 20))) as workers:
        with pytest.raises(Unreadable) as refused:
            workers.run(intruder.violate, good, name)
        assert workers.examine(good, b"").nevra.name == f"good-{name}"
    (fault,) = refused.value.faults
    assert fault.code == "reader"
    assert re.search(said, fault.text), fault.text
