"""The filter of system calls, on both kinds of machines: run as the kernel runs it, over every number there is."""

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from repod.confinement import syscalls
from repod.confinement.seccomp import ALLOW, KILL, Instruction, Unsupported, program

_PID = 4711
_EPERM, _ENOSYS = 0x00050001, 0x00050026
_X86, _ARM = 0xC000003E, 0xC00000B7
_I386 = 0x40000003


def _numbers(machine: str) -> Mapping[str, int]:
    """The system calls of a kind of machine, by the kernel's headers."""
    if machine == "x86_64":
        text = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h").read_text()
        return {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", text)}
    # What arch/arm64/include/uapi/asm/unistd.h says before it includes the table that all newer machines share.
    wanted = ("NEW_STAT", "RENAMEAT", "SET_GET_RLIMIT", "TIME32_SYSCALLS", "SYS_CLONE3", "MEMFD_SECRET")
    words = ["gcc", "-E", "-dM", "-include", "asm-generic/unistd.h", "-D__BITS_PER_LONG=64", "-x", "c", "/dev/null"]
    words[1:1] = [f"-D__ARCH_WANT_{name}" for name in wanted]
    shown = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    said = dict(re.findall(r"#define (__NR\w*) (\S+)", shown))
    return dict(_resolved(said))


def _resolved(said: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    for name in said:
        value = name
        while value in said:
            value = said[value]
        if name.startswith("__NR_") and value.isdigit():
            yield name.removeprefix("__NR_"), int(value)


def _run(steps: Sequence[Instruction], machine: int, number: int, arguments: Sequence[int] = ()) -> int:
    """What the kernel would answer: a machine for the few instructions that are used."""
    data = [number, machine, 0, 0]
    for place in range(6):
        value = arguments[place] if place < len(arguments) else 0
        data += [value & 0xFFFFFFFF, value >> 32]
    held, at = 0, 0
    while True:
        code, true, false, value = steps[at]
        at += 1
        match code:
            case 0x20:
                held = data[value // 4]
            case 0x15:
                at += true if held == value else false
            case 0x35:
                at += true if held >= value else false
            case 0x45:
                at += true if held & value else false
            case 0x06:
                return value


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _filter(machine: str, *, reads: bool = True, writes: bool = True) -> Sequence[Instruction]:
    return program(pid=_PID, reads=reads, writes=writes, machine=machine)


def test_every_number_is_that_of_the_kernels_headers(machine: str) -> None:
    known = _numbers(machine)
    column, _ = syscalls.MACHINES[machine]
    tables = (syscalls.COMPUTING, syscalls.READING, syscalls.WRITING, syscalls.LIMITED, syscalls.DEADLY)
    ours = {name: numbers[column] for table in tables for name, numbers in table.items()}
    assert {name: known.get(name) for name in ours} == ours


def test_of_all_calls_only_those_of_the_tables_are_allowed(machine: str) -> None:
    """Run over every number; calls without arguments, so that what depends on them is asked with zeros."""
    column, word = syscalls.MACHINES[machine]
    for reads, writes, tables in (
        (False, False, (syscalls.COMPUTING,)),
        (True, False, (syscalls.COMPUTING, syscalls.READING)),
        (True, True, (syscalls.COMPUTING, syscalls.READING, syscalls.WRITING)),
    ):
        steps = _filter(machine, reads=reads, writes=writes)
        answers = {name: _run(steps, word, number) for name, number in _numbers(machine).items()}
        allowed = {name for name, answer in answers.items() if answer == ALLOW}
        # Asked with zeros: memory that is not executable, F_DUPFD, and the limits of the process itself.
        plain = {"mmap", "mprotect", "fcntl", "prlimit64"}
        expected = plain | {name for table in tables for name, numbers in table.items() if numbers[column] is not None}
        assert allowed == expected
        assert {name for name, answer in answers.items() if answer == KILL} == set(syscalls.DEADLY)


@pytest.mark.parametrize(
    "name",
    [
        "socket",
        "connect",
        "bind",
        "listen",
        "accept",
        "accept4",
        "sendto",
        "socketpair",
        "clone",
        "setrlimit",
        "sched_setaffinity",
    ],
)
def test_the_network_and_new_processes_are_refused(machine: str, name: str) -> None:
    _, word = syscalls.MACHINES[machine]
    assert _run(_filter(machine), word, _numbers(machine)[name]) == _EPERM


@pytest.mark.parametrize(
    ("name", "arguments", "allowed"),
    [
        ("kill", [_PID, 9], True),
        ("kill", [_PID + 1, 9], False),
        ("kill", [0, 9], False),
        ("kill", [0xFFFFFFFFFFFFFFFF, 9], False),
        ("tgkill", [_PID, _PID, 6], True),
        ("tgkill", [1, 1, 6], False),
        ("mmap", [0, 4096, 3], True),
        ("mmap", [0, 4096, 7], False),
        ("mmap", [0, 4096, 5], False),
        ("mprotect", [0, 4096, 1], True),
        ("mprotect", [0, 4096, 4], False),
        ("fcntl", [3, 1030], True),
        ("fcntl", [3, 8], False),  # F_SETOWN: signals of a descriptor, to anybody
        ("ioctl", [3, 0x5401], True),
        ("ioctl", [0, 0x5412], False),  # TIOCSTI: typing into a terminal
        ("prctl", [15], True),
        ("prctl", [4, 1], False),  # PR_SET_DUMPABLE
        ("prlimit64", [0, 7, 0, 1], True),
        ("prlimit64", [0, 0, 1, 0], True),  # its own RLIMIT_CPU
        ("prlimit64", [0, 7, 1, 0], False),
        ("prlimit64", [0, 7, 1 << 32, 0], False),
        ("prlimit64", [1, 0, 1, 0], False),
    ],
)
def test_what_is_allowed_with_some_arguments_is_refused_with_others(
    machine: str, name: str, arguments: Sequence[int], *, allowed: bool
) -> None:
    _, word = syscalls.MACHINES[machine]
    answer = _run(_filter(machine), word, _numbers(machine)[name], arguments)
    assert answer == (ALLOW if allowed else _EPERM)


def test_what_is_newer_than_the_list_is_answered_as_on_an_older_kernel(machine: str) -> None:
    """And so are calls of the x32 interface, whose numbers are those of others with a bit set."""
    _, word = syscalls.MACHINES[machine]
    steps = _filter(machine)
    assert {_run(steps, word, number) for number in (450, 460, 0x40000000, 0x40000001, 0xFFFFFFFF)} == {_ENOSYS}
    assert _run(steps, word, _numbers(machine)["clone3"]) == _ENOSYS


def test_a_call_as_another_kind_of_machine_ends_the_process() -> None:
    for machine, others in (("x86_64", (_ARM, _I386)), ("aarch64", (_X86, _I386))):
        assert {_run(_filter(machine), other, number) for other in others for number in range(500)} == {KILL}


def test_an_unknown_kind_of_machine_has_no_filter() -> None:
    with pytest.raises(Unsupported, match="known of x86_64 and aarch64, and this machine is riscv64"):
        program(pid=1, reads=True, writes=True, machine="riscv64")


def test_a_jump_is_never_longer_than_the_kernel_takes(machine: str) -> None:
    steps = _filter(machine)
    assert len(steps) < 4096
    assert all(max(true, false) < 256 for _, true, false, _ in steps)
