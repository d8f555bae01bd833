"""What a package tool says that a repository offers, read."""

import re
from collections.abc import Iterator, Sequence

from repod.client.toolkit.asked import ToolName
from repod.numerals import EPOCH, number
from repod.package import Nevra

# Each looks at a text of any length once: a host may send what fits almost, again and again.
_SOLVABLE = re.compile(r"<solvable\b([^<>]*)>")
_ATTRIBUTE = re.compile(r'\b(\w{1,40})="([^"]*)"')
_PIPED = 5


def offered(tool: ToolName, output: str) -> Sequence[Nevra]:
    """The builds in the output of ``orders.offer``. What is not one is passed over: progress, warnings."""
    read = {ToolName.DNF: _piped, ToolName.DNF5: _piped, ToolName.YUM: _columns, ToolName.ZYPPER: _xml}.get(
        tool, _lines
    )
    return list(read(output))


def _piped(output: str) -> Iterator[Nevra]:
    for line in output.splitlines():
        parts = line.strip().removeprefix("@").split("|")
        if line.startswith("@") and len(parts) == _PIPED and (epoch := number(parts[1], EPOCH)) is not None:
            name, _, version, release, arch = parts
            yield Nevra(name=name, epoch=epoch, version=version, release=release, arch=arch)


def _columns(output: str) -> Iterator[Nevra]:
    # yum breaks rows where they are too long for it: a build is three words, however they are broken.
    _, _, listed = output.partition("Available Packages")
    words = listed.split()
    for place, evr, _ in zip(words[::3], words[1::3], words[2::3], strict=False):
        name, _, arch = place.rpartition(".")
        yield from _parsed(f"{name}-{evr}.{arch}")


def _lines(output: str) -> Iterator[Nevra]:
    for line in output.splitlines():
        yield from _parsed(line.strip())


def _xml(output: str) -> Iterator[Nevra]:
    for match in _SOLVABLE.finditer(output):
        found = dict(_ATTRIBUTE.findall(match[1]))
        if found.get("kind") == "package":
            yield from _parsed(f"{found.get('name', '')}-{found.get('edition', '')}.{found.get('arch', '')}")


def _parsed(text: str) -> Iterator[Nevra]:
    try:
        yield Nevra.parse(text)
    except ValueError:
        return
