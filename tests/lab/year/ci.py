"""What CI builds in a year: applications whose versions and iterations move, some in several packages.

A build is all packages of one source RPM. Every application counts its builds, as with
``fpm --iteration BUILD_NUMBER``: many iterations of one version, and now and then one of an old version.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from repod.package import Nevra
from tests.lab.entries import Made, described

_KINDS = ("tool", "tool", "service", "library", "mover")


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """The packages that one run of CI made; ``source`` is the file name of their source RPM.

    ``requires``: the names that each package needs in its own EVR.
    """

    source: str
    packages: Sequence[Made]
    requires: Mapping[Nevra, Sequence[str]]


class Application:
    """One application and how far it has come."""

    def __init__(self, number: int, draw: random.Random) -> None:
        self.name = f"app{number:03}"
        self.kind = _KINDS[number % len(_KINDS)]
        self._draw = draw
        self._iteration = 0
        self._epoch = 0
        self._versions = ["1.0"]
        self._arch = "noarch"

    def build(self) -> Build:
        """The next build."""
        self._iteration += 1
        self._move()
        # A hotfix of the version before: newer by its number, older by its version.
        old = len(self._versions) > 1 and self._draw.random() < 0.05
        version = self._versions[-2 if old else -1]
        source = f"{self.name}-{version}-{self._iteration}.src.rpm"
        packages = [self._made(*row, version, source) for row in self._rows()]
        requires = {one.nevra: needs for one, (_, _, needs) in zip(packages, self._rows(), strict=True)}
        return Build(source=source, packages=packages, requires=requires)

    def _move(self) -> None:
        if self._draw.random() < 0.08:
            major, minor = map(int, self._versions[-1].partition("~")[0].split("."))
            step = self._draw.choice((f"{major}.{minor + 1}", f"{major + 1}.0", f"{major}.{minor + 9}~rc1"))
            self._versions.append(step)
        if self._draw.random() < 0.002:
            self._epoch += 1
        if self.kind == "mover" and self._draw.random() < 0.05:
            self._arch = "x86_64" if self._arch == "noarch" else "noarch"

    def _rows(self) -> Sequence[tuple[str, str, Sequence[str]]]:
        """Name, arch and needs of each package."""
        name = self.name
        return {
            "tool": [(name, "noarch", ())],
            "mover": [(name, self._arch, ())],
            "library": [(name, "x86_64", ()), (f"{name}-devel", "x86_64", (name,)), (name, "src", ())],
            "service": [
                (name, "x86_64", (f"{name}-libs",)),
                (f"{name}-libs", "x86_64", ()),
                (f"{name}-doc", "noarch", ()),
                (f"{name}-debuginfo", "x86_64", ()),
                (f"{name}-debugsource", "x86_64", ()),
            ],
        }[self.kind]

    def _made(self, name: str, arch: str, requires: Sequence[str], version: str, source: str) -> Made:
        nevra = Nevra(name=name, epoch=self._epoch, version=version, release=str(self._iteration), arch=arch)
        words = " ".join(f"requires={need}" for need in requires)
        padding = "." * self._draw.randint(0, 400)
        return described(nevra, f"{nevra} source={source} {words} {padding}\n".encode())
