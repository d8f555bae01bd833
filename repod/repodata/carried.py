"""The way in for documents that a repository carries beside its packages, and how they follow its packages.

Groups, module streams and advisories come as files or through commands and become edits, which
are made on whatever generation they land on. Any other record of repomd is carried as it is.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from repod.doors import Edit, Find, Unreadable
from repod.errors import Corrupt
from repod.package import Fault, Package
from repod.repodata import advisory, bulletins, comps, modules, text, updateinfo
from repod.repodata.kinds import ADVISORY, LIMIT, kind
from repod.repodata.unpack import plain_name, unpack
from repod.repodata.updateinfo import Named

_RECORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDocument:
    """Replace a document as a whole, byte for byte; ``data`` None takes it away."""

    type: str
    data: bytes | None

    def __post_init__(self) -> None:
        """``ValueError`` where ``type`` is made from the packages, or is no name of a record."""
        if not _RECORD.fullmatch(self.type) or self.type.removesuffix("_db") in text.KINDS:
            msg = f"not a document that is carried: {self.type!r}"
            raise ValueError(msg)

    def apply(self, present: bytes | None, find: Find) -> bytes | None:
        """See ``Edit.apply``."""
        del present, find
        return self.data

    @property
    def what(self) -> str:
        """See ``Edit.what``."""
        return "comps.xml" if self.type == comps.TYPE else self.type

    @property
    def size(self) -> int:
        """See ``Edit.size``."""
        return len(self.data or b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeModules:
    """Add module documents; see ``modules.merge``."""

    data: bytes
    type: ClassVar[str] = modules.TYPE
    what: ClassVar[str] = "modules.yaml"

    @property
    def size(self) -> int:
        """See ``Edit.size``."""
        return len(self.data)

    def apply(self, present: bytes | None, find: Find) -> bytes:
        """See ``Edit.apply``."""
        del find
        return modules.merge(present, self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeAdvisories:
    """Add the advisories ``ids``, given as an ``updateinfo.xml``; see ``updateinfo.merge``."""

    ids: Sequence[str]
    data: bytes
    type: ClassVar[str] = updateinfo.TYPE

    @property
    def what(self) -> str:
        """See ``Edit.what``."""
        return _advisories(self.ids)

    @property
    def size(self) -> int:
        """See ``Edit.size``."""
        return len(self.data)

    def apply(self, present: bytes | None, find: Find) -> bytes:
        """See ``Edit.apply``."""
        return updateinfo.merge(present, self.data, find)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveAdvisories:
    """Take advisories out by their ids; ``NotFound`` where one is not there."""

    ids: Sequence[str]
    type: ClassVar[str] = updateinfo.TYPE
    size: ClassVar[int] = 0

    @property
    def what(self) -> str:
        """See ``Edit.what``."""
        return _advisories(self.ids)

    def apply(self, present: bytes | None, find: Find) -> bytes | None:
        """See ``Edit.apply``."""
        del find
        return updateinfo.remove(present, self.ids)


def _advisories(ids: Sequence[str]) -> str:
    return f"advisory {ids[0]}" if len(ids) == 1 else f"{len(ids)} advisories"


def read(name: str, data: bytes, as_kind: str = "") -> Edit:
    """The edit that a file asks for; ``Unreadable`` lists the file's faults.

    ``as_kind``: what it is, as by ``kind``, whatever its name says. ``ValueError`` where it is
    not given and the name is of no document.
    """
    try:
        return _edit(as_kind or kind(name), name, data)
    except Corrupt as error:
        text = str(error) if str(error).startswith(f"{name}: ") else f"{name}: {error}"
        raise Unreadable(Fault(code="document", text=text)) from error


def _edit(kind: str, name: str, data: bytes) -> Edit:
    plain = unpack(name, data, advisory.LIMIT if kind == ADVISORY else LIMIT)
    if kind == comps.TYPE:
        return SetDocument(type=comps.TYPE, data=comps.check(plain))
    if kind == modules.TYPE:
        return MergeModules(data=modules.check(plain))
    if kind == updateinfo.TYPE:
        return _merge(updateinfo.check_merge(plain))
    if kind == ADVISORY:
        return _merge(advisory.read(plain_name(name), plain))
    msg = f"not the name of a document: {name!r}"
    raise ValueError(msg)


def _merge(data: bytes) -> MergeAdvisories:
    return MergeAdvisories(ids=tuple(bulletins.ids_of(data)), data=data)


def names(record: str, data: bytes) -> frozenset[str]:
    """The names of all packages that a document speaks of: a publish that touches none needs no ``follow``.

    It is of the bytes alone, so it can be kept with their checksum. ``record`` is repomd's name
    of the document. ``Corrupt`` where it is not sound.
    """
    if record == modules.TYPE:
        return modules.names(data)
    return updateinfo.names(data) if record == updateinfo.TYPE else frozenset()


def follow(
    record: str, data: bytes, *, added: Sequence[Package], removed: Sequence[Package], find: Find, named: Named
) -> bytes | None:
    """A document after packages came and went; ``find`` and ``named`` look into the content after that.

    Returns ``data`` itself where nothing changes, and ``None`` where nothing is left of the document.
    ``Corrupt`` where it is not sound.
    """
    gone = [package.nevra for package in removed]
    if record == modules.TYPE:
        return modules.follow(data, gone, find)
    if record == updateinfo.TYPE:
        return updateinfo.follow(data, [package.nevra for package in added], gone, named)
    return data
