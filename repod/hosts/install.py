"""`pack` and `install` of `repod-s3` and `repod-agent`: one file for a host, and what goes with it put in place."""

from __future__ import annotations

import os
import pkgutil
import shutil
import sys
import tempfile
import zipapp
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from repod.hosts.faults import WrongUse

PROGRAM = "usr/local/bin/repod-s3"
AGENT = "repod.hosts.agent.command"
PYTHON = "/usr/bin/python3"
_OLD = 315_532_800  # 1980, the first year of a zip: the same sources, whatever their modes, give the same file
_S3 = "repod.hosts.command"
_RUNS = "import sys\n\nfrom {module} import main\n\nsys.exit(main())\n"


@dataclass(frozen=True)
class Written:
    """A file of an installation: what became of it."""

    path: Path
    what: str


def pack(target: Path, python: str = PYTHON, module: str = _S3) -> Path:
    """Write a program as one file that ``python`` (an absolute path) runs.

    ``module`` has its ``main``: that of `repod-s3`, which needs botocore beside it, or ``AGENT``.
    """
    with tempfile.TemporaryDirectory(prefix="repod-s3-") as work:
        stage = Path(work, "stage")
        _unpacked(stage)
        (stage / "__main__.py").write_text(_RUNS.format(module=module), encoding="utf-8")
        for path in stage.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
            os.utime(path, (_OLD, _OLD))
        made = Path(work, "made")
        zipapp.create_archive(stage, made, interpreter=python)
        made.chmod(0o755)
        _place(target, made.read_bytes(), 0o755)
    return target


def _unpacked(stage: Path) -> None:
    """This package, wherever it runs from, in a folder."""
    here = Path(__file__).resolve().parent
    if here.is_dir():
        shutil.copytree(here, stage / "repod" / "hosts", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("__init__.py", "jsontext.py", "windows.py"):
            shutil.copy(here.parent / name, stage / "repod")
        return
    with zipfile.ZipFile(here.parents[1]) as archive:
        archive.extractall(stage)


def install(
    root: Path, parts: Sequence[str], *, python: str = PYTHON, dnf_plugins: Path | None = None
) -> Iterator[Written]:
    """Put ``parts`` (``dnf``, ``zypper``, ``systemd``) and the program below ``root``; settings are never replaced.

    ``dnf_plugins``: where dnf looks for plugins, where that is not found beside dnf itself.
    """
    plugins = (dnf_plugins or _plugin_folder(root)) if "dnf" in parts else None
    program = root / PROGRAM
    before = program.read_bytes() if program.exists() else None
    pack(program, python)
    yield Written(program, _became(before, program.read_bytes()))
    yield _put(root / "etc/repod-s3.conf", "files/repod-s3.conf", keep=True)
    if plugins is not None:
        yield _put(plugins / "repod_s3.py", "dnf_plugin.py")
        yield _put(root / "etc/dnf/plugins/repod_s3.conf", "files/dnf-plugin.conf", keep=True)
    if "zypper" in parts:
        yield _put(root / "usr/lib/zypp/plugins/urlresolver/s3", "files/urlresolver", mode=0o755)
    if "systemd" in parts:
        for unit in ("repod-s3.socket", "repod-s3.service"):
            yield _put(root / "etc/systemd/system" / unit, f"files/{unit}")


def install_agent(root: Path, python: str = PYTHON) -> Iterator[Written]:
    """Put `repod-agent`, its settings and its units below ``root``; settings are never replaced."""
    program = root / "usr/local/bin/repod-agent"
    before = program.read_bytes() if program.exists() else None
    pack(program, python, AGENT)
    yield Written(program, _became(before, program.read_bytes()))
    yield _put(root / "etc/repod-agent.conf", "files/repod-agent.conf", keep=True)
    for unit in ("repod-agent.timer", "repod-agent.service"):
        yield _put(root / "etc/systemd/system" / unit, f"files/{unit}")


def _plugin_folder(root: Path) -> Path:
    """``dnf-plugins`` beside dnf 4, as dnf itself has it."""
    found = sorted(root.glob("usr/lib*/python3*/*-packages/dnf/plugin.py"))
    if not found:
        msg = f"{root}: expected dnf 4 below usr/lib/python3*/site-packages, found none; name its folder: --dnf-plugins"
        raise WrongUse(msg)
    return found[-1].parents[1] / "dnf-plugins"


def _put(path: Path, name: str, *, mode: int = 0o644, keep: bool = False) -> Written:
    before = path.read_bytes() if path.exists() else None
    data = pkgutil.get_data("repod.hosts", name) or b""
    if before is not None and keep:
        return Written(path, "kept" if before != data else "unchanged")
    _place(path, data, mode)
    return Written(path, _became(before, data))


def _became(before: bytes | None, after: bytes) -> str:
    if before is None:
        return "written"
    return "unchanged" if before == after else "replaced"


def _place(path: Path, data: bytes, mode: int) -> None:
    """Whole or not at all, also where dnf reads it now."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_name(f".{path.name}.new")
        made.write_bytes(data)
        made.chmod(mode)
        made.replace(path)
    except OSError as error:
        msg = f"{path}: cannot be written: {error.strerror}"
        raise WrongUse(msg) from error


def own_command() -> Sequence[str]:
    """The words that run this program again."""
    name = Path(sys.argv[0])
    if zipfile.is_zipfile(name):
        return [sys.executable, str(name.resolve())]
    return [sys.executable, "-m", "repod.hosts"]
