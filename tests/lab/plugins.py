"""The plugins of dnf, unpacked and not installed: Debian's package of them and zypper exclude each other.

``python -m tests.lab.plugins`` fetches them; so does the first test that needs them.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_PACKAGE = "dnf-plugins-core"
_HOME = Path(sys.prefix, "dnf-plugins")


def dnf_plugins() -> Path:
    """The directory that holds the Python packages of the plugins; ``dnf-plugins`` in it are the plugins."""
    modules = _HOME / "usr/lib/python3/dist-packages"
    if not modules.is_dir():
        _fetch()
    return modules


def _fetch() -> None:
    """Unpack the package into the virtual environment; of two at a time, one does it."""
    # apt's own user must be able to read it.
    with tempfile.TemporaryDirectory(prefix="apt-", dir="/tmp") as work:
        Path(work).chmod(0o755)
        _run(["apt-get", "-qq", "download", _PACKAGE], work)
        (package,) = Path(work).glob("*.deb")
        made = Path(tempfile.mkdtemp(prefix=".dnf-plugins-", dir=_HOME.parent))
        _run(["dpkg", "-x", str(package), str(made)], work)
        try:
            made.rename(_HOME)
        except OSError:
            shutil.rmtree(made)
            if not _HOME.is_dir():
                raise


def _run(words: list[str], cwd: str) -> None:
    done = subprocess.run(
        words, cwd=cwd, env=os.environ | {"LC_ALL": "C"}, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        msg = f"{' '.join(words)} failed; run 'apt-get update' first:\n{done.stdout}{done.stderr}"
        raise AssertionError(msg)


if __name__ == "__main__":
    print(dnf_plugins())
