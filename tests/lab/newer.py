"""Programs that are newer than Debian 12's: one root of each suite that has them, for all tests, made once."""

from pathlib import Path

from tests.lab import debian

_BOTH = ("createrepo-c", "dnf", "gpgv", "libsolv-tools", "mawk", "python3", "rpm", "sqv", "zypper")
WITHOUT_DNF4 = (
    "usr/bin/dnf", "usr/bin/dnf-3", "usr/lib/python3/dist-packages/dnf", "etc/dnf/plugins",
)  # fmt: skip
"""What a host of ``forky`` has not, whose package tool is dnf 5."""


def trixie() -> Path:
    """dnf 4.23, rpm 4.20, zypper 1.14.89, createrepo_c 1.2.0, Python 3.13."""
    return debian.root("trixie", *_BOTH)


def forky() -> Path:
    """dnf 5 and dnf 4.24, rpm 6, zypper 1.14.101, createrepo_c 1.2.1, Python 3.14, botocore; what a host has."""
    return debian.root("forky", *_BOTH, "dnf5", "openssh-server", "python3-botocore", "sudo")
