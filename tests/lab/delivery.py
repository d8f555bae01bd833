"""repod as it is delivered: built from this checkout and from a next version of it, installed, and run from there."""

import re
import tarfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from config.packaging.__main__ import CACHE
from config.packaging.rpms import Release, rpms
from config.packaging.target import Target, targets
from config.packaging.wheels import build, libraries
from tests.lab.box import Box
from tests.lab.ports import free_port
from tests.lab.wait import until

ROOT = Path(__file__).parents[2]
NEXT = "0.99.0"
REMARK = f"# As of {NEXT}.\n"
_TIME = 1_700_000_000
_OFFLINE = ("--disable-pip-version-check", "--quiet", "--no-index", "--no-compile")
_RUN = "exec setpriv --reuid=repod --regid=repod --init-groups env CREDENTIALS_DIRECTORY=/run/credentials repod run"


def target(name: str) -> Target:
    """A distribution of ``targets.toml``."""
    return targets("x86_64")[name]


def release(root: Path, out: Path) -> Release:
    """Wheel and source archive of a checkout, in ``out``."""
    wheel, _ = build(root, out)
    # The weakest compression, since nobody keeps them.
    return Release(root=root, wheel=wheel, time=_TIME, compression="zstd:1")


def packages(made: Release, name: str, out: Path) -> list[Path]:
    """Its RPMs for a distribution."""
    return rpms(made, target(name), libraries(ROOT, target(name), CACHE), out)


def next_version(archive: Path, folder: Path) -> Path:
    """A checkout from the source archive: version ``NEXT``, whose settings have another comment at their end."""
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    (root,) = folder.iterdir()
    # Where it is there, hatchling takes the version from it.
    (root / "PKG-INFO").unlink()
    module, settings = root / "repod/__init__.py", root / "config/repod.toml"
    module.write_text(re.sub(r"(?m)^__version__ = .*$", f'__version__ = "{NEXT}"', module.read_text()))
    settings.write_text(settings.read_text() + REMARK)
    return root


def wheels(python: str) -> Path:
    """A folder with the wheels that ``python`` (``3.13``) needs, which pip may take them from."""
    libraries(ROOT, Target(name="any", arch="x86_64", python=python, host_python=""), CACHE)
    return CACHE / "wheels"


def pip(wheel: Path, folder: Path) -> list[str]:
    """The words after ``python -m pip`` that install a wheel and what it asks for, from ``folder`` alone."""
    return ["install", *_OFFLINE, "--find-links", str(folder), str(wheel)]


class Service:
    """The daemon of the package, as its unit starts it: its user, its settings, its key handed over.

    The first start gives it an address of its own in ``/etc/repod/repod.toml``, as an administrator does.
    """

    def __init__(self, box: Box, secret: bytes) -> None:
        """``secret``: the signing key."""
        self._box = box
        self._pid = ""
        self.url = f"http://127.0.0.1:{free_port()}"
        box.put("/etc/repod/signing-key.asc", secret, 0o600)
        box.run("install", "-d", "-o", "repod", "-g", "repod", "-m", "700", "/var/lib/repod", "/run/credentials")
        box.run("install", "-o", "repod", "-m", "400", "/etc/repod/signing-key.asc", "/run/credentials/signing-key")
        settings = box.read("/etc/repod/repod.toml")
        box.put("/etc/repod/repod.toml", settings.replace('#listen = "127.0.0.1:8470"', f'listen = "{self.url[7:]}"'))

    def __enter__(self) -> Self:
        words = f"({_RUN} -c /etc/repod/repod.toml) </dev/null >>/run/repod.log 2>&1 & echo $!"
        self._pid = self._box.run("sh", "-c", words).out.strip()
        try:
            until(lambda: self.get("/readyz") is not None, 60, "the installed repod to be ready")
        except AssertionError as error:
            msg = f"{error}; its log:\n{self._box.read('/run/repod.log')}"
            raise AssertionError(msg) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._box.run("kill", self._pid)
        until(lambda: self._box.run("kill", "-0", self._pid, check=False).rc, 30, "the installed repod to end")

    def get(self, path: str) -> str | None:
        """What it answers; None where it does not, or not with 200."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=60) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError):
            return None

    def publish(self, package: Path) -> None:
        """Drop a package into the inbox, and wait until it is no longer there."""
        inbox = "/srv/repod/inbox/el9-prod"
        self._box.put(f"{inbox}/.{package.name}", package.read_bytes())
        self._box.run("mv", f"{inbox}/.{package.name}", f"{inbox}/{package.name}")
        until(lambda: not self._box.run("ls", inbox).out, 90, f"{package.name} to be taken in")


DEMO = """
bin=$1 url=http://127.0.0.1:$2 folder=$3
"$bin/repod" demo --dir "$folder/demo" --listen "127.0.0.1:$2" >"$folder/log" 2>&1 </dev/null &
pid=$!
until grep -q 'install repod-hello' "$folder/log"; do
    kill -0 $pid || { cat "$folder/log"; exit 1; }
    sleep .1
done
"$bin/python" -c "import urllib.request as u; print(u.urlopen('$url/repos/demo/repodata/repomd.xml').read().decode())"
"$bin/repod" packages demo -c "$folder/demo/repod.toml"
REPOCTL_URL=$url "$bin/repoctl" status || exit 1
kill $pid && wait $pid
"""
"""``sh -c DEMO sh BIN PORT FOLDER``: `repod demo` of an environment's programs, looked at, and ended: status 0."""
