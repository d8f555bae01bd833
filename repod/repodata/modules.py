"""``modules.yaml``: module streams, their defaults, translations and ends of life.

The documents of the stream are understood, merged and taken out one by one, and never written:
what stays keeps its text byte for byte. Their forms are libmodulemd's (``yaml_specs``).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from repod.builds import Stream
from repod.doors import Find
from repod.errors import Corrupt
from repod.package import Nevra
from repod.repodata import kinds, strictyaml
from repod.repodata.strictyaml import Part, Value

TYPE = kinds.MODULES
"""What repomd calls the document."""

_WHAT = "modules.yaml"
_DEFAULTS = "modulemd-defaults"
_OF_STREAMS = ("modulemd-translations", "modulemd-obsoletes")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """A kind of document: its versions, and the fields that identify one, the ``needed`` first ones never empty."""

    versions: Sequence[str]
    key: Sequence[str]
    needed: int


_FORMS: Mapping[str, _Form] = {
    "modulemd": _Form(versions=("1", "2"), key=("name", "stream", "version", "context", "arch"), needed=2),
    "modulemd-defaults": _Form(versions=("1",), key=("module",), needed=1),
    "modulemd-translations": _Form(versions=("1",), key=("module", "stream"), needed=2),
    # One end of life may follow another, and clients go by the newest: each is a document of its own.
    "modulemd-obsoletes": _Form(versions=("1",), key=("module", "stream", "context", "modified"), needed=2),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """One document. ``key`` identifies it; ``artifacts`` are the packages that a modulemd document names."""

    part: Part
    key: Sequence[str]
    artifacts: frozenset[Nevra]

    @property
    def stream(self) -> Stream:
        return self.key[1], self.key[2]


def check(data: bytes) -> bytes:
    """``data`` as it is, proven to hold module documents; ``Corrupt`` names the line and what was expected there."""
    _incoming(data)
    return data


def merge(present: bytes | None, data: bytes) -> bytes:
    """The documents of ``present`` with those of ``data``: each takes the place of the one with its identity.

    Others keep their place and text; new ones follow in their order. What changes nothing gives
    ``present``, byte for byte. ``Corrupt`` as ``check``.
    """
    new = {document.key: document.part.text for document in _incoming(data)}
    old = list(_documents(present or b""))
    left = dict(new)
    texts = [left.pop(d.key, "") if d.key in new else d.part.text for d in old]
    return _joined(present, old, [*texts, *left.values()]) or b""


def follow(present: bytes, removed: Iterable[Nevra], find: Find) -> bytes | None:
    """``present`` without the module builds whose last package left; ``None`` where nothing is left of it.

    A modulemd document leaves with the last of its artifacts that is listed. One of whose
    artifacts nothing was removed stays, listed or not: its packages may be on their way.
    Everything else stays. Defaults do so even where they name a stream that is not there now:
    dnf passes over those, and the stream's next build must not come without its default.
    """
    gone = set(removed)
    old = list(_documents(present))
    touched = [document for document in old if document.artifacts & gone]
    listed = find({nevra for document in touched for nevra in document.artifacts}) if touched else {}
    leaving = {id(document) for document in touched if not document.artifacts & listed.keys()}
    return _joined(present, old, ["" if id(document) in leaving else document.part.text for document in old])


def artifacts(data: bytes) -> dict[Nevra, frozenset[Stream]]:
    """Every package that a module build names, with the streams it belongs to."""
    found: dict[Nevra, frozenset[Stream]] = {}
    for document in _documents(data):
        for nevra in document.artifacts:
            found[nevra] = found.get(nevra, frozenset()) | {document.stream}
    return found


def of(data: bytes, packages: Collection[Nevra], present: bytes | None) -> bytes:
    """What of ``data`` makes ``packages`` modular elsewhere, beside ``present``; empty where none of them is.

    The builds that name one of them, and what is said of their streams. The default of a module comes
    along where there is none yet: which stream is the default is for each repository to say.
    """
    documents = list(_documents(data))
    wanted = set(packages)
    taken = {document.key: document for document in documents if document.artifacts & wanted}
    streams = {document.stream for document in taken.values()}
    defaults = {document.key for document in _documents(present or b"") if document.key[0] == _DEFAULTS}
    for document in documents:
        kind = document.key[0]
        if kind == _DEFAULTS and document.key not in defaults:
            wanted_too = document.key[1] in {module for module, _ in streams}
        else:
            wanted_too = kind in _OF_STREAMS and document.stream in streams
        if wanted_too:
            taken[document.key] = document
    return "".join(document.part.text for document in documents if document.key in taken).encode()


def names(data: bytes) -> frozenset[str]:
    """The names of all packages that the document speaks of."""
    return frozenset(nevra.name for document in _documents(data) for nevra in document.artifacts)


def _joined(present: bytes | None, old: Sequence[_Document], texts: Sequence[str]) -> bytes | None:
    """The stream of ``texts`` (empty ones left out); ``present`` where they are those of ``old``."""
    if present is not None and list(texts) == [document.part.text for document in old]:
        return present
    return "".join(texts).encode() or None


def _incoming(data: bytes) -> list[_Document]:
    """What comes in: every document of a known form, none twice with different texts."""
    found: dict[Sequence[str], _Document] = {}
    for part in strictyaml.split(data, _WHAT):
        document = _document(part, strict=True)
        other = found.setdefault(document.key, document)
        if other.part.text != part.text:
            said = " ".join(document.key)
            msg = f"{_WHAT}: line {part.line}: {said} stands already in line {other.part.line}; remove one"
            raise Corrupt(msg)
    if not found:
        msg = f"{_WHAT}: expected documents of {', '.join(_FORMS)}, found none"
        raise Corrupt(msg)
    return list(found.values())


def _documents(data: bytes) -> Iterator[_Document]:
    """What is there: a document that says what it is in no known way is its own identity, and is left alone."""
    for part in strictyaml.split(data, _WHAT):
        yield _document(part, strict=False)


def _document(part: Part, *, strict: bool) -> _Document:
    try:
        root = strictyaml.parse(part, _WHAT)
        return _understood(part, root, strict=strict)
    except _Unknown as error:
        if strict:
            msg = f"{_WHAT}: line {max(part.line, 1)}: {error}"
            raise Corrupt(msg) from error
        return _Document(part=part, key=("", part.text), artifacts=frozenset())


class _Unknown(Exception):
    """A document that is sound YAML and is not what it should be."""


def _understood(part: Part, root: Value, *, strict: bool) -> _Document:
    document = _mapping(root, "a document")
    kind, data = _text(document, "document"), _mapping(document.get("data"), "data")
    form = _FORMS.get(kind)
    if form is None:
        msg = f"expected document: {', '.join(_FORMS)}, found {kind!r}"
        raise _Unknown(msg)
    if _text(document, "version") not in form.versions:
        msg = f"expected {kind} of version {' or '.join(form.versions)}, found {document.get('version')!r}"
        raise _Unknown(msg)
    key = [_text(data, name) for name in form.key]
    if not all(key[: form.needed]):
        msg = f"{kind}: expected data with {' and '.join(form.key[: form.needed])}"
        raise _Unknown(msg)
    found = _artifacts(data, strict=strict) if kind == "modulemd" else frozenset()
    return _Document(part=part, key=(kind, *key), artifacts=found)


def _artifacts(data: Mapping[str, Value], *, strict: bool) -> frozenset[Nevra]:
    rpms = _mapping(data.get("artifacts") or {}, "artifacts").get("rpms") or []
    if isinstance(rpms, str) or not isinstance(rpms, Sequence):
        msg = "artifacts: rpms: expected a list of packages"
        raise _Unknown(msg)
    found = set()
    for rpm in rpms:
        try:
            found.add(Nevra.parse(str(rpm)))
        except ValueError as error:
            if strict:
                msg = f"artifacts: rpms: {error}"
                raise _Unknown(msg) from error
    return frozenset(found)


def _mapping(value: "Value | None", what: str) -> Mapping[str, Value]:
    if not isinstance(value, Mapping):
        msg = f"{what}: expected keys with values"
        raise _Unknown(msg)
    return value


def _text(values: Mapping[str, Value], name: str) -> str:
    value = values.get(name, "")
    if not isinstance(value, str):
        msg = f"{name}: expected a text, found a list or mapping"
        raise _Unknown(msg)
    return value
