"""Which shared libraries of the system (sonames) those in wheels need: not all of them bring everything along."""

from collections.abc import Iterator
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

# Parts of the C library, whose version is required by itself.
_OF_C = ("ld-linux", "libc.so", "libdl.so", "libm.so", "libpthread.so", "libresolv.so", "librt.so", "libutil.so")


def missing(folder: Path) -> list[str]:
    """Names such as ``libz.so.1`` that are needed below ``folder``, and neither there nor in the C library."""
    files = [path for path in folder.rglob("*.so*") if path.is_file()]
    asked = {name for path in files for name in _needed(path)}
    return sorted(name for name in asked - {path.name for path in files} if not name.startswith(_OF_C))


def _needed(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        try:
            sections = [one for one in ELFFile(file).iter_sections() if isinstance(one, DynamicSection)]
        except ELFError:
            return
        for section in sections:
            # The name of the tag is that of its attribute, which pyelftools adds to it when it is read.
            yield from (str(vars(tag)["needed"]) for tag in section.iter_tags("DT_NEEDED"))
