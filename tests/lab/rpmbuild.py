"""Packages by the real rpmbuild, with everything a spec file can do to a repository."""

import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab.rpms import TIME, run_builder, tool

GZIP, XZ, ZSTD = "w9.gzdio", "w7.xzdio", "w19.zstdio"

_PROGRAM = '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n'


def rpmbuild(
    folder: Path,
    name: str = "built",
    version: str = "1.0",
    release: str = "1",
    arch: str = "noarch",
    *,
    epoch: int | None = None,
    payload: str = GZIP,
    summary: str | bytes = "A package by rpmbuild",
    requires: Sequence[str] = (),
    provides: Sequence[str] = (),
    files: Mapping[str, bytes] | None = None,
    scriptlets: Mapping[str, str] | None = None,
    changelog: Sequence[tuple[str, str, int]] = (),
    subpackages: Sequence[str] = (),
    source: bool = False,
    debuginfo: bool = False,
    preamble: str = "",
) -> list[Path]:
    """Build with rpmbuild; the files now in ``folder``, sorted by name.

    ``scriptlets`` maps ``pre``, ``post``, ``preun``, ``postun`` … to shell text;
    ``changelog`` entries are (author, text, seconds since 1970), newest first;
    ``subpackages`` are suffixes; ``source`` also keeps the source package;
    ``debuginfo`` compiles a program (``arch`` must be this machine's) and keeps its
    debuginfo and debugsource packages; ``preamble`` lines go into the head of the spec.
    """
    files = {f"/usr/share/{name}/version": version.encode()} if files is None else files
    head = [f"Name: {name}", f"Version: {version}", f"Release: {release}", "License: MIT"]
    head += [f"Epoch: {epoch}"] if epoch is not None else []
    head += ["BuildArch: noarch"] if arch == "noarch" else []
    head += [f"Requires: {word}" for word in requires] + [f"Provides: {word}" for word in provides]
    head += [f"Source{number}: file{number}" for number in range(len(files))]
    body = ["%description", "Built for a test.", *_subpackages(subpackages)]
    # Debian's rpm does not add the debug packages of itself, as Fedora's does.
    body += ["%global _debugsource_packages 1", "%{debug_package}"] if debuginfo else []
    body += _build(files, debuginfo=debuginfo)
    for kind, script in (scriptlets or {}).items():
        body += [f"%{kind}", script]
    body += ["%files", *files, *(["/usr/bin/lab-program"] if debuginfo else [])]
    for suffix in subpackages:
        body += [f"%files {suffix}"]
    body += ["%changelog"]
    for author, text, when in changelog:
        body += [time.strftime(f"* %a %b %d %Y {author}", time.gmtime(when)), text, ""]
    if isinstance(summary, str):
        summary = summary.encode()
    spec = b"Summary: " + summary + b"\n" + "\n".join([preamble, *head, *body, ""]).encode()
    return _run(folder, spec, files, payload, source=source)


def _subpackages(suffixes: Sequence[str]) -> list[str]:
    lines = []
    for suffix in suffixes:
        lines += [f"%package {suffix}", f"Summary: Part {suffix}", f"%description {suffix}", f"Part {suffix}."]
    return lines


def _build(files: Mapping[str, bytes], *, debuginfo: bool) -> list[str]:
    lines = ["%prep", "%setup -q -c -T", "%build"]
    if debuginfo:
        lines += [f"cat > program.c <<'END'\n{_PROGRAM}END", "gcc -g -O1 -o lab-program program.c"]
    lines += ["%install"]
    lines += [f"install -D -m 644 %{{SOURCE{number}}} %{{buildroot}}{path}" for number, path in enumerate(files)]
    if debuginfo:
        lines += ["install -D -m 755 lab-program %{buildroot}/usr/bin/lab-program"]
    return lines


def _run(folder: Path, spec: bytes, files: Mapping[str, bytes], payload: str, *, source: bool) -> list[Path]:
    with tempfile.TemporaryDirectory(prefix="rpmbuild-") as work:
        top = Path(work)
        (top / "SOURCES").mkdir()
        for number, content in enumerate(files.values()):
            (top / "SOURCES" / f"file{number}").write_bytes(content)
        (top / "lab.spec").write_bytes(spec)
        macros = {
            "_topdir": str(top),
            "_tmppath": str(top),
            "_dbpath": str(top / "rpmdb"),
            "_binary_payload": payload,
            "_source_payload": payload,
            "_buildhost": "lab.example.com",
            # Latin-1 text is refused by default since rpm 4.15; old packages carry it.
            "_invalid_encoding_terminates_build": "0",
            "use_source_date_epoch_as_buildtime": "1",
            "_smp_build_ncpus": "1",
        }
        words = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
        env = os.environ | {"HOME": str(top), "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": str(TIME)}
        mode = "-ba" if source else "-bb"
        run_builder([tool("rpmbuild"), mode, "--nodeps", *words, str(top / "lab.spec")], top, env)
        built = sorted(path for part in ("RPMS", "SRPMS") for path in top.glob(f"{part}/**/*.rpm"))
        return sorted(Path(shutil.move(path, folder / path.name)) for path in built)
