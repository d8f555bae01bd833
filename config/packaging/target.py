"""The distributions that RPMs are built for, as ``targets.toml`` says."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CPUS = {"x86_64": "amd64", "aarch64": "arm64"}
"""The architectures that RPMs are built for, as rpm and as nfpm say them."""

GLIBC = 34
"""The C library that every target has: 2.34. Wheels may ask for that, and RPMs say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A distribution. ``python``: such as ``3.12``; "": no daemon there. ``arch``: as rpm says it."""

    name: str
    arch: str
    python: str = ""
    host_python: str
    dnf_plugins: str = ""
    zypper: bool = False

    @property
    def interpreter(self) -> str:
        """What runs the daemon."""
        return f"/usr/bin/python{self.python}"

    @property
    def platforms(self) -> list[str]:
        """The tags of wheels that run there, newest C library first."""
        names = [f"manylinux_2_{minor}_{self.arch}" for minor in range(GLIBC, 4, -1)]
        return [*names, f"manylinux2014_{self.arch}"]


def targets(arch: str) -> Mapping[str, Target]:
    """All of them by name, for an architecture of ``CPUS``."""
    table = tomllib.loads(Path(__file__).with_name("targets.toml").read_text())
    return {name: Target(name=name, arch=arch, **facts) for name, facts in table.items()}
