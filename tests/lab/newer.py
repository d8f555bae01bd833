"""Programs that are newer than Debian 12's: one root of each suite that has them, for all tests, made once."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.lab import debian
from tests.lab.box import Box, box
from tests.lab.clients import Completed

_BOTH = ("createrepo-c", "dnf", "gpgv", "libsolv-tools", "mawk", "python3", "rpm", "sqv", "zypper")
WITHOUT_DNF4 = (
    "usr/bin/dnf", "usr/bin/dnf-3", "usr/lib/python3/dist-packages/dnf", "etc/dnf/plugins",
)  # fmt: skip
"""What a host of ``forky`` has not, whose package tool is dnf 5."""

# Debian's own rpm checks digests only; upstream's rpm 6 wants a signature too.
_MACROS = "%_dbpath /var/lib/rpm\n%_pkgverify_level all\n"
_DNF = "[main]\ngpgcheck=1\nbest=1\nskip_if_unavailable=0\n"
# Modules have a platform, and dnf 5 reads it here.
_RELEASE = 'NAME="Lab"\nID=fedora\nVERSION_ID=43\nPLATFORM_ID="platform:f43"\n'
_FORM = "@%{name}-%{epoch}:%{version}-%{release}.%{arch} %{downloadsize}"
_ZYPPER = ("zypper", "--non-interactive", "--gpg-auto-import-keys")


def trixie() -> Path:
    """dnf 4.23, rpm 4.20, zypper 1.14.89, createrepo_c 1.2.0, Python 3.13."""
    return debian.root("trixie", *_BOTH)


def forky() -> Path:
    """dnf 5 and dnf 4.24, rpm 6, zypper 1.14.101, createrepo_c 1.2.1, Python 3.14, botocore; what a host has."""
    return debian.root("forky", *_BOTH, "dnf5", "openssh-server", "python3-botocore", "sudo")


class Client(NamedTuple):
    """A package tool in a box of its own: ``dnf5``, ``dnf`` or ``zypper``."""

    tool: str
    box: Box

    def say(self, *words: str) -> Completed:
        """The tool, as one who answers yes; metadata are fetched anew by ``refresh``."""
        words = (*_ZYPPER, *words) if self.tool == "zypper" else (self.tool, "-y", *words)
        return self.box.run(*words, check=False)

    def done(self, *words: str) -> str:
        """The same, which must end with 0; what it said."""
        ended = self.say(*words)
        assert ended.rc == 0, f"{self.tool} {' '.join(words)} ended with {ended.rc}:\n{ended.out}"
        return ended.out

    def subscribe(self, text: str) -> None:
        """Have this ``.repo`` file and no other."""
        self.box.subscribe(text)

    def refresh(self) -> str:
        """Fetch metadata anew."""
        return self.done("refresh", "--force") if self.tool == "zypper" else self.done("makecache", "--refresh")

    def follow(self) -> str:
        """Run what the repository lists, whether newer or older."""
        if self.tool == "zypper":
            return self.done("dist-upgrade", "--allow-downgrade")
        return self.done("--refresh", "distro-sync")

    def available(self) -> Mapping[str, int]:
        """What the repositories offer: sizes of packages by NEVRA (always with an epoch); zypper tells no sizes: 0."""
        self.refresh()
        if self.tool == "zypper":
            out = self.done("search", "--details", "--type", "package")
            rows = [[cell.strip() for cell in line.split("|")] for line in out.splitlines() if line.count("|") == 5]
            return {
                f"{row[1]}-{_epoch(row[3])}.{row[4]}": 0 for row in rows if row[2] == "package" and row[5][:1] != "("
            }
        end = "\\n" if self.tool == "dnf5" else ""
        out = self.done("repoquery", "--available", "--qf", _FORM + end)
        return {name: int(size) for name, size in re.findall(r"^@(\S+) (\d+)$", out, re.MULTILINE)}

    def installed(self) -> list[str]:
        """NEVRAs, an epoch where there is one."""
        return sorted(self.box.installed())


def _epoch(evr: str) -> str:
    return evr if ":" in evr else f"0:{evr}"


@contextlib.contextmanager
def client(own: Path, base: Path, tool: str, *folders: Path) -> Iterator[Client]:
    """A client in a box over ``base``; both checks are on, and rpm takes nothing without a good signature.

    But for zypper 1.14.101: what it runs transactions with finds no key where a signature is demanded of rpm 6,
    although rpm has the key and takes the package. It checks packages itself.
    """
    alone = tool == "zypper" and base == forky()
    with box(own, base, *folders) as made:
        made.put("/etc/rpm/macros", _MACROS.replace(" all", " digest") if alone else _MACROS)
        made.put("/etc/dnf/dnf.conf", _DNF)
        made.put("/etc/os-release", _RELEASE)
        made.run("mkdir", "-p", "/etc/zypp/repos.d", "/var/lib/rpm")
        # Debian's dnf 5 offers from the host what was once installed on it, and so never goes back with a repository.
        made.run("rm", "-f", "/etc/dnf/libdnf5-plugins/local.conf")
        yield Client(tool, made)
