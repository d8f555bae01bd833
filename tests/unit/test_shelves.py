"""What a local store answers, and to whom it says where a file lies."""

import asyncio
from pathlib import Path

import pytest
from fastapi import HTTPException

from repod.config import parse
from repod.errors import Misconfigured
from repod.package import StorePath
from repod.web.shelves import Asked, LocalShelf
from repod.web.site import Site

_PACKAGE = StorePath("Packages/l/lib++-1.0^a?b é.rpm")
_INDEX = StorePath("repodata/repomd.xml")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path in (_PACKAGE, _INDEX):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"some bytes")
    return tmp_path


def test_a_proxy_is_told_where_a_file_lies_encoded_once(root: Path) -> None:
    shelf = LocalShelf(root, "/repod-internal/el9/")
    answer = asyncio.run(shelf.answer(_PACKAGE, Asked(handed=True)))
    assert answer.headers["X-Accel-Redirect"] == "/repod-internal/el9/Packages/l/lib%2B%2B-1.0%5Ea%3Fb%20%C3%A9.rpm"
    assert answer.body == b""
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    ("accel", "asked", "path"),
    [
        ("", Asked(handed=True), _PACKAGE),
        ("/repod-internal/el9/", Asked(), _PACKAGE),
        ("/repod-internal/el9/", Asked(handed=True), _INDEX),
    ],
)
def test_where_it_is_not_asked_for_or_may_change_the_bytes_are_sent(
    root: Path, accel: str, asked: Asked, path: StorePath
) -> None:
    answer = asyncio.run(LocalShelf(root, accel).answer(path, asked))
    assert answer.body == b"some bytes"
    assert "X-Accel-Redirect" not in answer.headers


@pytest.mark.parametrize("path", ["nothing", "Packages", "link", "repodata/repomd.xml/more", "x" * 300])
def test_what_is_no_plain_file_is_not_there(root: Path, path: str) -> None:
    (root / "link").symlink_to("/etc/passwd")
    with pytest.raises(HTTPException) as caught:
        asyncio.run(LocalShelf(root, "/a/").answer(StorePath(path), Asked(handed=True)))
    assert caught.value.status_code == 404


def test_what_a_client_has_since_it_last_changed_is_not_sent_again(root: Path) -> None:
    """``wget -N``, ``curl -z`` and mirrors ask by time; a tag stands before it, and what is no date is not asked by."""
    shelf = LocalShelf(root)
    changed = asyncio.run(shelf.answer(_PACKAGE, Asked())).headers["Last-Modified"]
    later, before = "Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"

    def status(path: StorePath = _PACKAGE, **asked: str) -> int:
        return asyncio.run(shelf.answer(path, Asked(**asked))).status_code

    assert [status(since=since) for since in (changed, later, before, "yesterday")] == [304, 304, 200, 200]
    assert status(since=later, match='"other"') == 200
    # Two indexes of one second have one time.
    assert status(_INDEX, since=later) == 200


def test_only_the_proxies_of_the_settings_are_trusted() -> None:
    site = Site(proxies=["127.0.0.1", "10.1.0.0/16", "fd00::/8", "unix"])
    trusted = ["127.0.0.1", "10.1.200.3", "fd00::1", "127.0.0.2", "10.2.0.1", "::1", "", "no address"]
    assert [peer for peer in trusted if site.trusts(peer)] == ["127.0.0.1", "10.1.200.3", "fd00::1"]


@pytest.mark.parametrize("accel", ["repod/", "/repod", "/", "//", "/a b/", "/a/../b//", "http://x/"])
def test_a_path_for_nginx_that_is_none_is_refused(accel: str, tmp_path: Path) -> None:
    text = f'[http]\naccel = "{accel}"\n[signing]\nkey = "k"\n[[repository]]\nname = "r"\ninbox = "i"\nstore = "s"\n'
    with pytest.raises(Misconfigured, match=r"http\.accel"):
        parse(text, tmp_path)
