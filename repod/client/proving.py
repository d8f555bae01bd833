"""Proves files before anything is sent: each is a whole RPM, or a document that repod takes."""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from repod.client.pushing import Parcel
from repod.doors import Unreadable
from repod.errors import Corrupt, Misconfigured
from repod.letterbox import misnamed
from repod.package import Fault, is_rpm
from repod.plainfile import open_plain
from repod.repodata.kinds import LIMIT, kind
from repod.repodata.unpack import unpack

PACKAGE = "package"
"""The kind of an RPM."""

_PIECE = 1 << 20
_ANEW = "; upload it again"
_EXPECTED = "expected NAME.rpm, comps.xml, modules.yaml, updateinfo.xml, or an advisory (.toml, .json)"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The plain file at ``path``, to read; ``Misconfigured`` where there is none that can be read."""
    try:
        with open_plain(path) as file:
            yield file
    except FileNotFoundError as error:
        raise Misconfigured(f"{path}: there is no such file") from error
    except OSError as error:
        raise Misconfigured(f"{path}: it cannot be read ({error.strerror})") from error


def prove(path: Path) -> Parcel:
    """The file at ``path``, ready to be sent.

    ``Misconfigured`` where it is no file that a repository takes, ``Corrupt`` where it is one and is not whole.
    """
    if fault := misnamed(path.name):
        raise Misconfigured(f"{path}: its name cannot be sent: {fault}")
    if not is_rpm(path.name) and not kind(path.name):
        raise Misconfigured(f"{path}: its name says that it is neither package nor document; {_EXPECTED}")
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            raise Corrupt(f"{path}: it is empty; build it again")
        checksum = _digest(file)
    if is_rpm(path.name):
        return _package(path, size, checksum)
    return _document(path, size, checksum)


def _digest(file: BinaryIO) -> str:
    hasher = hashlib.sha256()
    while piece := file.read(_PIECE):
        hasher.update(piece)
    return hasher.hexdigest()


def _package(path: Path, size: int, checksum: str) -> Parcel:
    from repod import rpmproof  # noqa: PLC0415 - what sends documents alone does without

    try:
        proof = rpmproof.prove(path)
    except Unreadable as error:
        raise _damaged(path, error.faults) from error
    except Exception as error:  # rpm-rs raises OSError for what is wrong in a file too, and more
        raise Corrupt(f"{path}: it cannot be read as an RPM ({error}); build it again") from error
    if proof.faults:
        raise _damaged(path, proof.faults)
    return Parcel(
        path=path,
        size=size,
        sha256=checksum,
        kind=PACKAGE,
        nevra=proof.nevra,
        header_sha256=proof.header_sha256,
    )


def _damaged(path: Path, faults: Sequence[Fault]) -> Corrupt:
    texts = "; ".join(fault.text.removesuffix(_ANEW) for fault in faults)
    return Corrupt(f"{path}: {texts}; build it again, or copy it here again")


def _document(path: Path, size: int, checksum: str) -> Parcel:
    """What is in it is judged by the daemon; here, whether it is whole."""
    if size > LIMIT:
        raise Corrupt(f"{path}: expected at most {LIMIT} bytes in a document, found {size}")
    unpack(path.name, path.read_bytes(), LIMIT)
    return Parcel(path=path, size=size, sha256=checksum, kind=kind(path.name))
