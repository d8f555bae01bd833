"""What tests of a local store need: file systems of their own, and a look at work in hand."""

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from repod.doors import Part
from repod.package import Sha256

KERNEL_CALLS = ("open", "fsync", "fchmod", "mkdir", "chmod", "link", "replace", "pread", "lseek", "copy_file_range")
"""The calls a local store makes by name in ``os``, that may fail for want of space or a sound disk."""


def checksum(data: bytes) -> Sha256:
    return Sha256(hashlib.sha256(data).hexdigest())


def stages(root: Path) -> list[str]:
    """The temporary files that a local store has at this moment."""
    return sorted(path.name for path in (root / ".repod/tmp").iterdir())


def watched(look: Callable[[], object], *parts: Part) -> Sequence[Part]:
    """``parts`` for ``Store.add``, with ``look`` called when all of them but the last were taken."""

    def each() -> Iterator[Part]:
        yield from parts[:-1]
        look()
        yield parts[-1]

    return cast("Sequence[Part]", each())


@contextmanager
def tmpfs(place: Path, options: str) -> Iterator[Path]:
    """A file system of its own, such as ``size=4m``, mounted on the new folder ``place``.

    Needs to be root, or sudo without a password.
    """
    place.mkdir()
    _as_root("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place))
    try:
        yield place
    finally:
        _as_root("umount", str(place))


def fill(place: Path, left: int = 0) -> Path:
    """Use up the room of a file system but for ``left`` bytes; the file that does it."""
    filler = place / "filler"
    free = os.statvfs(place)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_bsize - left)
    return filler


def remount_read_only(place: Path) -> None:
    _as_root("mount", "-o", "remount,ro", str(place))


def _as_root(*command: str) -> None:
    subprocess.run([*([] if os.geteuid() == 0 else ["sudo", "-n"]), *command], check=True)


class FailingCall:
    """While ``patch`` holds, the ``number``-th of the kernel calls in ``names`` fails with errno ``code``.

    ``failed`` names the call that did, and is empty where there were not so many.
    """

    def __init__(self, patch: pytest.MonkeyPatch, number: int, code: int, names: Sequence[str] = KERNEL_CALLS) -> None:
        self.failed = ""
        self._left = number
        self._code = code
        for name in names:
            patch.setattr(os, name, self._counted(name, getattr(os, name)))

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                self.failed = name
                raise OSError(self._code, os.strerror(self._code))
            return real(*args, **options)

        return call
