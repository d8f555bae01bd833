"""Server-sent events: what happens is heard as it happens, by those who may, and what was missed is made up for."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.daemon import Repod
from tests.lab.rpms import quick
from tests.lab.uploads import TOKENS, Curl, Wire, token

PUBLISHED, REJECTED = "repod.generation.published.v1", "repod.arrival.rejected.v1"
ONE = "/api/v1/repositories/{}/events"
_SOON, _MANY = 60.0, 50  # seconds until the next event, and events until one of a kind, at the most


class Stream(Wire):
    """A stream of events, read as a browser does."""

    def __init__(self, repod: Repod, path: str = ONE.format("test"), after: str = "", secret: str = "") -> None:
        super().__init__(repod)
        more = [f"Last-Event-ID: {after}"] if after else []
        more += [f"Authorization: Bearer {secret}"] if secret else []
        self._text = b""
        self.head(f"GET {path}", "Accept: text/event-stream", *more)
        self.start = self._until(b"retry:")

    def _until(self, mark: bytes) -> bytes:
        self._text += self.read_until(lambda found: mark in self._text + found)
        head, found, self._text = self._text.partition(mark)
        return head + found

    def next(self) -> dict[str, Any]:
        """The next event; its id must be that of the line before."""
        end = time.monotonic() + _SOON
        while True:
            assert time.monotonic() < end, f"no event within {_SOON:g} s; what came last: {self._text[-500:]!r}"
            block = self._until(b"\n\n")
            assert block, "the stream has ended"
            lines = dict(line.partition(": ")[::2] for line in block.decode().replace("\r\n", "\n").split("\n"))
            if "data" in lines:
                event: dict[str, Any] = json.loads(lines["data"])
                assert (lines["event"], lines["id"]) == (event["type"], event["id"])
                return event

    def next_of(self, kind: str) -> dict[str, Any]:
        """The next event of that kind."""
        others: list[str] = []
        while len(others) < _MANY:
            event = self.next()
            if event["type"] == kind:
                return event
            others.append(event["type"])
        msg = f"no {kind} among {others}"
        raise AssertionError(msg)


@pytest.fixture(scope="module")
def repod(tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]) -> Iterator[Repod]:
    http = {"tokens": "tokens.json", "access": "readers"}
    repositories = {"test": {"public": True}, "secret": {}}
    with Repod(tmp_path_factory.mktemp("events"), key_file, repositories, settings=TOKENS | {"http": http}) as found:
        long_lived.add(found.pid)
        yield found


def test_a_publish_is_heard_with_what_came_and_by_which_upload(repod: Repod, tmp_path: Path) -> None:
    curl = Curl(repod, token(repod, name="heard"))
    with Stream(repod) as stream:
        assert b"200 OK" in stream.start
        assert b"text/event-stream" in stream.start
        done = curl.put(quick(tmp_path, "heard"), "-H", "Prefer: wait=60")
        event = stream.next_of(PUBLISHED)
    assert event["source"] == "/repositories/test"
    assert event["data"]["generation"] == done.body["generation"]
    (added,) = event["data"]["added"]
    assert (added["nevra"], added["sha256"]) == ("heard-1.0-1.noarch", done.body["sha256"])
    assert added["trace"] == done.body["trace"]


def test_a_rejection_is_heard_with_its_reasons(repod: Repod) -> None:
    with Stream(repod) as stream:
        (repod.inbox() / ".x").write_bytes(b"no package at all")
        (repod.inbox() / ".x").rename(repod.inbox() / "junk.rpm")
        event = stream.next_of(REJECTED)
    assert event["data"]["file"] == "junk.rpm"
    assert event["data"]["faults"][0]["code"] == "not-rpm"


def test_what_a_command_published_beside_the_daemon_is_heard_too(repod: Repod, tmp_path: Path) -> None:
    curl = Curl(repod, token(repod, name="beside"))
    assert curl.put(quick(tmp_path, "removed"), "-H", "Prefer: wait=60").status == 200
    with Stream(repod) as stream:
        assert repod.cli("remove", "test", "removed-1.0-1.noarch").rc == 0
        event = stream.next_of(PUBLISHED)
        while not event["data"]["removed"]:
            event = stream.next_of(PUBLISHED)
    assert [one["nevra"] for one in event["data"]["removed"]] == ["removed-1.0-1.noarch"]


def test_who_comes_back_hears_what_it_missed(repod: Repod, tmp_path: Path) -> None:
    curl = Curl(repod, token(repod, name="missed"))
    with Stream(repod) as stream:
        assert curl.put(quick(tmp_path, "missed", "1"), "-H", "Prefer: wait=60").status == 200
        last = stream.next_of(PUBLISHED)
    assert curl.put(quick(tmp_path, "missed", "2"), "-H", "Prefer: wait=60").status == 200
    with Stream(repod, after=last["id"]) as stream:
        event = stream.next_of(PUBLISHED)
    assert event["data"]["generation"] == last["data"]["generation"] + 1


def test_only_what_the_caller_may_read_is_heard(repod: Repod, tmp_path: Path) -> None:
    assert repod.get(ONE.format("secret"))[0] == 401
    assert repod.get(ONE.format("none"))[0] in {401, 404}
    writer = token(repod, name="writer")
    reader = token(repod, "--may", "read", name="reads-all")
    with Stream(repod, "/api/v1/events") as anyone, Stream(repod, "/api/v1/events", secret=reader) as knowing:
        for name in ("secret", "test"):
            file = quick(tmp_path, f"for-{name}")
            assert Curl(repod, writer, name).put(file, "-H", "Prefer: wait=60").status == 200
        heard = [knowing.next_of(PUBLISHED)["source"] for _ in range(2)]
        assert sorted(heard) == ["/repositories/secret", "/repositories/test"]
        assert anyone.next_of(PUBLISHED)["source"] == "/repositories/test"


def test_a_reload_ends_the_streams_so_that_all_ask_again(repod: Repod) -> None:
    with Stream(repod) as stream:
        repod.reload()
        assert b"read its settings anew" in stream.read_until(lambda found: found.endswith(b"0\r\n\r\n"))
    with Stream(repod) as stream:
        assert b"200 OK" in stream.start


def test_the_daemon_ends_at_once_while_streams_and_uploads_are_open(tmp_path: Path, key_file: Path) -> None:
    with Repod(tmp_path, key_file, settings=TOKENS) as repod, contextlib.ExitStack() as stack:
        bearer = f"Authorization: Bearer {token(repod)}"
        streams = [stack.enter_context(Stream(repod)) for _ in range(20)]
        half = stack.enter_context(Wire(repod))
        half.head("PUT /api/v1/repositories/test/inbox/half.rpm", bearer, "Content-Length: 100", "Expect: 100-continue")
        assert b"100 Continue" in half.read_until(lambda found: b"100 Continue" in found)
        half.send("half")
        assert repod.stop() == 0
        assert all(b"stopping" in stream.rest() for stream in streams)
