"""What a fresh client would see at the URL that hosts read, whatever caches are on the way.

Looked at are the live view and, where the repository has them, those that its mirrorlist and metalink lead to. A build
is seen where primary, proven by the checksum in ``repomd.xml``, lists its NEVRA, and the package it names has the
header that is wanted: the digest of the header survives signing, so that it says which build it is.
"""

import contextlib
import hashlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from repod.client import reading
from repod.client.fetching import Fetcher, folder_url, joined, read, shown
from repod.client.fleet import Wanted
from repod.errors import Corrupt, NotFound, RepodError, Unavailable
from repod.numerals import number
from repod.package import Nevra

_SMALL = 1 << 20
_LONGEST_HEADER = 256 << 20
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 5.0

Signed = Callable[[bytes, bytes, bytes], bool]
"""Whether a signature over data is by one of the pinned keys, given the armored keys that lie beside it."""


class Late(Unavailable):
    """The time was over before a fresh client saw it; the message says what was seen last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one look saw, of all views together.

    ``url``: the view that is furthest behind, without a password; ``revision``: that of its ``repomd.xml``, empty
    where it could not be read. ``missing``: the builds that some view does not show, each with the reason.
    ``fault``: why nothing could be seen; then nothing else is known.
    """

    url: str
    revision: str = ""
    missing: Mapping[Nevra, str] = field(default_factory=dict)
    fault: str = ""

    def reached(self, generation: int) -> bool:
        """Whether every view shows that generation or a later one, as far as their revisions tell."""
        told = number(self.revision)
        return not self.fault and (told is None or told >= generation)

    @property
    def complete(self) -> bool:
        """Whether a fresh client sees every build that is wanted."""
        return not self.fault and not self.missing


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """A base URL, its index, and what the metalink says of that (nothing: there is none)."""

    base: str
    index: bytes


class Fresh:
    """Looks at one repository. What was proven is not fetched again while its index stays the same."""

    def __init__(self, url: str, fetcher: Fetcher, *, signed: Signed | None = None) -> None:
        """``url``: what hosts have as ``baseurl``. ``signed``: the index must be so; None: it may be unsigned."""
        self.url = folder_url(url)
        self._fetcher = fetcher
        self._signed = signed
        self._listings: dict[tuple[str, bytes, frozenset[str]], Sequence[reading.Listed]] = {}

    def look(self, wanted: Sequence[Wanted] = ()) -> Seen:
        """What a client without a cache of its own sees now.

        A fault of the repository or of the network is told in what is returned, not raised.
        """
        at, behind, missing = self.url, Seen(url=shown(self.url)), dict[Nevra, str]()
        try:
            for view in self._views():
                at = view.base
                index = reading.index(view.index)
                lacking = self._lacking(view, wanted)
                if not behind.revision or _older(index.revision, behind.revision):
                    behind = Seen(url=shown(at), revision=index.revision)
                missing = {**lacking, **missing}
        except RepodError as error:
            return Seen(url=shown(at), fault=str(error))
        return replace(behind, missing=missing)

    def now(self, names: Collection[str]) -> Sequence[reading.Listed]:
        """The builds of these names that the live view lists; none where nothing is published there yet.

        ``Unavailable`` or ``Corrupt`` where it cannot be read.
        """
        try:
            view = self._live()
        except NotFound:
            return ()
        return self._listing(view, frozenset(names))

    def header_of(self, listed: reading.Listed) -> str:
        """The digest of the header of a package that the live view lists."""
        return self._header(self.url, listed)[0]

    def _views(self) -> Sequence[_View]:
        """The live view, and each frozen one that something points at; at least one."""
        live = self._live()
        return [live, *(self._view(base, checksums) for base, checksums in self._pointed_at().items())]

    def _live(self) -> _View:
        return self._view(self.url, frozenset())

    def _view(self, base: str, checksums: frozenset[str]) -> _View:
        url = joined(base, "repodata/repomd.xml")
        data = read(self._fetcher, url, limit=_SMALL, current=True)
        found = hashlib.sha256(data).hexdigest()
        if checksums and found not in checksums:
            msg = f"{shown(url)} has SHA-256 {found}, and metalink.xml names another; is there an old one in a cache?"
            raise Unavailable(msg)
        if self._signed is not None:
            # The signature is asked for as dnf does it: a cache may hold an older one, and hosts would see that too.
            signature = read(self._fetcher, url + ".asc", limit=_SMALL)
            keys = read(self._fetcher, joined(self.url, "repodata/repomd.xml.key"), limit=_SMALL)
            if not self._signed(keys, data, signature):
                msg = f"{shown(url)}: its signature is by none of the keys of the settings ([repository.NAME] keys)"
                raise Corrupt(msg)
        return _View(base=base, index=data)

    def _pointed_at(self) -> dict[str, frozenset[str]]:
        """The base URLs that mirrorlist and metalink lead to, with the checksums that an index there may have."""
        found: dict[str, frozenset[str]] = {}
        with contextlib.suppress(NotFound):
            data = read(self._fetcher, joined(self.url, "mirrorlist"), limit=_SMALL, current=True)
            found |= {folder_url(url): frozenset[str]() for url in reading.mirrors(data)[:1]}
        with contextlib.suppress(NotFound):
            data = read(self._fetcher, joined(self.url, "metalink.xml"), limit=_SMALL, current=True)
            link = reading.metalink(data)
            found |= {
                folder_url(url.removesuffix("repodata/repomd.xml")): frozenset(link.checksums) for url in link.urls[:1]
            }
        return found

    def _lacking(self, view: _View, wanted: Sequence[Wanted]) -> Mapping[Nevra, str]:
        listed = self._listing(view, frozenset(one.nevra.name for one in wanted)) if wanted else ()
        return {one.nevra: why for one in wanted if (why := self._lacks(view.base, listed, one))}

    def _listing(self, view: _View, names: frozenset[str]) -> Sequence[reading.Listed]:
        key = (view.base, view.index, names)
        if key not in self._listings:
            index = reading.index(view.index)
            pieces = self._fetcher.stream(joined(view.base, index.href))
            text = reading.unpacked(index.href, reading.proven(pieces, index))
            found = list(reading.packages(text, names))
            self._listings = {old: listed for old, listed in self._listings.items() if old[0] != view.base}
            self._listings[key] = found
        return self._listings[key]

    def _lacks(self, base: str, listed: Sequence[reading.Listed], wanted: Wanted) -> str:
        """Why the view does not show that build; empty where it does."""
        named = [one for one in listed if one.nevra == wanted.nevra]
        if not named:
            return "it is not listed"
        for one in named:
            found, size = self._header(base, one)
            if size not in {one.size, -1}:
                return f"{one.href}: expected {one.size} bytes, as primary says, found {size}"
            if wanted.header_sha256 in {"", found}:
                return ""
        return f"another build is listed: expected header {wanted.header_sha256[:16]}…, found {found[:16]}…"

    def _header(self, base: str, listed: reading.Listed) -> tuple[str, int]:
        """The digest of the header of a package, and how long its file is, as a cache on the way has them."""
        url = joined(base, listed.href)
        first, end = listed.header
        if not 0 < first < end <= first + _LONGEST_HEADER:
            raise Corrupt(f"{shown(url)}: primary says that its header is at bytes {first} to {end}, which is none")
        try:
            data, size = self._fetcher.span(url, first, end)
        except NotFound as error:
            raise Unavailable(f"{error}; primary lists it") from error
        return hashlib.sha256(data).hexdigest(), size


def listed(
    fresh: Fresh,
    wanted: Sequence[Wanted],
    *,
    seconds: float,
    generation: int = 0,
    pause: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Seen:
    """Look until a fresh client sees all of ``wanted``, at least once and at most so long; ``Late`` after that.

    ``generation``: which one published it, 0 where that is not known: each view must have reached it.
    """
    end = clock() + seconds
    waits = pauses()
    while True:
        seen = fresh.look(wanted)
        if seen.complete and seen.reached(generation):
            return seen
        wait = next(waits)
        if clock() + wait > end:
            raise Late(f"not seen by a fresh client within {seconds:g} s: {last(seen, wanted, generation)}")
        pause(wait)


def pauses() -> Iterator[float]:
    """Seconds between looks: short ones first, as most publishes take less than one."""
    wait = _FIRST_PAUSE
    while True:
        yield wait
        wait = min(_LONGEST_PAUSE, wait * 1.5)


def last(seen: Seen, wanted: Sequence[Wanted], generation: int = 0) -> str:
    """What a look saw that did not see all of ``wanted``, in one line with the likely cause."""
    if seen.fault:
        return seen.fault
    text = "; ".join(f"{one.nevra}: {seen.missing[one.nevra]}" for one in wanted if one.nevra in seen.missing)
    text += f"{'; ' if text else ''}repomd.xml at {seen.url} is of revision {seen.revision or 'none'}"
    if generation and not seen.reached(generation):
        text += f", published is {generation}: is there a cache in between?"
    return text


def _older(one: str, other: str) -> bool:
    first, second = number(one), number(other)
    return first is not None and second is not None and first < second
