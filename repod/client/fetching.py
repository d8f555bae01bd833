"""What lies at public URLs, read as a package manager reads it: over HTTP, from a bucket, from a directory.

What says which generation is current is asked for with ``Cache-Control: no-cache``, as dnf does for ``repomd.xml``,
mirrorlist and metalink; all else without, so that what a cache on the way has is what is seen.
"""

import contextlib
import posixpath
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote, urljoin, urlsplit

from repod import __version__
from repod.client.buckets import S3
from repod.errors import Misconfigured, NotFound, Unavailable, brief
from repod.numerals import number
from repod.values import S3Place

_PIECE = 1 << 20
_SECONDS = 30.0
_CONNECT_SECONDS = 10.0
# An object store that may not be listed answers 403 for what is not there.
_ABSENT = {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
_TOTAL = re.compile(r"bytes [0-9]+-[0-9]+/([0-9]+)")


class Fetcher(Protocol):
    """The door to what clients read. URLs of folders end with a slash."""

    def stream(self, url: str, *, current: bool = False) -> Iterator[bytes]:
        """The bytes there, as they lie there. ``current``: caches on the way must ask whether they are.

        ``NotFound`` where nothing is there, ``Unavailable`` where it cannot be read now.
        """

    def span(self, url: str, first: int, end: int) -> tuple[bytes, int]:
        """The bytes from ``first`` up to, not including, ``end``, and how many there are in all; errors as above."""


def joined(base: str, href: str) -> str:
    """The URL of a raw href below the folder ``base``, encoded exactly once, as dnf does it; ``..`` is followed."""
    if base.startswith(("http://", "https://")):
        return urljoin(base, quote(href.lstrip("/"), safe="/~"))
    scheme, _, place = base.partition("://")
    return f"{scheme}://{posixpath.normpath(place + href)}" if place else posixpath.normpath(base + href)


def shown(url: str) -> str:
    """A URL without the password in it."""
    return re.sub(r"//[^/]*@", "//", url)


def read(fetcher: Fetcher, url: str, *, limit: int, current: bool = False) -> bytes:
    """All bytes there; ``Unavailable`` where there are more than ``limit``."""
    held = bytearray()
    with contextlib.closing(fetcher.stream(url, current=current)) as pieces:  # type: ignore[type-var]
        for piece in pieces:
            held += piece
            if len(held) > limit:
                msg = f"{shown(url)}: expected at most {limit} bytes, found more; is it what hosts read?"
                raise Unavailable(msg)
    return bytes(held)


class Fetching:
    """``Fetcher`` of any URL. Threads may share it."""

    def __init__(self, s3: S3, *, headers: Callable[[str], Mapping[str, str]] = lambda _url: {}, ca: str = "") -> None:
        """``headers``: more of them for a URL, such as what lets one in. ``ca``: a file with further certificates."""
        self._s3 = s3
        self._headers = headers
        self._ca = ca
        self._client: Any = None

    def stream(self, url: str, *, current: bool = False) -> Iterator[bytes]:
        """See ``Fetcher.stream``."""
        if url.startswith(("http://", "https://")):
            more = {"Cache-Control": "no-cache"} if current else {}
            with self._answer(url, more) as answer, _broken_off(url):
                yield from answer.iter_raw(_PIECE)
        elif url.startswith("s3://"):
            yield from self._object(url, "")[0]
        else:
            with _opened(url) as file:
                while piece := file.read(_PIECE):
                    yield piece

    def span(self, url: str, first: int, end: int) -> tuple[bytes, int]:
        """See ``Fetcher.span``."""
        wanted = f"bytes={first}-{end - 1}"
        if url.startswith(("http://", "https://")):
            with self._answer(url, {"Range": wanted}) as answer, _broken_off(url):
                return _spanned(answer, first, end)
        if url.startswith("s3://"):
            pieces, told = self._object(url, wanted)
            return b"".join(pieces), _total(told.get("ContentRange", ""))
        with _opened(url) as file:
            file.seek(first)
            data = file.read(end - first)
            return data, file.seek(0, 2)

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()

    @contextlib.contextmanager
    def _answer(self, url: str, headers: Mapping[str, str]) -> Iterator[Any]:
        import httpx  # noqa: PLC0415 - it takes long to import

        if self._client is None:
            context = ssl.create_default_context()
            if self._ca:
                context.load_verify_locations(self._ca)
            self._client = httpx.Client(
                verify=context,
                timeout=httpx.Timeout(_SECONDS, connect=_CONNECT_SECONDS),
                follow_redirects=True,
                headers={"User-Agent": f"repoctl/{__version__}", "Accept-Encoding": "identity"},
            )
        try:
            with self._client.stream("GET", url, headers={**self._headers(url), **headers}) as answer:
                yield _good(answer, url)
        except httpx.InvalidURL as error:
            raise Misconfigured(f"{shown(url)}: expected a URL like https://HOST/PATH/ ({error})") from error
        except httpx.HTTPError as error:
            raise Unavailable(f"{shown(url)}: no answer ({brief(error)}); is it reached from here?") from error

    def _object(self, url: str, span: str) -> tuple[Iterator[bytes], Mapping[str, Any]]:
        from repod import aws  # noqa: PLC0415 - it brings boto3

        bucket, _, key = url.removeprefix("s3://").partition("/")
        clients = aws.Clients(self._s3.bucket())
        more: Any = {"Range": span} if span else {}
        with aws.told(clients, f"reading {url}"):
            answer = clients.s3().get_object(Bucket=bucket, Key=key, **more)

        def pieces() -> Iterator[bytes]:
            with aws.told(clients, f"reading {url}"), contextlib.closing(answer["Body"]) as body:
                while piece := body.read(_PIECE):
                    yield piece

        told: Any = answer
        return pieces(), told


def folder_url(text: str) -> str:
    """``text`` as the URL of a folder: http, https, s3 or a directory; ``Misconfigured`` where it is none."""
    try:
        place = S3Place.parse(text) if not text.startswith(("http://", "https://", "file://")) else None
    except ValueError as error:
        msg = f"expected a URL that hosts read, as https://HOST/PATH/, found {shown(text)!r}"
        raise Misconfigured(msg) from error
    return str(place) if place else text.rstrip("/") + "/"


@contextlib.contextmanager
def _opened(url: str) -> Iterator[Any]:
    path = Path(unquote(urlsplit(url).path) if url.startswith("file://") else url)
    try:
        with path.open("rb") as file:
            yield file
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"{path} is not there") from error
    except OSError as error:
        raise Unavailable(f"{path} cannot be read ({error.strerror})") from error


@contextlib.contextmanager
def _broken_off(url: str) -> Iterator[None]:
    import httpx  # noqa: PLC0415 - it takes long to import

    try:
        yield
    except httpx.TransportError as error:
        raise Unavailable(f"{shown(url)}: it broke off ({brief(error)})") from error


def _good(answer: Any, url: str) -> Any:
    status = answer.status_code
    said = f"{status} {answer.reason_phrase}".strip()
    if status in _ABSENT:
        raise NotFound(f"{shown(url)}: the server answers {said}")
    if status == HTTPStatus.UNAUTHORIZED:
        hint = "set [repository.NAME] url to https://USER:PASSWORD@HOST/PATH/, as hosts have it"
        raise Unavailable(f"{shown(url)}: the server answers {said}; {hint}")
    if status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
        raise Unavailable(f"{shown(url)}: expected 200, the server answers {said}")
    return answer


def _spanned(answer: Any, first: int, end: int) -> tuple[bytes, int]:
    """The wanted bytes; a server that knows no ranges sends all, of which the rest is not waited for."""
    ranged = answer.status_code == HTTPStatus.PARTIAL_CONTENT
    skip = 0 if ranged else first
    needed = skip + end - first
    held = bytearray()
    for piece in answer.iter_raw():
        held += piece
        if len(held) >= needed:
            break
    length = answer.headers.get("Content-Length", "")
    total = _total(answer.headers.get("Content-Range", "")) if ranged else _length(length)
    return bytes(held[skip:needed]), total


def _total(text: str) -> int:
    """How long the whole is, by a header Content-Range; -1 where it does not say."""
    match = _TOTAL.match(text)
    return _length(match[1]) if match else -1


def _length(text: str) -> int:
    found = number(text)
    return -1 if found is None else found
