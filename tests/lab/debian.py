"""Roots of other Debian suites, with programs that Debian 12 has not: newer rpm, dnf 5, zypper, Python.

A root is unpacked, not installed: no script of a package has run in it. It is made once and kept beyond the test run,
outside the checkout; each use of it lies under an overlay (``tests/lab/box.py``). Where the packages come from is read
from this machine's own apt, and apt checks their signatures.

``python -m tests.lab.debian SUITE PACKAGE...`` makes one and prints where it lies.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_BASE = (
    "base-files", "base-passwd", "bash", "coreutils", "dash", "findutils", "grep", "hostname", "libc-bin", "procps",
    "sed", "util-linux",
)  # fmt: skip
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_LEFT_OUT = ("doc", "info", "locale", "man")  # folders of /usr/share
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
_SECONDS = 300.0


def root(suite: str, *packages: str) -> Path:
    """A root of ``suite`` with these packages, what they depend on, and a shell with its usual tools.

    Nothing may write to it. It is made where it is not there yet or is damaged; ``AssertionError`` where the suite
    cannot be reached.
    """
    return _root(suite, tuple(sorted({*_BASE, *packages})))


def home() -> Path:
    """Where roots are kept: ``REPOD_ROOTS``, or a folder of the user's cache."""
    kept = os.environ.get("REPOD_ROOTS")
    return Path(kept) if kept else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "repod-roots")


@cache
def _root(suite: str, packages: tuple[str, ...]) -> Path:
    key = hashlib.sha256("\n".join(packages).encode()).hexdigest()[:16]
    made = home() / f"{suite}-{key}"
    made.parent.mkdir(parents=True, exist_ok=True)
    with _alone(home() / f"{suite}.lock"):
        if not whole(made):
            _make(made, suite, packages)
    return made


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One process at a time; the others wait, and find what it made."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def whole(made: Path) -> bool:
    """Whether all files are there that were, as long as they were."""
    stamp = _stamp(made)
    return stamp.exists() and stamp.read_text() == _sum(made)


def keep(made: Path) -> None:
    """Remember all files that are there, and their sizes."""
    _stamp(made).write_text(_sum(made))


def _stamp(made: Path) -> Path:
    return made.with_name(made.name + ".whole")


def _sum(made: Path) -> str:
    found = hashlib.sha256()
    for folder, folders, files in os.walk(made):
        folders.sort()
        for name in sorted(files):
            path = f"{folder}/{name}"
            found.update(f"{path} {os.lstat(path).st_size}\n".encode(errors="surrogateescape"))
    return found.hexdigest()


def _make(made: Path, suite: str, packages: Sequence[str]) -> None:
    for old in (made, *made.parent.glob(f".{made.name}-*")):
        shutil.rmtree(old, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=f".{made.name}-", dir=made.parent))
    own = made.with_name(f"{suite}.apt")
    _unpack(_fetch(own, suite, packages), work)
    shutil.rmtree(own / "archives")
    _set_up(work)
    work.chmod(0o755)
    work.rename(made)
    keep(made)


def _fetch(own: Path, suite: str, packages: Sequence[str]) -> Sequence[Path]:
    """The packages' files, by an apt with lists and a cache of its own that takes nothing for installed."""
    shutil.rmtree(own / "archives", ignore_errors=True)
    for folder in ("lists/partial", "archives/partial"):
        (own / folder).mkdir(parents=True, exist_ok=True)
    (own / "status").write_text("")
    assert _KEYRING.exists(), f"{_KEYRING} is not there: apt-get install debian-archive-keyring"
    (own / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {_archive()} {suite} main\n")
    # All else, such as a proxy, is this machine's.
    settings = {
        "Dir::Etc::SourceList": own / "sources.list", "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::Preferences": "/dev/null", "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::State": own, "Dir::State::Lists": own / "lists", "Dir::State::Status": own / "status",
        "Dir::Cache": own, "Dir::Cache::Archives": own / "archives",
        "Acquire::Languages": "none", "Acquire::Retries": "3", "APT::Sandbox::User": "root",
        "APT::Default-Release": "", "APT::Install-Recommends": "false",
    }  # fmt: skip
    apt = ["apt-get", "-qq", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))]
    _run([*apt, "--error-on=any", "update"], f"Debian's suite {suite!r} cannot be read")
    _run([*apt, "--yes", "--download-only", "install", *packages], f"{suite!r} has not all of {', '.join(packages)}")
    return sorted((own / "archives").glob("*.deb"))


def _archive() -> str:
    """Where this machine's own suite comes from, and so the others."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    codename = release.get("VERSION_CODENAME", "").strip('"')
    form = "$(REPO_URI) $(COMPONENT) $(CODENAME) $(ORIGIN)"
    said = _run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"], "apt names no sources")
    found = [line.split()[0] for line in said.splitlines() if line.split()[1:] == ["main", codename, "Debian"]]
    assert found, f"apt names no source of Debian's suite {codename!r}: run 'apt-get update' first; it names:\n{said}"
    return found[0]


def _unpack(packages: Sequence[Path], into: Path) -> None:
    out = " ".join(f"--exclude=./usr/share/{name}/*" for name in _LEFT_OUT)
    # With the links /bin and /lib first: others must not make folders of them.
    first = [package for package in packages if package.name.startswith("base-files_")]
    script = f'dpkg-deb --fsys-tarfile "$1" | tar -x -p -C "$2" --keep-directory-symlink {out}'

    def one(package: Path) -> None:
        _run(["bash", "-o", "pipefail", "-c", script, "-", str(package), str(into)], f"{package} cannot be unpacked")

    with ThreadPoolExecutor(2) as pool:
        for part in (first, [package for package in packages if package not in first]):
            list(pool.map(one, part))


def _set_up(made: Path) -> None:
    """What scripts of packages would have done, as far as programs need it."""
    for name in ("passwd", "group"):
        shutil.copy(made / f"usr/share/base-passwd/{name}.master", made / "etc" / name)
    (made / "etc/hosts").write_text("127.0.0.1 localhost\n")
    for folder in ("var/log", "var/cache", "var/lib", "var/tmp"):
        (made / folder).mkdir(parents=True, exist_ok=True)
    if (made / "usr/bin/mawk").exists():
        (made / "usr/bin/awk").symlink_to("mawk")
    _run(["chroot", str(made), "ldconfig"], f"programs of {made} cannot run")


def _run(words: Sequence[str], failed: str) -> str:
    done = subprocess.run(
        words,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    said = f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    assert done.returncode == 0, f"{failed}: {said}"
    return done.stdout


def _environment() -> dict[str, str]:
    """With the machine's own way out, where it has one."""
    return _ENVIRONMENT | {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}


if __name__ == "__main__":
    print(root(*sys.argv[1:]))
