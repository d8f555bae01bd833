"""A foreign repository: fetched, proven, ready to be taken over."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from repod.elsewhere import Carried, Foreign, Listed, Source
from repod.errors import Corrupt, NotFound
from repod.package import Entry, Package
from repod.repodata import bulletins, comps, modules, updateinfo
from repod.repodata.foreign import documents
from repod.repodata.foreign.index import LIMIT, Index, Record, parse, plain_type
from repod.repodata.foreign.packages import Packages
from repod.scratch import discard

_INDEX = "repodata/repomd.xml"
_CHECKS: Mapping[str, Callable[[bytes], bytes]] = {
    comps.TYPE: comps.check,
    modules.TYPE: modules.check,
    updateinfo.TYPE: bulletins.check,
}
_REMEDY = "nothing was changed; where the packages are sound and these documents are not: repod rebuild"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Repository:
    """See ``Foreign``."""

    notes: Sequence[str]
    carried: Sequence[Carried]
    packages: Packages

    def listed(self) -> Iterator[Listed]:
        return self.packages.listed()

    def entries(self, become: Callable[[Listed], Package | None]) -> Iterator[Entry]:
        return self.packages.entries(become)


def read(source: Source, folder: Path) -> Foreign:
    """The repository at ``source``, with its documents in the empty ``folder`` as long as it is used.

    Raises ``NotFound`` where there is none, and ``Corrupt`` with all faults, a line each, where
    its documents are not sound.
    """
    index = _index(source)
    faults: list[str] = []
    paths = [_plain(source, record, folder, faults) for record in index.packages]
    carried = [_carried(source, record, folder, faults) for record in index.carried]
    if faults:
        raise _unsound(source, faults)
    try:
        packages = Packages(paths)
        faults, notes = packages.examine()
    except Corrupt as error:
        raise _unsound(source, str(error).splitlines()) from error
    if faults:
        raise _unsound(source, faults)
    taken = [one for one in carried if one is not None]
    return _Repository(notes=[*index.notes, *notes, *_doubts(taken)], carried=taken, packages=packages)


def open_texts(source: Source, folder: Path) -> Callable[[str], Path]:
    """What gives the plain texts of primary, filelists and other, each fetched when it is first asked for.

    They are proven by checksum alone, and lie in the empty ``folder``. Raises as ``read`` does.
    """
    records = {record.type: record for record in _index(source).packages}

    def text(kind: str) -> Path:
        path = folder / f"{kind}.plain"
        faults: list[str] = []
        if not path.exists():
            _plain(source, records[kind], folder, faults)
        if faults:
            discard(path)
            raise Corrupt("\n".join(f"{source.name}: {fault}" for fault in faults))
        return path

    return text


def _index(source: Source) -> Index:
    try:
        return parse(b"".join(_limited(source.open(_INDEX))))
    except NotFound as error:
        msg = f"no repository at {source.name}: {error}; give the folder that holds repodata/"
        raise NotFound(msg) from error
    except Corrupt as error:
        raise _unsound(source, str(error).splitlines()) from error


def _doubts(carried: Sequence[Carried]) -> Iterator[str]:
    """What is wrong in documents that are carried as they are: hosts have lived with it so far."""
    for one in carried:
        try:
            _CHECKS.get(one.type, bytes)(one.data)
        except Corrupt as error:
            yield f"taken over as it is, though not sound: {one.type}: {error}"


def _limited(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Some more than an index may have, never a server's endless answer."""
    size = 0
    for piece in pieces:
        yield piece
        size += len(piece)
        if size > LIMIT:
            return


def _unsound(source: Source, faults: Sequence[str]) -> Corrupt:
    return Corrupt("\n".join([*(f"{source.name}: {fault}" for fault in faults), _REMEDY]))


def _plain(source: Source, record: Record, folder: Path, faults: list[str]) -> Path:
    """The proven plain text of a document, as a file; what is wrong goes to ``faults``."""
    packed, plain = folder / f"{record.type}.packed", folder / f"{record.type}.plain"
    try:
        documents.fetch(source, record, packed)
        documents.unpack(record, packed, plain)
    except (Corrupt, NotFound) as error:
        faults.append(f"{record.type}: {error}")
    finally:
        discard(packed)
    return plain


def _carried(source: Source, record: Record, folder: Path, faults: list[str]) -> Carried | None:
    packed, plain = folder / "carried.packed", folder / "carried.plain"
    try:
        documents.fetch(source, record, packed)
        documents.unpack(record, packed, plain)
        return Carried(type=plain_type(record.type), data=plain.read_bytes())
    except (Corrupt, NotFound) as error:
        faults.append(f"{record.type}: {error}")
        return None
    finally:
        discard(packed)
        discard(plain)
