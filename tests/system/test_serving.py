"""What the daemon answers to hosts over HTTP, byte for byte and header for header."""

import hashlib
import http.client
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.lab.daemon import Repod
from tests.lab.looks import names
from tests.lab.rpms import quick
from tests.lab.wait import until

_FILE = "lib++-1.0~rc1^git2-1.noarch.rpm"


class Answer(NamedTuple):
    """Status, headers in lower case, and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Served(NamedTuple):
    """A running daemon with one package and what a client can ask it."""

    repod: Repod
    package: bytes

    def ask(self, target: str, method: str = "GET", **headers: str) -> Answer:
        """Send ``target`` below the repository as it is, without any clean-up of its path."""
        return self.ask_root(f"/repos/test/{target}", method, **headers)

    def ask_root(self, target: str, method: str = "GET", **headers: str) -> Answer:
        place = urllib.parse.urlsplit(self.repod.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]) -> Iterator[Served]:
    base = tmp_path_factory.mktemp("serving")
    with Repod(base, key_file) as repod:
        long_lived.add(repod.pid)
        quick(repod.inbox(), "lib++", "1.0~rc1^git2")
        until(lambda: repod.find_events("published"), 60, "the package to be live")
        # What must never be served.
        (base / "secret").write_text("what nobody may read")
        (repod.store() / "Packages/link.rpm").symlink_to(base / "secret")
        yield Served(repod, (repod.store() / f"Packages/l/{_FILE}").read_bytes())


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("name", [_FILE, urllib.parse.quote(_FILE, safe=""), urllib.parse.quote(_FILE, safe="+")])
def test_a_package_is_found_by_its_name_raw_and_encoded_as_each_client_does_it(name: str, served: Served) -> None:
    """C063."""
    answer = served.ask(f"Packages/l/{name}")
    assert (answer.status, answer.body) == (200, served.package)
    assert answer.headers["content-type"] == "application/x-rpm"


def test_a_package_is_found_from_a_frozen_view_by_clients_that_do_not_collapse_paths(served: Served) -> None:
    answer = served.ask(f"generations/2/../../Packages/l/{_FILE}")
    assert (answer.status, answer.body) == (200, served.package)


def test_the_pointers_at_the_newest_view_are_text_and_xml(served: Served) -> None:
    mirrorlist, metalink = served.ask("mirrorlist"), served.ask("metalink.xml")
    assert mirrorlist.body.decode() == f"{served.repod.url}/repos/test/generations/2/\n"
    assert mirrorlist.headers["content-type"].startswith("text/plain")
    assert metalink.headers["content-type"] == "application/xml"
    assert {one.headers["cache-control"] for one in (mirrorlist, metalink)} == {"no-cache"}


def test_head_answers_as_get_does_without_the_body(served: Served) -> None:
    for target in ("repodata/repomd.xml", f"Packages/l/{_FILE}", "test.repo", "RPM-GPG-KEY-test"):
        head, get = served.ask(target, "HEAD"), served.ask(target)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == str(len(get.body))
        assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [("bytes=0-99", slice(0, 100)), ("bytes=100-", slice(100, None)), ("bytes=-50", slice(-50, None))],
)
def test_a_range_is_answered_with_exactly_these_bytes(asked: str, wanted: slice, served: Served) -> None:
    answer = served.ask(f"Packages/l/{_FILE}", Range=asked)
    assert (answer.status, answer.body) == (206, served.package[wanted])
    assert answer.headers["content-range"].endswith(f"/{len(served.package)}")


def test_a_range_past_the_end_is_refused(served: Served) -> None:
    assert served.ask(f"Packages/l/{_FILE}", Range=f"bytes={len(served.package)}-").status == 416


def test_documents_are_served_as_they_are_stored_whatever_encoding_the_client_takes(served: Served) -> None:
    """C118: a client that honours Content-Encoding would unpack the file, and its checksum would be wrong."""
    documents = [name for name in names(served.repod.store() / "repodata") if name.endswith(".gz")]
    assert len(documents) >= 3
    for name in documents:
        answer = served.ask(f"repodata/{name}", Accept_Encoding="gzip, deflate, br, zstd")
        assert answer.status == 200
        assert "content-encoding" not in answer.headers
        assert name.startswith(hashlib.sha256(answer.body).hexdigest())


# ---------------------------------------------------------------- caches


def test_what_keeps_its_name_is_always_asked_for_and_what_has_its_checksum_in_it_never_again(served: Served) -> None:
    """C116."""
    store = served.repod.store()
    hashed = [f"repodata/{name}" for name in names(store / "repodata") if name.endswith(".gz")]
    for target in (*hashed, f"Packages/l/{_FILE}"):
        assert served.ask(target).headers["cache-control"] == "public, max-age=31536000, immutable"
    for target in (
        "repodata/repomd.xml",
        "repodata/repomd.xml.asc",
        "repodata/repomd.xml.key",
        "repodata/statement.json",
        "test.repo",
        "RPM-GPG-KEY-test",
    ):
        answer = served.ask(target)
        assert (answer.status, answer.headers["cache-control"]) == (200, "no-cache"), target


@pytest.mark.parametrize("name", ["repomd.xml", "statement.json"])
def test_what_says_what_is_current_has_a_tag_by_which_it_is_not_sent_again(name: str, served: Served) -> None:
    """C116."""
    first = served.ask(f"repodata/{name}")
    again = served.ask(f"repodata/{name}", If_None_Match=first.headers["etag"])
    assert (first.status, again.status, again.body) == (200, 304, b"")
    assert served.ask(f"repodata/{name}", If_None_Match='"other"').body == first.body


# ---------------------------------------------------------------- what is not there


@pytest.mark.parametrize(
    "target",
    [
        ".repod/head.json",
        ".repod/generations/1.json",
        "%2erepod/head.json",
        "Packages/../.repod/head.json",
        "../../state/work",
        "../../../secret",
        "%2e%2e/%2e%2e/secret",
        "..%2f..%2fsecret",
        "%2e%2e%2f%2e%2e%2fsecret",
        "..%5c..%5csecret",
        "/etc/passwd",
        "//etc/passwd",
        "%2fetc%2fpasswd",
        "Packages//l",
        "Packages/l/%00",
        "Packages/l/a%00.rpm",
        "Packages/link.rpm",
        "Packages",
        "Packages/",
        "Packages/l/nothing-1.0-1.noarch.rpm",
        "repodata/%FF%FE.xml",
        pytest.param("a" * 5000, id="a name that is too long"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_nothing_is_served_that_is_no_file_of_the_repository(method: str, target: str, served: Served) -> None:
    answer = served.ask(target, method)
    assert answer.status == 404
    assert b"nobody may read" not in answer.body


@pytest.mark.parametrize("target", ["/repos/other/repodata/repomd.xml", "/repos/test/../../secret", "/secret"])
def test_nothing_is_served_outside_of_the_repositories(target: str, served: Served) -> None:
    assert served.ask_root(target).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_no_other_method_is_allowed(method: str, served: Served) -> None:
    assert served.ask("repodata/repomd.xml", method).status == 405
    assert served.ask("repodata/repomd.xml").status == 200


def test_the_address_of_a_repository_says_where_the_configuration_is(served: Served) -> None:
    answer = served.ask("")
    assert answer.status == 200
    assert f"{served.repod.repo_url()}/test.repo" in answer.body.decode()
