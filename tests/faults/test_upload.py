"""Uploads that go wrong: too large, broken off, on a full disk, under a daemon that dies. Nothing half is ever seen.

Needs root, to mount small file systems of its own.
"""

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from repod.errors import NoRoom
from repod.inbox.letters import DirectoryLetterbox
from tests.lab.daemon import Repod
from tests.lab.folders import tmpfs
from tests.lab.inboxes import wanted
from tests.lab.rpms import quick
from tests.lab.uploads import TOKENS, Curl, Wire, token
from tests.lab.wait import until

WAIT = ("-H", "Prefer: wait=60")
CHUNKED = ("-H", "Transfer-Encoding: chunked", "-H", "Content-Length:")
INBOX = "/api/v1/repositories/test/inbox/"
HUGE = 10 << 30
_LITTLE = 64 << 20  # what the buffers between two processes hold at the most, with a wide margin


class Bench(NamedTuple):
    """A daemon with an inbox on a disk of 16 MiB, and one, ``small``, that takes 1 MiB at the most."""

    repod: Repod
    secret: str
    disk: Path

    @property
    def curl(self) -> Curl:
        return Curl(self.repod, self.secret)

    @property
    def lying(self) -> list[str]:
        """All that lies in the inbox, hidden or not."""
        return sorted(path.name for path in self.repod.inbox().iterdir())

    def begin(self, name: str, *headers: str) -> Wire:
        """The head of an upload, up to where the body is asked for."""
        wire = Wire(self.repod)
        wire.head(f"PUT {INBOX}{name}", f"Authorization: Bearer {self.secret}", "Expect: 100-continue", *headers)
        assert b"100 Continue" in wire.read_until(lambda found: b"\r\n\r\n" in found)
        return wire


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]) -> Iterator[Bench]:
    base = tmp_path_factory.mktemp("uploads")
    with tmpfs(base / "disk", "size=16m") as disk:
        (disk / "inbox").mkdir()
        own = {"inbox": str(disk / "inbox"), "acceptance": {"max_size": "1GiB"}}
        small = {"acceptance": {"max_size": "1MiB"}}
        with Repod(base, key_file, {"test": own, "small": small}, settings=TOKENS) as repod:
            long_lived.add(repod.pid)
            yield Bench(repod, token(repod), disk)


@pytest.fixture
def huge(tmp_path: Path) -> Path:
    """Ten gigabytes of nothing, which take no room."""
    path = tmp_path / "huge.rpm"
    path.touch()
    os.truncate(path, HUGE)
    return path


def test_ten_gigabytes_are_refused_before_they_are_sent(bench: Bench, huge: Path) -> None:
    small = Curl(bench.repod, bench.secret, "small")
    stranger = Curl(bench.repod, "")
    for curl, status in ((small, 413), (stranger, 401)):
        done = curl.put(huge)
        assert (done.status, done.sent, done.rc) == (status, 0, 0)


@pytest.mark.parametrize("words", [("-H", "Expect:"), ("-H", "Expect:", *CHUNKED)])
def test_who_sends_ten_gigabytes_without_asking_is_told_and_cut_off(
    bench: Bench, huge: Path, words: tuple[str, ...]
) -> None:
    small = Curl(bench.repod, bench.secret, "small")
    done = small.put(huge, *words)
    assert done.status == 413
    assert done.sent < _LITTLE
    assert list(bench.repod.inbox("small").iterdir()) == []


def test_who_ignores_the_refusal_is_cut_off(bench: Bench) -> None:
    with Wire(bench.repod) as wire:
        path = "/api/v1/repositories/small/inbox/x.rpm"
        wire.head(f"PUT {path}", f"Authorization: Bearer {bench.secret}", f"Content-Length: {HUGE}")
        sent = 0
        piece = b"x" * (1 << 20)
        try:
            while sent < HUGE:
                wire.send(piece)
                sent += len(piece)
        except ConnectionError:
            pass
        assert sent < HUGE // 10


def test_an_upload_that_breaks_off_leaves_nothing(bench: Bench) -> None:
    before = _descriptors(bench.repod)
    for headers in (["Content-Length: 1000"], ["Transfer-Encoding: chunked"]):
        with bench.begin("half.rpm", *headers) as wire:
            wire.send("10\r\n" + "x" * 16 + "\r\n")
    until(lambda: _descriptors(bench.repod) <= before, 60, "the daemon to let go of them")
    assert bench.lying == []
    assert bench.repod.noise() == []


def _descriptors(repod: Repod) -> int:
    return len(list(Path(f"/proc/{repod.pid}/fd").iterdir()))


def test_a_daemon_that_is_killed_amid_an_upload_leaves_nothing_in_the_inbox(
    bench: Bench, tmp_path: Path, long_lived: set[int]
) -> None:
    data = quick(tmp_path, "killed").read_bytes()
    before = os.statvfs(bench.disk).f_bavail
    with bench.begin("killed.rpm", f"Content-Length: {len(data) + (4 << 20)}") as wire:
        wire.send(data + b"\0" * (3 << 20))
        until(lambda: os.statvfs(bench.disk).f_bavail < before, 60, "some of it to be on the disk")
        assert bench.lying == []
        bench.repod.kill9()
    assert bench.lying == []
    until(lambda: os.statvfs(bench.disk).f_bavail == before, 60, "the kernel to have taken it away")
    long_lived.add(bench.repod.start().pid)
    again = bench.curl.put(tmp_path / "killed-1.0-1.noarch.rpm", *WAIT)
    assert again.status == 200, again.text


def test_a_daemon_that_is_started_again_knows_what_became_of_earlier_uploads(
    bench: Bench, tmp_path: Path, long_lived: set[int]
) -> None:
    assert bench.curl.put(quick(tmp_path, "before"), *WAIT).status == 200
    (tmp_path / "junk.rpm").write_bytes(b"no package")
    assert bench.curl.put(tmp_path / "junk.rpm", *WAIT).status == 422
    bench.repod.stop()
    long_lived.add(bench.repod.start().pid)
    found = []
    for name in ("before-1.0-1.noarch.rpm", "junk.rpm"):
        digits = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        found.append(bench.curl.run(f"{bench.curl.api}/arrivals/{digits}").body)
    published, rejected = found
    assert (published["state"], published["packages"]) == ("published", ["before-1.0-1.noarch"])
    assert (rejected["state"], rejected["faults"][0]["code"]) == ("rejected", "not-rpm")
    assert rejected["faults"][0]["remedy"]


def test_more_than_the_disk_holds_is_refused_before_it_is_sent(bench: Bench, huge: Path) -> None:
    os.truncate(huge, 100 << 20)
    done = bench.curl.put(huge)
    assert (done.status, done.sent, done.body["type"]) == (507, 0, "/api/v1/problems/no-room"), done.text


def test_where_the_disk_gets_full_on_the_way_nothing_stays_and_the_next_is_taken(
    bench: Bench, huge: Path, tmp_path: Path
) -> None:
    os.truncate(huge, 100 << 20)
    done = bench.curl.put(huge, *CHUNKED)
    assert (done.status, done.body["type"]) == (507, "/api/v1/problems/no-room"), done.text
    # What came before it is told of as published just before it is taken away.
    until(lambda: bench.lying == [], 30, "the inbox to be empty")
    fine = bench.curl.put(quick(tmp_path, "fine"), *WAIT)
    assert fine.status == 200, fine.text


def test_what_cannot_be_put_into_the_inbox_is_not_known_afterwards(bench: Bench, tmp_path: Path) -> None:
    data = quick(tmp_path, "lost").read_bytes()
    inbox = bench.repod.inbox()
    with bench.begin("lost.rpm", f"Content-Length: {len(data)}") as wire:
        inbox.rename(inbox.with_name("away"))
        wire.send(data)
        answer = wire.read_until(lambda found: b"}" in found)
        inbox.with_name("away").rename(inbox)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert bench.curl.run(f"{bench.curl.api}/arrivals/{hashlib.sha256(data).hexdigest()}").status == 404
    again = bench.curl.put(tmp_path / "lost-1.0-1.noarch.rpm", *WAIT)
    assert again.status == 200, again.text


def test_a_disk_that_others_fill_is_no_room(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "size=4m") as disk:
        box = DirectoryLetterbox(disk, limit=1 << 30, wanted=wanted, vouch=lambda _: None, knock=lambda: None)
        letter = box.open("a.rpm", 1 << 20)
        filler = disk / "filler"
        with filler.open("wb") as file:
            free = os.statvfs(disk)
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_bsize)
        with pytest.raises(NoRoom, match="No space left"):
            letter.write(b"x" * (1 << 20))
        letter.close()
        with pytest.raises(NoRoom):
            box.open("a.rpm", 1)
        filler.unlink()
        box.open("a.rpm", 1 << 20).close()


def test_what_cannot_be_taken_in_now_says_why_and_who_waits_is_answered_when_the_daemon_ends(
    tmp_path: Path, key_file: Path
) -> None:
    with tmpfs(tmp_path / "disk", "size=8m") as disk:
        (disk / "store").mkdir()
        repod = Repod(tmp_path, key_file, {"test": {"store": str(disk / "store")}}, settings=TOKENS)
        with repod:
            curl = Curl(repod, token(repod))
            with (disk / "filler").open("wb") as file:
                free = os.statvfs(disk)
                os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_bsize)
            file_ = quick(tmp_path, "stuck")
            done = curl.put(file_, "-H", "Prefer: wait=1")
            assert (done.status, done.body["state"]) == (202, "waiting"), done.text
            url = f"{repod.url}{done.body['url']}"
            until(lambda: "No space left" in curl.run(url).body.get("why", ""), 60, "the reason to be told")
            answers: list[int] = []
            waiter = threading.Thread(target=lambda: answers.append(curl.put(file_, *WAIT).status))
            waiter.start()
            until(lambda: len(repod.find_events("uploaded")) == 2, 60, "the second upload to wait")
            repod.stop()
            waiter.join()
            assert answers == [202]
