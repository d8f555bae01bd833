"""The packages of a day, made ahead: so that the machine is the daemon's while they are dropped."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab.rpms import quick
from tests.soak.plan import Drop

_FILES = 8
_HEAD = 4000  # bytes of a file that stay when it is cut: lead and headers of these packages are shorter


def make(folder: Path, drops: Sequence[Drop]) -> Mapping[int, Path]:
    """The file of each drop, by its number, made in ``folder``; one that comes again is made once."""
    folder.mkdir()
    made: dict[int, Path] = {}
    for drop in drops:
        made[drop.number] = made[drop.of] if drop.of is not None and not drop.fault else _made(folder, drop)
    return made


def _made(folder: Path, drop: Drop) -> Path:
    path = folder / drop.file
    if drop.fault == "junk":
        path.write_bytes(f"no package, but number {drop.number}\n".encode() * 50)
        return path
    text = f"{drop.nvra} of drop {drop.number}\n" * 40
    files = {f"/usr/share/{drop.name}/{number}.txt": text.encode() for number in range(_FILES)}
    arch = "s390x" if drop.fault == "foreign arch" else "noarch"
    quick(folder, drop.name, drop.version, arch=arch, files=files, requires=["glibc >= 2.34"], as_name=drop.file)
    data = path.read_bytes()
    if drop.fault == "cut":
        path.write_bytes(data[: min(_HEAD, len(data) - 10)])
    elif drop.fault == "flipped":
        path.write_bytes(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])
    return path
