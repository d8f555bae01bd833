"""Wheel and source archive of repod, and the libraries that it needs as a folder, for any Python.

Nothing is compiled and no other Python is run: the libraries come as wheels, and which of them a Python needs is
worked out here, since pip goes by the markers of the Python that runs it, whatever ``--python-version`` says.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from email.parser import BytesParser
from pathlib import Path

from config.packaging.target import Target
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename


def epoch(root: Path) -> str:
    """SOURCE_DATE_EPOCH: as the environment says, else the time of the commit, else that of an unpacked archive."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return given
    words = ["git", "-C", str(root), "log", "-1", "--format=%ct"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() or str(int((root / "pyproject.toml").stat().st_mtime))


def build(root: Path, out: Path) -> tuple[Path, Path]:
    """Build the source archive from ``root``, and the wheel from that: what others can build is what we ship."""
    environ = os.environ | {"SOURCE_DATE_EPOCH": epoch(root)}
    archive = _made(root, out, "sdist", environ)
    scratch = out / ".sdist"
    shutil.rmtree(scratch, ignore_errors=True)
    with tarfile.open(archive) as packed:
        packed.extractall(scratch, filter="data")
    (unpacked,) = scratch.iterdir()
    wheel = _made(unpacked, out, "wheel", environ)
    shutil.rmtree(scratch)
    return wheel, archive


def _made(root: Path, out: Path, kind: str, environ: Mapping[str, str]) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    script = "import sys; from hatchling import build; print(getattr(build, sys.argv[1])(sys.argv[2]))"
    words = [sys.executable, "-c", script, f"build_{kind}", str(out.resolve())]
    done = subprocess.run(words, cwd=root, env=environ, check=True, stdout=subprocess.PIPE, text=True)
    return out / done.stdout.split()[-1]


def libraries(root: Path, target: Target, cache: Path) -> Path:
    """The libraries that repod needs on ``target``, as a folder of packages that must not be changed.

    ``cache`` is kept: a second call with the same requirements and pins needs neither network nor time.
    """
    pins = _pins(root)
    asked = tomllib.loads((root / "pyproject.toml").read_text())["project"]["dependencies"]
    facts = [*target.platforms, *asked, *(f"{name}=={version}" for name, version in pins.items())]
    home = cache / f"{target.python}-{target.arch}-{hashlib.sha256('|'.join(facts).encode()).hexdigest()[:16]}"
    if home.is_dir():
        return home
    wheels, fresh = cache / "wheels", home.with_suffix(".fresh")
    wheels.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(fresh, ignore_errors=True)
    for wheel in _fetched(asked, pins, target, wheels):
        unpack(wheel, fresh)
    return fresh.rename(home)


def unpack(wheel: Path, folder: Path) -> None:
    """Put a wheel's packages into ``folder``; its programs, headers and data are left out."""
    with zipfile.ZipFile(wheel) as packed:
        for entry in packed.infolist():
            head, _, rest = entry.filename.partition("/")
            if head.endswith(".data"):
                kind, _, rest = rest.partition("/")
                if kind not in {"purelib", "platlib"}:
                    continue
                entry.filename = rest
            packed.extract(entry, folder)


def _pins(root: Path) -> Mapping[str, str]:
    """Exact versions by name: what the tests were run with."""
    lines = [line for line in (root / "tests/constraints.txt").read_text().splitlines() if "==" in line]
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}


def _fetched(asked: Sequence[str], pins: Mapping[str, str], target: Target, wheels: Path) -> list[Path]:
    """The wheels that ``asked`` leads to; those that are not in ``wheels`` are downloaded."""
    environment = _environment(target.python)
    needed: set[tuple[str, str]] = set()
    fresh = set(_names(map(Requirement, asked), environment, ("",)))
    while fresh:
        unpinned = sorted(name for name, _ in fresh if name not in pins)
        if unpinned:
            msg = f"tests/constraints.txt: expected a pin of each library, found none for {', '.join(unpinned)}; add it"
            raise SystemExit(msg)
        missing = {name for name, _ in fresh} - set(_fitting(wheels, pins, target))
        if missing:
            _download([f"{name}=={pins[name]}" for name in sorted(missing)], target, wheels)
        found = _fitting(wheels, pins, target)
        needed |= fresh
        further = [_names(_requirements(found[name]), environment, ("", extra)) for name, extra in fresh]
        fresh = {pair for pairs in further for pair in pairs} - needed
    return [found[name] for name in sorted({name for name, _ in needed})]


def _fitting(wheels: Path, pins: Mapping[str, str], target: Target) -> Mapping[str, Path]:
    """The wheels of pinned versions that ``target`` can use, by name."""
    major, minor = target.python.split(".")
    version = (int(major), int(minor))
    usable = {*cpython_tags(version, platforms=target.platforms), *compatible_tags(version, platforms=target.platforms)}
    found = {}
    for path in sorted(wheels.glob("*.whl")):
        name, number, _, tags = parse_wheel_filename(path.name)
        if pins.get(name) == str(number) and not usable.isdisjoint(tags):
            found[str(name)] = path
    return found


def _environment(python: str) -> dict[str, str]:
    """What markers of requirements are held to: the target's Python."""
    full = f"{python}.0"
    given = {"python_version": python, "python_full_version": full, "implementation_version": full}
    return {key: str(value) for key, value in default_environment().items()} | given


def _names(
    requirements: Iterable[Requirement], environment: Mapping[str, str], extras: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Name and extra of each that counts; without an extra, the extra is ""."""
    for one in requirements:
        if one.marker is None or any(one.marker.evaluate({**environment, "extra": extra}) for extra in extras):
            yield from ((canonicalize_name(one.name), extra) for extra in ("", *one.extras))


def _requirements(wheel: Path) -> Iterator[Requirement]:
    with zipfile.ZipFile(wheel) as packed:
        (name,) = [name for name in packed.namelist() if name.endswith(".dist-info/METADATA") and name.count("/") == 1]
        head = BytesParser().parsebytes(packed.read(name))
    yield from map(Requirement, head.get_all("Requires-Dist", []))


def _download(requirements: Sequence[str], target: Target, wheels: Path) -> None:
    words = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download", "--no-deps"]
    words += ["--only-binary=:all:", "--implementation=cp", f"--python-version={target.python}"]
    words += [f"--platform={name}" for name in target.platforms]
    done = subprocess.run([*words, "--dest", wheels, *requirements], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"no wheels for Python {target.python} on {target.arch}:\n{done.stderr.strip()}")
