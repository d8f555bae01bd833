"""What the metadata of one package says, for a person."""

from collections.abc import Iterator, Mapping, Sequence

from lxml import etree

from repod.numerals import number
from repod.office import Details
from repod.package import Entry
from repod.repodata import text
from repod.times import stamp

_FILES = 10_000  # that are told of one package
_FILE = b"\n  <file"  # how createrepo_c begins each; it escapes what would look like one inside text
_END = b"\n</package>\n"
_COMMON, _FILELISTS, _OTHER = (f"{{{text.LINUX_DUKE}/{kind}}}" for kind in ("common", "filelists", "other"))
_RPM = f"{{{text.RPM}}}"
_SIGNS: Mapping[str, str] = {"EQ": "=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}


def details(entry: Entry) -> Details:
    """What an entry says; ``Corrupt`` where it is not as createrepo_c writes one."""
    primary, other = text.element("primary", entry.primary), text.element("other", entry.other)
    said = _Said(primary)
    return Details(
        summary=said.text(f"{_COMMON}summary"),
        description=said.text(f"{_COMMON}description"),
        license=said.form("license"),
        url=said.text(f"{_COMMON}url"),
        vendor=said.form("vendor"),
        packager=said.text(f"{_COMMON}packager"),
        group=said.form("group"),
        buildhost=said.form("buildhost"),
        built=_time(said.attribute(f"{_COMMON}time", "build")),
        source=said.form("sourcerpm"),
        installed_size=_number(said.attribute(f"{_COMMON}size", "installed")),
        provides=said.relations("provides"),
        requires=said.relations("requires"),
        conflicts=said.relations("conflicts"),
        obsoletes=said.relations("obsoletes"),
        recommends=said.relations("recommends"),
        suggests=said.relations("suggests"),
        supplements=said.relations("supplements"),
        enhances=said.relations("enhances"),
        files=list(_files(entry.filelists)),
        file_count=entry.filelists.count(_FILE),
        changelog=list(_changes(other)),
    )


class _Said:
    """An entry of primary."""

    def __init__(self, element: etree._Element) -> None:
        self._element = element

    def text(self, path: str) -> str:
        return self._element.findtext(path) or ""

    def form(self, tag: str) -> str:
        return self.text(f"{_COMMON}format/{_RPM}{tag}")

    def attribute(self, path: str, name: str) -> str:
        found = self._element.find(path)
        return "" if found is None else found.get(name, "")

    def relations(self, kind: str) -> Sequence[str]:
        return [_relation(one) for one in self._element.iterfind(f"{_COMMON}format/{_RPM}{kind}/{_RPM}entry")]


def _relation(element: etree._Element) -> str:
    """As rpm writes it: ``NAME >= [EPOCH:]VERSION[-RELEASE]``."""
    name, sign = element.get("name", ""), _SIGNS.get(element.get("flags", ""))
    if sign is None:
        return name
    epoch, release = element.get("epoch", "0"), element.get("rel", "")
    version = f"{f'{epoch}:' if epoch != '0' else ''}{element.get('ver', '')}{f'-{release}' if release else ''}"
    return f"{name} {sign} {version}"


def _files(filelists: bytes) -> Iterator[str]:
    """The first files, in their order; a directory ends with a slash."""
    pieces = filelists.split(_FILE, _FILES + 1)
    cut = filelists if len(pieces) <= _FILES + 1 else _FILE.join(pieces[:-1]) + _END
    for element in text.element("filelists", cut).iterfind(f"{_FILELISTS}file"):
        yield (element.text or "") + ("/" if element.get("type") == "dir" else "")


def _changes(other: etree._Element) -> Iterator[Mapping[str, str]]:
    """The changelog, newest first; the metadata have it the other way round."""
    for element in reversed(list(other.iterfind(f"{_OTHER}changelog"))):
        author, date = element.get("author", ""), _time(element.get("date", ""))
        yield {"author": author, "date": date, "text": element.text or ""}


def _number(found: str) -> int:
    return number(found) or 0


def _time(found: str) -> str:
    """Seconds since 1970 as ISO 8601; empty where that is not said, or is beyond all calendars."""
    try:
        return stamp(int(found)) if found else ""
    except (ValueError, OverflowError, OSError):
        return ""
