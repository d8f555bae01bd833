"""One advisory as a person or a job writes it, in TOML or JSON, made into ``updateinfo.xml`` by createrepo_c."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import createrepo_c
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from repod import jsontext
from repod.doors import Unreadable
from repod.package import ARCH, NAME, VERSION, Fault, Nevra
from repod.repodata import bulletins

LIMIT = 4 << 20
"""Bytes of a file; one advisory about 10,000 packages has one."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+~-]*")
# Characters that XML cannot hold, and createrepo_c writes all the same.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HREF = r"^[a-z]+://[^\s<>\"]+$"
# Clients keep times as seconds since 1970; the end leaves room for every zone.
_YEARS = (1970, 9998)
_EXPECTED = {
    "missing": "is required and missing",
    "extra_forbidden": "is no key of an advisory",
    "string_type": "expected a text",
    "bool_type": "expected true or false",
    "model_type": "expected a table",
    "string_pattern_mismatch": "expected a URL such as https://example.com/CVE-2026-1",
    "tuple_type": "expected a list",
    "list_type": "expected a list",
    "too_short": "expected at least one",
}


def _line(text: str) -> str:
    if _NOT_XML.search(text):
        msg = f"expected text without control characters, found {text!r}"
        raise ValueError(msg)
    return text.replace("\r\n", "\n").strip()


def _word(text: str) -> str:
    if not _ID.fullmatch(text):
        msg = f"expected letters, digits and ._:+~- without spaces, found {text!r}"
        raise ValueError(msg)
    return text


def _severity(value: object) -> object:
    return value.capitalize() if isinstance(value, str) else value


def _time(value: object) -> object:
    """A date or time as datetime in UTC, to the second; ``ValueError`` where it is none."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            msg = f"expected a date such as 2026-01-31 or 2026-01-31T12:00:00Z, found {value!r}"
            raise ValueError(msg) from error
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime):
        msg = f"expected a date such as 2026-01-31, found {value!r}"
        raise ValueError(msg)  # noqa: TRY004 - what pydantic lists among a file's faults
    if not _YEARS[0] <= value.year <= _YEARS[1]:
        msg = f"expected a year from {_YEARS[0]} to {_YEARS[1]}, found {value.year}"
        raise ValueError(msg)
    zoned = value if value.tzinfo else value.replace(tzinfo=UTC)
    return zoned.astimezone(UTC).replace(microsecond=0)


def _list(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _package(value: object) -> object:
    return {"nevra": value} if isinstance(value, str) else value


def _nevra(text: str) -> str:
    """A NEVRA, of characters that rpm allows: so never percent-encoded."""
    nevra = Nevra.parse(text)
    parts = ((NAME, nevra.name), (VERSION, nevra.version), (VERSION, nevra.release), (ARCH, nevra.arch))
    if not all(form.fullmatch(part) for form, part in parts):
        msg = f"not a NEVRA: {text!r}; expected NAME-[EPOCH:]VERSION-RELEASE.ARCH"
        raise ValueError(msg)
    return text


Line = Annotated[str, AfterValidator(_line)]
Filled = Annotated[str, AfterValidator(_line), Field(min_length=1)]
Word = Annotated[str, AfterValidator(_word)]
Time = Annotated[datetime, BeforeValidator(_time)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Reference(_Table):
    """``[[references]]``: where more is said. dnf finds advisories by ``cve`` and ``bugzilla`` references."""

    href: Annotated[str, Field(pattern=_HREF), AfterValidator(_line)]
    id: Line = ""
    type: Literal["bugzilla", "cve", "vendor", "self", "other"] = "other"
    title: Line = ""


class Reported(_Table):
    """``[[packages]]``: a build that has the fix; its NEVRA alone where nothing else is to say."""

    nevra: Annotated[str, AfterValidator(_nevra)]
    src: Line = ""
    reboot_suggested: bool = False
    restart_suggested: bool = False
    relogin_suggested: bool = False


def _distinct(packages: Sequence[Reported]) -> Sequence[Reported]:
    nevras = [str(Nevra.parse(package.nevra)) for package in packages]
    twice = sorted({nevra for nevra in nevras if nevras.count(nevra) > 1}) if len(set(nevras)) < len(nevras) else []
    if twice:
        msg = f"{', '.join(twice)}: named more than once"
        raise ValueError(msg)
    return packages


class Advisory(_Table):
    """The whole file. Dates without zone are UTC; ``updated`` is ``issued`` where it is not given.

    The suggestions at the top hold for all packages.
    """

    id: Word
    type: Literal["security", "bugfix", "enhancement", "newpackage"]
    title: Filled
    issued: Time
    packages: Annotated[
        tuple[Annotated[Reported, BeforeValidator(_package)], ...],
        BeforeValidator(_list),
        Field(min_length=1),
        AfterValidator(_distinct),
    ]
    updated: Time | None = None
    severity: Annotated[Literal["Critical", "Important", "Moderate", "Low", "None", ""], BeforeValidator(_severity)] = (
        ""
    )
    summary: Line = ""
    description: Line = ""
    solution: Line = ""
    status: Line = "final"
    version: Line = "1"
    rights: Line = ""
    release: Line = ""
    sender: Annotated[Line, Field(alias="from")] = ""
    collection: Line = ""
    reboot_suggested: bool = False
    restart_suggested: bool = False
    relogin_suggested: bool = False
    references: Annotated[tuple[Reference, ...], BeforeValidator(_list)] = ()


def read(name: str, data: bytes) -> bytes:
    """The ``updateinfo.xml`` that holds the advisory of the file ``name``, TOML or, by its ending, JSON.

    ``Unreadable`` lists all faults of the file, each with its key.
    """
    try:
        tree = _json(data) if name.lower().endswith(".json") else tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        kind = "JSON" if name.lower().endswith(".json") else "TOML"
        raise Unreadable(Fault(code="document", text=f"{name}: not {kind}: {error}")) from error
    try:
        advisory = Advisory.model_validate(tree)
    except ValidationError as error:
        raise Unreadable(*(Fault(code="document", text=f"{name}: {line}") for line in _lines(error))) from error
    return (
        bulletins.HEAD + b"\n" + str(createrepo_c.xml_dump_updaterecord(_record(advisory))).encode() + b"</updates>\n"
    )


def _json(data: bytes) -> Any:
    def once(pairs: Sequence[tuple[str, Any]]) -> Mapping[str, Any]:
        keys = [key for key, _ in pairs]
        if len(set(keys)) < len(keys):
            msg = f"a key stands twice in {{{', '.join(keys)}}}; remove one"
            raise ValueError(msg)
        return dict(pairs)

    text = data.decode()
    return jsontext.decoder(text, once).decode(text)  # each text in it is judged by itself


def _lines(error: ValidationError) -> Iterator[str]:
    for fault in error.errors():
        place = ".".join(str(part + 1) if isinstance(part, int) else part for part in fault["loc"])
        text = fault["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
        if fault["type"] != "value_error":
            text = _EXPECTED.get(fault["type"], f"{text[0].lower()}{text[1:]}")
        if fault["type"] not in {"value_error", "missing", "extra_forbidden"}:
            text = f"{text}, found {fault['input']!r}"
        yield f"{place}: {text}" if place else text


def _record(advisory: Advisory) -> Any:
    """The advisory as createrepo_c writes it."""
    record = createrepo_c.UpdateRecord()
    record.fromstr = advisory.sender or None
    for field in ("id", "type", "status", "version", "title"):
        setattr(record, field, getattr(advisory, field))
    for field in ("severity", "summary", "description", "solution", "rights", "release"):
        setattr(record, field, getattr(advisory, field) or None)
    # createrepo_c takes times without zone as UTC.
    record.issued_date = advisory.issued.replace(tzinfo=None)
    record.updated_date = (advisory.updated or advisory.issued).replace(tzinfo=None)
    record.reboot_suggested = advisory.reboot_suggested
    for reference in advisory.references:
        record.append_reference(_reference(reference))
    collection = createrepo_c.UpdateCollection()
    collection.shortname = collection.name = advisory.collection or advisory.id
    for package in advisory.packages:
        collection.append(_collected(package, advisory))
    record.append_collection(collection)
    return record


def _reference(reference: Reference) -> Any:
    made = createrepo_c.UpdateReference()
    made.href, made.type = reference.href, reference.type
    made.id, made.title = reference.id or None, reference.title or None
    return made


def _collected(package: Reported, advisory: Advisory) -> Any:
    nevra = Nevra.parse(package.nevra)
    made = createrepo_c.UpdateCollectionPackage()
    made.name, made.epoch, made.version = nevra.name, str(nevra.epoch), nevra.version
    made.release, made.arch, made.filename = nevra.release, nevra.arch, nevra.filename
    made.src = package.src or None
    made.reboot_suggested = package.reboot_suggested or advisory.reboot_suggested
    made.restart_suggested = package.restart_suggested or advisory.restart_suggested
    made.relogin_suggested = package.relogin_suggested or advisory.relogin_suggested
    return made
