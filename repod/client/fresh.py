"""What a fresh client would see at the URL that hosts read, whatever caches are on the way.

Looked at are the live view and, where the repository has them, those that its mirrorlist and metalink lead to. A build
is seen where primary, proven by the checksum in ``repomd.xml``, lists its NEVRA, and the package it names has the
header that is wanted: the digest of the header survives signing, so that it says which build it is.
"""

import contextlib
import hashlib
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from repod.client import reading
from repod.client.fetching import Fetcher, folder_url, joined, read, shown
from repod.client.fleet import Wanted
from repod.errors import Corrupt, NotFound, RepodError, Unavailable

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
    """What one look saw. ``url``: the view that is furthest behind, without a password.

    ``revision`` is that of its ``repomd.xml``, empty where it could not be read; ``missing`` are the builds that
    it does not show, each with the reason. ``fault``: why nothing could be seen.
    """

    url: str
    revision: str = ""
    missing: Sequence[str] = ()
    fault: str = ""

    @property
    def complete(self) -> bool:
        """Whether a fresh client sees all that is wanted."""
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

    def look(self, wanted: Sequence[Wanted], revision: int = 0) -> Seen:
        """What a client without a cache of its own sees now; ``revision``: what it must have reached.

        A fault of the repository or of the network is told in what is returned, not raised.
        """
        seen = Seen(url=shown(self.url), fault="nothing was looked at")
        try:
            for view in self._views():
                seen = Seen(url=shown(view.base), fault="it could not be read")
                seen = self._look_at(view, wanted, revision)
                if not seen.complete:
                    break
        except RepodError as error:
            return Seen(url=seen.url, fault=str(error))
        return seen

    def now(self, names: Collection[str]) -> Sequence[reading.Listed]:
        """The builds of these names that the live view lists; none where nothing is published there yet.

        ``Unavailable`` or ``Corrupt`` where it cannot be read.
        """
        try:
            view = self._live()
        except NotFound:
            return ()
        return self._listing(view, frozenset(names))

    def revision(self) -> str:
        """That of the live view; empty where nothing is published there yet."""
        try:
            return reading.index(self._live().index).revision
        except NotFound:
            return ""

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

    def _look_at(self, view: _View, wanted: Sequence[Wanted], revision: int) -> Seen:
        index = reading.index(view.index)
        listed = self._listing(view, frozenset(one.nevra.name for one in wanted)) if wanted else ()
        missing = [f"{one.nevra}: {why}" for one in wanted if (why := self._lacks(view.base, listed, one))]
        if not missing and revision and index.revision.isdigit() and int(index.revision) < revision:
            missing = [f"generation {revision}: its index is older"]
        return Seen(url=shown(view.base), revision=index.revision, missing=missing)

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
    revision: int = 0,
    told: Callable[[Seen], object] = lambda _seen: None,
    pause: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Seen:
    """Look until a fresh client sees all of ``wanted``, at least once and at most so long; ``Late`` after that.

    ``revision``: the generation that published it, 0 where that is not known: each view must have reached it, and
    ``Late`` names it. ``told`` hears of every look.
    """
    end = clock() + seconds
    wait = _FIRST_PAUSE
    while True:
        seen = fresh.look(wanted, revision)
        told(seen)
        if seen.complete:
            return seen
        if clock() + wait > end:
            raise Late(late(seen, seconds, revision))
        pause(wait)
        wait = min(_LONGEST_PAUSE, wait * 1.6)


def late(seen: Seen, seconds: float, revision: int = 0) -> str:
    """What a look that was the last one says, in one line."""
    what = seen.fault or "; ".join(seen.missing)
    text = f"not seen by a fresh client after {seconds:g} s: {what}"
    if seen.revision:
        text += f"; repomd.xml at {seen.url} is of revision {seen.revision}"
        if revision and seen.revision != str(revision):
            text += f", published is {revision}: a cache in between?"
    return text
