"""Which system calls a process may still make: a filter in the kernel, as ``seccomp(2)`` describes it.

It is a list of what is allowed. Everything else fails with EPERM, what is newer than the list with ENOSYS,
as on an older kernel, and what no reader of files asks for by mistake ends the process with SIGSYS.
"""

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from repod.confinement.syscalls import COMPUTING, DEADLY, LIMITED, MACHINES, NEWEST, READING, WRITING

# Source: linux/filter.h, linux/seccomp.h, linux/prctl.h.
_LOAD, _EQUAL, _AT_LEAST, _ANY, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16  # where they lie in struct seccomp_data; a load is of 32 bits
ALLOW, ERROR, KILL = 0x7FFF0000, 0x00050000, 0x80000000
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _MODE_FILTER = 22, 38, 2
_MOST = 0xFFFFFFFF

_EXECUTABLE = 4  # PROT_EXEC
_CPU = 0  # RLIMIT_CPU
# What Python and glibc ask of descriptors: no locks and no signals, and of no device anything.
_FCNTL = (0, 1, 2, 3, 4, 1030)  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC
_IOCTL = (0x5401, 0x5451, 0x5421)  # TCGETS, FIOCLEX, FIONBIO
_PRCTL = (15, 16, 0x53564D41)  # PR_SET_NAME, PR_GET_NAME, PR_SET_VMA

Instruction = tuple[int, int, int, int]
"""Code, how many to skip where it is true, and where it is not, and the value."""


class Unsupported(Exception):
    """This kernel, or this kind of machine, has no such filter; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Argument:
    """What an argument must be: 32 bits of it one of ``values``, or without any of the bits ``free_of``."""

    place: int
    values: Sequence[int] = ()
    free_of: int = 0
    upper: bool = False
    """The upper 32 bits are meant; the kernel looks at the lower ones alone where the type is an int."""

    @property
    def size(self) -> int:
        """How many instructions that is."""
        return 1 + (1 if self.free_of else len(self.values))

    def check(self, beyond: int) -> Iterator[Instruction]:
        """Goes on behind itself where that holds, and ``beyond`` instructions further where not."""
        yield (_LOAD, 0, 0, _ARGUMENTS + 8 * self.place + 4 * self.upper)
        if self.free_of:
            yield (_ANY, beyond, 0, self.free_of)
        for left, value in zip(range(len(self.values) - 1, -1, -1), self.values, strict=True):
            yield (_EQUAL, left, 0 if left else beyond, value)


def load(*, reads: bool, writes: bool) -> None:
    """Put this process under its filter, for good. Raises ``Unsupported``."""
    steps = program(pid=os.getpid(), reads=reads, writes=writes, machine=platform.machine())
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    held = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: a count, and after its padding a pointer.
    described = struct.pack("@HP", len(steps), ctypes.addressof(held))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if prctl(_PR_SET_SECCOMP, _MODE_FILTER, described, 0, 0) != 0:
        msg = f"the kernel takes no filter of system calls ({os.strerror(ctypes.get_errno())})"
        raise Unsupported(msg)


def program(*, pid: int, reads: bool, writes: bool, machine: str) -> Sequence[Instruction]:
    """The filter of the process ``pid``; ``reads``: it may open files; ``writes``: and change them.

    Raises ``Unsupported`` for a kind of machine whose numbers are not known.
    """
    if machine not in MACHINES or sys.byteorder != "little":
        msg = f"system calls are known of {' and '.join(MACHINES)}, and this machine is {machine}"
        raise Unsupported(msg)
    column, word = MACHINES[machine]
    allowed = {**COMPUTING, **(READING if reads else {}), **(WRITING if writes else {})}
    return [
        # A program can enter the kernel as another kind of machine, for which the numbers mean something else.
        (_LOAD, 0, 0, _MACHINE),
        (_EQUAL, 1, 0, word),
        (_RETURN, 0, 0, KILL),
        *_answer([numbers[column] for numbers in allowed.values()], ALLOW),
        *_limited(column, pid),
        *_answer([numbers[column] for numbers in DEADLY.values()], KILL),
        # glibc starts a thread by the older call then, which fails as it should.
        *_answer([LIMITED["clone3"][column]], ERROR | errno.ENOSYS),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, NEWEST),
        (_RETURN, 0, 0, ERROR | errno.ENOSYS),
        (_RETURN, 0, 0, ERROR | errno.EPERM),
    ]


def _limited(column: int, pid: int) -> Iterator[Instruction]:
    """What is allowed with some arguments: signals to itself, memory that is not executable, limits looked at."""
    own = _Argument(place=0, values=[pid])
    plain = _Argument(place=2, free_of=_EXECUTABLE)
    itself = _Argument(place=0, values=[0])
    nothing_new = (_Argument(place=2, free_of=_MOST), _Argument(place=2, free_of=_MOST, upper=True))
    for name, arguments in (
        ("kill", [own]),
        ("tkill", [own]),
        ("tgkill", [own]),
        ("mmap", [plain]),
        ("mprotect", [plain]),
        ("fcntl", [_Argument(place=1, values=_FCNTL)]),
        ("ioctl", [_Argument(place=1, values=_IOCTL)]),
        ("prctl", [_Argument(place=0, values=_PRCTL)]),
        ("prlimit64", [itself, *nothing_new]),
        ("prlimit64", [itself, _Argument(place=1, values=[_CPU])]),
    ):
        yield from _answer([LIMITED[name][column]], ALLOW, arguments)


def _answer(numbers: Sequence[int | None], action: int, arguments: Sequence[_Argument] = ()) -> Iterator[Instruction]:
    """``action`` for each of the calls ``numbers`` whose ``arguments`` hold; goes on behind itself for all others."""
    yield (_LOAD, 0, 0, _NUMBER)
    beyond = 1 + sum(argument.size for argument in arguments)
    for number in numbers:
        if number is None:
            continue
        yield (_EQUAL, 0, beyond, number)
        left = beyond
        for argument in arguments:
            left -= argument.size
            yield from argument.check(left)
        yield (_RETURN, 0, 0, action)
