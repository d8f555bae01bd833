"""Builders of real RPMs: ``quick`` in a fifth of a millisecond, ``nfpm`` as CI jobs use it.

``rpmbuild`` stands in ``tests/lab/rpmbuild.py``.
"""

import json
import re
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rpm_rs

from tests.lab.headers import SOURCERPM, edit, text

TIME = 1_700_000_000
"""Build time, file times and the newest changelog entry of all lab packages."""

_COMPRESSION = {
    "gzip": rpm_rs.CompressionType.Gzip,
    "zstd": rpm_rs.CompressionType.Zstd,
    "xz": rpm_rs.CompressionType.Xz,
    "none": rpm_rs.CompressionType.NONE,
}
_FORMAT = {4: rpm_rs.RpmFormat.V4, 6: rpm_rs.RpmFormat.V6}
_DEPENDENCY = re.compile(r"(\S+)\s*(<=|>=|=|<|>)\s*(\S+)")
_SENSE = {"<": 2, ">": 4, "=": 8, "<=": 10, ">=": 12}


def filename(name: str, version: str, release: str, arch: str) -> str:
    """The file's name by rpm's convention, without the epoch."""
    return f"{name}-{version}-{release}.{arch}.rpm"


def quick(
    folder: Path,
    name: str = "hello",
    version: str = "1.0",
    release: str = "1",
    arch: str = "noarch",
    *,
    epoch: int = 0,
    files: Mapping[str, bytes] | None = None,
    requires: Sequence[str] = (),
    provides: Sequence[str] = (),
    changelog: Sequence[tuple[str, str, int]] = (),
    scriptlets: Mapping[str, str] | None = None,
    summary: str = "A lab package",
    compression: str = "gzip",
    fmt: int = 4,
    reserved: int | None = None,
    source_rpm: str = "",
    as_name: str | None = None,
) -> Path:
    """An RPM through rpm-rs, unsigned, at ``folder / as_name`` (by default its NVRA).

    ``files`` maps paths to contents (default: one file that names the NEVRA);
    ``requires`` and ``provides`` are written as in a spec file; ``changelog`` entries
    are (author, text, seconds since 1970); ``scriptlets`` maps ``pre_install``,
    ``post_install``, ``pre_uninstall``, ``post_uninstall`` to shell text;
    ``reserved`` bytes are kept for a signature (0: none, so that signing must rewrite);
    ``source_rpm`` (format 4 only) names the source package.
    """
    builder = rpm_rs.PackageBuilder(name, version, "MIT", arch, summary)
    builder.release(release)
    builder.description(f"{summary}.\nBuilt for a test.")
    builder.url("https://example.com/hello")
    builder.vendor("Lab")
    if epoch:
        builder.epoch(epoch)
    if files is None:
        files = {f"/usr/share/{name}/version": f"{name}-{epoch}:{version}-{release}.{arch}\n".encode()}
    for inside, content in files.items():
        mode = 0o755 if inside.startswith(("/bin/", "/usr/bin/", "/lib")) else 0o644
        builder.with_file_contents(content, rpm_rs.FileOptions.new(inside, permissions=mode))
    for add, words in ((builder.requires, requires), (builder.provides, provides)):
        for word in words:
            add(*_dependency(word))
    for author, what, when in changelog:
        builder.add_changelog_entry(author, what, when)
    for kind, script in (scriptlets or {}).items():
        getattr(builder, f"{kind}_script")(script)
    builder.using_config(
        rpm_rs.BuildConfig(
            format=_FORMAT[fmt],
            compression=_COMPRESSION[compression],
            source_date=TIME,
            reserved_space=reserved,
        )
    )
    path = folder / (as_name or filename(name, version, release, arch))
    builder.build().write_file(str(path))
    return edit(path, path, text(SOURCERPM, source_rpm)) if source_rpm else path


def _dependency(word: str) -> tuple[Any, ...]:
    match = _DEPENDENCY.fullmatch(word)
    if match is None or word.startswith("("):
        return (word,)
    return match[1], match[3], rpm_rs.DependencyFlags(_SENSE[match[2]])


def changelog(count: int, author: str = "Lab Builder <lab@example.com>") -> Sequence[tuple[str, str, int]]:
    """``count`` changelog entries, one a day, newest first."""
    return [(author, f"- change number {count - day}", TIME - 86400 * day) for day in range(count)]


def shell(folder: Path) -> Path:
    """This machine's /bin/sh with its libraries as a package, for scriptlets inside an install root."""
    listing = subprocess.run(["ldd", "/bin/sh"], check=True, capture_output=True, text=True).stdout
    libraries = re.findall(r"(/\S+) \(0x", listing)
    files = {path: Path(path).read_bytes() for path in ["/bin/sh", *libraries]}
    return quick(folder, "lab-shell", files=files | {"/bin/true": b"#!/bin/sh\n"})


def nfpm(
    folder: Path,
    name: str = "nfhello",
    version: str = "1.2.3",
    release: str = "1",
    arch: str = "noarch",
    *,
    epoch: str = "",
    prerelease: str = "",
    compression: str = "gzip",
    contents: Mapping[str, bytes] | None = None,
    scriptlets: Mapping[str, str] | None = None,
    key: Path | None = None,
    **extra: Any,
) -> Path:
    """An RPM by the nfpm binary, as GoReleaser and many CI jobs make them.

    ``scriptlets`` maps nfpm's names (``preinstall``, ``postremove`` …) to shell text;
    ``key`` is an armored secret key that nfpm itself signs with; ``extra`` joins the
    top level of nfpm's configuration (``depends``, ``provides``, ``changelog`` …).
    """
    config: dict[str, Any] = {
        "name": name,
        "arch": {"noarch": "all", "x86_64": "amd64", "aarch64": "arm64"}.get(arch, arch),
        "version": version,
        "release": release,
        "epoch": epoch,
        "prerelease": prerelease,
        "mtime": "2023-11-14T22:13:20Z",
        "maintainer": "Lab Builder <lab@example.com>",
        "description": "A lab package by nfpm.",
        "license": "MIT",
        "rpm": {"compression": compression, "signature": {"key_file": str(key)} if key else {}},
        **extra,
    }
    contents = {f"/usr/share/{name}/version": version.encode()} if contents is None else contents
    with tempfile.TemporaryDirectory(prefix="nfpm-") as work:
        base = Path(work)
        config["contents"] = [
            {"src": _written(base / f"content{number}", data), "dst": path}
            for number, (path, data) in enumerate(contents.items())
        ]
        config["scripts"] = {
            kind: _written(base / kind, script.encode()) for kind, script in (scriptlets or {}).items()
        }
        # nfpm reads YAML, and every JSON text is one.
        (base / "nfpm.yaml").write_text(json.dumps(config))
        words = ["package", "--packager", "rpm", "--target", str(base)]
        run_builder([tool("nfpm"), *words], base)
        (built,) = base.glob("*.rpm")
        return Path(shutil.move(built, folder / built.name))


def _written(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def tool(name: str) -> str:
    """A program of this virtual environment, else of the machine; ``FileNotFoundError`` if absent."""
    found = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    if found is None:
        msg = f"{name} is not installed; run tests/run, which installs what the tests need"
        raise FileNotFoundError(msg)
    return found


def run_builder(words: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run a builder and return its output; ``AssertionError`` with all of it where it fails."""
    done = subprocess.run(
        words,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )
    if done.returncode:
        msg = f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}"
        raise AssertionError(msg)
    return done.stdout
