"""A command as repod.service confines it, on machines where systemd is not PID 1.

The options that could break repod are carried out here as systemd does it: user, groups,
capabilities, system calls, address families, what may be written and seen. ``words`` is
the way in; run as a program it does the work in two stages, ``enter`` as root in a mount
namespace of its own, and ``filter`` as the unit's user.
"""

import ctypes
import errno
import os
import resource
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[2]
UNIT = _CHECKOUT / "systemd" / "repod.service"
_CREDENTIALS = Path("/run/credentials/repod.service")
_STATE = Path("/var/lib/repod")

_ALLOW = 0x7FFF0000
_EQUAL, _ABOVE, _MASKED = 4, 6, 7
_WRITE, _EXECUTE = 2, 4
_NAMESPACES = (0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
_FAMILIES = 64  # more than Linux has

Unit = Mapping[str, Sequence[str]]
"""The options of a unit's [Service] section with their values in order."""


def read_unit(path: Path = UNIT) -> Unit:
    """The [Service] section of a unit."""
    options: dict[str, list[str]] = {}
    section = ""
    for line in path.read_text().splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            options.setdefault(key, []).append(value)
    return options


def words(base: Path, *command: str | Path) -> list[str]:
    """The words that run ``command`` confined.

    ``base`` holds ``etc/passwd`` and ``etc/group`` with the unit's user, ``signing-key`` and
    ``srv``, which becomes /srv. The process keeps its number through all stages.
    """
    program = [sys.executable, str(Path(__file__).resolve())]
    return ["unshare", "--mount", "--", *program, "enter", str(base), *map(str, command)]


def _enter(base: Path, command: Sequence[str]) -> None:
    """Change what this mount namespace shows, then become the unit's user."""
    unit = read_unit()
    user = unit["User"][0]
    kept = {path: os.open(path, os.O_PATH) for path in (_CHECKOUT, Path(sys.prefix), Path(sys.base_prefix))}
    srv = os.open(base / "srv", os.O_PATH)
    key = (base / "signing-key").read_bytes()
    for name in ("passwd", "group"):
        _mount("--bind", base / "etc" / name, Path("/etc", name))
    owner, group = _ids(base, user)
    for hidden, mode in (("/root", 755), ("/home", 755), ("/tmp", 1777), ("/run", 755), ("/var/lib", 755)):
        if Path(hidden).is_dir():
            _mount("-t", "tmpfs", "-o", f"mode={mode}", "tmpfs", Path(hidden))
    _mount("--bind", f"/proc/self/fd/{srv}", Path("/srv"), passed=srv)
    for path, descriptor in kept.items():
        if not path.exists():  # the Python of the tests lies where ProtectHome= or PrivateTmp= hides it
            path.mkdir(parents=True)
            _mount("--bind", f"/proc/self/fd/{descriptor}", path, passed=descriptor)
    _private(_STATE, owner, group)
    _private(_CREDENTIALS, owner, group)
    credential = _CREDENTIALS / unit["LoadCredential"][0].partition(":")[0]
    credential.write_bytes(key)
    os.chown(credential, owner, group)
    credential.chmod(0o400)
    # Names of the unit's users are known in here only.
    subprocess.run(["systemd-tmpfiles", "--create", "--prefix=/srv", UNIT.with_name("repod.tmpfiles.conf")], check=True)
    _mount("-o", "remount,bind,ro", Path("/"))
    _mount("-t", "proc", "-o", "hidepid=invisible,subset=pid", "proc", Path("/proc"))
    capabilities = ",".join(["-all", *(f"+{name.removeprefix('CAP_').lower()}" for name in _capabilities(unit))])
    os.environ |= {"CREDENTIALS_DIRECTORY": str(_CREDENTIALS), "HOME": str(_STATE), "PYTHONPATH": str(_CHECKOUT)}
    os.environ.pop("TMPDIR", None)
    _become(
        "setpriv", f"--reuid={user}", f"--regid={unit['Group'][0]}", "--init-groups", "--no-new-privs",
        f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}", f"--bounding-set={capabilities}",
        sys.executable, __file__, "filter", *command,
    )  # fmt: skip


def _capabilities(unit: Unit) -> Sequence[str]:
    if unit["CapabilityBoundingSet"] != unit["AmbientCapabilities"]:
        msg = "the bounding set is expected to be what is given, no more"
        raise ValueError(msg)
    return unit["AmbientCapabilities"][0].split()


def _ids(base: Path, user: str) -> tuple[int, int]:
    rows = [line.split(":") for line in (base / "etc/passwd").read_text().splitlines()]
    (row,) = [row for row in rows if row[0] == user]
    return int(row[2]), int(row[3])


def _private(folder: Path, owner: int, group: int) -> None:
    folder.mkdir(parents=True, mode=0o700)
    os.chown(folder, owner, group)


def _mount(*arguments: str | Path, passed: int | None = None) -> None:
    # Resolved by mount itself, the path of a descriptor would be that of what now lies over it.
    words = ["mount", "--no-canonicalize", *arguments]
    subprocess.run(words, check=True, pass_fds=() if passed is None else (passed,))


def _become(program: str, *arguments: str) -> None:
    sys.stdout.flush()
    found = shutil.which(program)
    assert found, f"{program} is missing"
    os.execv(found, [program, *arguments])


def _filter(command: Sequence[str]) -> None:
    """Give up the unit's system calls, then become ``command``."""
    unit = read_unit()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(int(unit["UMask"][0], 8))
    denied = _Filter(_ALLOW)
    _deny_families(denied, unit["RestrictAddressFamilies"][0].split())
    _deny_executable_memory(denied)
    _deny_set_id(denied)
    _deny_namespaces(denied)
    denied.load()
    # Last: with it no more filters can be loaded.
    allowed = _Filter(_error(getattr(errno, unit["SystemCallErrorNumber"][0])))
    for name in sorted(_system_calls(unit["SystemCallFilter"])):
        allowed.rule(_ALLOW, name)
    allowed.load()
    os.execv(command[0], command)


def _system_calls(lines: Sequence[str]) -> set[str]:
    """What a list of SystemCallFilter= lines lets through; the first one allows."""
    names = _expand("@default")
    for line in lines:
        taken = {name for word in line.removeprefix("~").split() for name in _expand(word)}
        names = names - taken if line.startswith("~") else names | taken
    return names


def _expand(word: str) -> set[str]:
    if not word.startswith("@"):
        return {word}
    shown = subprocess.run(["systemd-analyze", "syscall-filter", word], check=True, capture_output=True, text=True)
    inner = [line.strip() for line in shown.stdout.splitlines()[1:]]
    return {name for each in inner if each and not each.startswith("#") for name in _expand(each)}


def _error(number: int) -> int:
    return 0x00050000 | number


class _Compare(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


class _Filter:
    """A seccomp filter, by the library that systemd uses."""

    def __init__(self, default: int) -> None:
        self._library = ctypes.CDLL("libseccomp.so.2")
        self._library.seccomp_init.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(self._library.seccomp_init(ctypes.c_uint32(default)))

    def rule(self, action: int, name: str, *compares: tuple[int, int, int, int]) -> None:
        """``compares``: argument, operator, and its one or two values; a call this machine lacks is passed over."""
        number = self._library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:
            return
        array = (_Compare * len(compares))(*compares)
        code = self._library.seccomp_rule_add_array(
            self._context, ctypes.c_uint32(action), number, len(compares), array if compares else None
        )
        assert code == 0, f"seccomp rule for {name}: {os.strerror(-code)}"

    def load(self) -> None:
        code = self._library.seccomp_load(self._context)
        assert code == 0, f"seccomp filter: {os.strerror(-code)}"


def _deny_families(to: _Filter, names: Sequence[str]) -> None:
    action = _error(errno.EAFNOSUPPORT)
    allowed = {int(getattr(socket, name)) for name in names}
    for family in set(range(_FAMILIES)) - allowed:
        to.rule(action, "socket", (0, _EQUAL, family, 0))
    to.rule(action, "socket", (0, _ABOVE, _FAMILIES - 1, 0))


def _deny_executable_memory(to: _Filter) -> None:
    action = _error(errno.EPERM)
    to.rule(action, "mmap", (2, _MASKED, _WRITE | _EXECUTE, _WRITE | _EXECUTE))
    for name in ("mprotect", "pkey_mprotect"):
        to.rule(action, name, (2, _MASKED, _EXECUTE, _EXECUTE))


def _deny_set_id(to: _Filter) -> None:
    action = _error(errno.EPERM)
    for bit in (stat.S_ISUID, stat.S_ISGID):
        for name, mode in (("chmod", 1), ("fchmod", 1), ("mkdir", 1), ("creat", 1), ("fchmodat", 2), ("mkdirat", 2)):
            to.rule(action, name, (mode, _MASKED, bit, bit))
        for name, flags in (("open", 1), ("openat", 2)):
            to.rule(action, name, (flags, _MASKED, os.O_CREAT, os.O_CREAT), (flags + 1, _MASKED, bit, bit))
    to.rule(_error(errno.ENOSYS), "openat2")


def _deny_namespaces(to: _Filter) -> None:
    for flag in _NAMESPACES:
        for name in ("unshare", "clone"):
            to.rule(_error(errno.EPERM), name, (0, _MASKED, flag, flag))
    to.rule(_error(errno.EPERM), "setns")
    to.rule(_error(errno.ENOSYS), "clone3")


if __name__ == "__main__":
    if sys.argv[1] == "enter":
        _enter(Path(sys.argv[2]), sys.argv[3:])
    else:
        _filter(sys.argv[2:])
