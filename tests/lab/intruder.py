"""What a file might make the process do that reads it: run in worker processes, which must not be able to."""

import ctypes
import errno
import mmap
import os
import resource
import signal
import socket
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)


def attempt(what: str, *arguments: Any) -> str:
    """Try it; ``done``, or the kernel's word for the refusal."""
    try:
        _ATTEMPTS[what](*arguments)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    except RuntimeError as error:  # Python's, where a thread cannot be started
        return str(error)
    return "done"


def lie() -> Any:
    """What it answers is read by having a program run."""
    return _Lie()


class _Lie:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/repod-was-taken-over",)


def open_descriptors() -> list[str]:
    """Where the descriptors lead that it has, those of its pipe and of this look left out."""
    found = []
    for number in range(256):
        try:
            found.append(f"{number}: {oct(os.fstat(number).st_mode)}")
        except OSError:
            continue
    return found


def limits() -> Mapping[str, tuple[int, int]]:
    """Its limits, by name."""
    names = ("CORE", "FSIZE", "NOFILE", "NPROC", "AS", "CPU")
    return {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}")) for name in names}


def violate(path: Path, name: str) -> None:
    """A task on a file that makes one of ``attempt``'s calls, as a reader would that was taken over."""
    _ATTEMPTS[name]()


def _call(number: int, *arguments: int) -> None:
    if _LIBC.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)) == -1:
        raise OSError(ctypes.get_errno(), "refused")


def _connect(port: int) -> None:
    with socket.socket() as one:
        one.connect(("127.0.0.1", port))


def _write(path: str) -> None:
    Path(path).write_text("was here")


def _grow(path: str, size: int) -> None:
    with Path(path).open("wb") as file:
        file.seek(size)
        file.write(b"x")


def _thread() -> None:
    import threading  # noqa: PLC0415 - held by every Python that runs multiprocessing

    threading.Thread(target=print).start()


_NUMBERS: Mapping[str, Mapping[str, int]] = {
    "x86_64": {
        "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "pidfd_getfd": 438, "pidfd_open": 434,
        "mount": 165, "keyctl": 250, "add_key": 248, "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425,
        "perf_event_open": 298, "unshare": 272, "setns": 308, "open_by_handle_at": 304, "init_module": 175,
        "vfork": 58, "memfd_create": 319, "sched_setaffinity": 203, "setuid": 105,
    },
    "aarch64": {
        "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "pidfd_getfd": 438, "pidfd_open": 434,
        "mount": 40, "keyctl": 219, "add_key": 217, "bpf": 280, "userfaultfd": 282, "io_uring_setup": 425,
        "perf_event_open": 241, "unshare": 97, "setns": 268, "open_by_handle_at": 265, "init_module": 105,
        "memfd_create": 279, "sched_setaffinity": 122, "setuid": 146,
    },
}  # fmt: skip

_ATTEMPTS: Mapping[str, Callable[..., Any]] = {
    "socket": socket.socket,
    "socket of the machine": lambda: socket.socket(socket.AF_UNIX),
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "socketpair": socket.socketpair,
    "connect": _connect,
    "fork": os.fork,
    "thread": _thread,
    "execve": lambda: os.execv("/bin/true", ["true"]),
    "kill": lambda pid: os.kill(pid, signal.SIGTERM),
    "read": lambda path: Path(path).read_bytes(),
    "list": os.listdir,
    "write": _write,
    "link": os.link,
    "symlink": os.symlink,
    "rename": os.rename,
    "chmod": lambda path: Path(path).chmod(0o4777),
    "fifo": os.mkfifo,
    "grow": _grow,
    "dumpable": lambda: _call({"x86_64": 157, "aarch64": 167}[os.uname().machine], 4, 1, 0, 0, 0),
    "code": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
    "limit of another": lambda pid: resource.prlimit(pid, resource.RLIMIT_CPU, (1, 1)),
    **{name: partial(_call, number) for name, number in _NUMBERS[os.uname().machine].items()},
}  # fmt: skip
