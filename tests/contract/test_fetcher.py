"""What every place promises that hosts read: a web server that knows no ranges, a bucket, a directory.

A server with ranges is the daemon itself: ``tests/system/test_push.py``.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from repod.client.buckets import S3
from repod.client.fetching import Fetching, folder_url, joined, read, shown
from repod.errors import Misconfigured, NotFound, Unavailable
from tests.lab.bucketinboxes import credentials
from tests.lab.httpd import serving
from tests.lab.ports import free_port
from tests.lab.seaweed import REGION, Seaweed

_DATA = bytes(range(256)) * 8192
_HREF = "Packages/l/lib++-1.0~rc1^2-1.noarch.rpm"


class Place(NamedTuple):
    """Files at a URL."""

    url: str
    fetcher: Fetching


@pytest.fixture(params=["web", "bucket", "directory", "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    path = tmp_path / "www" / _HREF
    path.parent.mkdir(parents=True)
    path.write_bytes(_DATA)
    with contextlib.ExitStack() as stack:
        s3 = S3()
        url = str(tmp_path / "www")
        if request.param == "file":
            url = f"file://{url}"
        if request.param == "web":
            url = stack.enter_context(serving(tmp_path / "www"))
        if request.param == "bucket":
            server: Seaweed = request.getfixturevalue("s3")
            stack.enter_context(credentials(server))
            url = f"s3://{server.bucket()}/www"
            server.upload(tmp_path / "www", f"{url}/")
            s3 = S3(endpoint=server.endpoint, region=REGION, addressing="path")
        fetcher = Fetching(s3)
        stack.callback(fetcher.close)
        yield Place(folder_url(url), fetcher)


def test_all_bytes_come_as_they_lie_there(place: Place) -> None:
    for current in (False, True):
        assert b"".join(place.fetcher.stream(joined(place.url, _HREF), current=current)) == _DATA


def test_a_span_comes_with_the_length_of_the_whole(place: Place) -> None:
    assert place.fetcher.span(joined(place.url, _HREF), 96, 5000) == (_DATA[96:5000], len(_DATA))


def test_a_path_that_climbs_is_followed(place: Place) -> None:
    view = joined(place.url, "generations/7/")
    url = joined(f"{view.rstrip('/')}/", f"../../{_HREF}")
    assert b"".join(place.fetcher.stream(url)) == _DATA


def test_what_is_not_there_is_not_found(place: Place) -> None:
    with pytest.raises(NotFound):
        list(place.fetcher.stream(joined(place.url, "mirrorlist")))
    with pytest.raises(NotFound):
        place.fetcher.span(joined(place.url, "mirrorlist"), 0, 5)


def test_more_than_is_expected_is_not_read(place: Place) -> None:
    with pytest.raises(Unavailable, match="expected at most 1000 bytes"):
        read(place.fetcher, joined(place.url, _HREF), limit=1000)


def test_a_server_that_is_down_is_unavailable() -> None:
    fetcher = Fetching(S3())
    with pytest.raises(Unavailable, match=r"no answer \(.*refused\); is it reached"):
        list(fetcher.stream(f"http://127.0.0.1:{free_port()}/"))
    fetcher.close()


def test_no_message_shows_a_password() -> None:
    assert shown("https://ann:secret@host/x") == "https://host/x"
    with pytest.raises(Misconfigured) as told:
        folder_url("gopher://ann:secret@host/x")
    assert "secret" not in str(told.value)
