"""A push decides: what is sent, what is waited for, and what is told, whatever the inbox can tell of it."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from repod.client.api import Api
from repod.client.bars import Silent
from repod.client.buckets import S3
from repod.client.fetching import Fetching
from repod.client.fleet import Wanted
from repod.client.fresh import Fresh, Late, listed
from repod.client.opening import public_url
from repod.client.proving import prove
from repod.client.push import How, Push, code_of
from repod.client.pushing import Fate, Parcel, Result, Sent, Ticket
from repod.client.settings import Repository, Server, Settings
from repod.client.wire import HURRIED, Wire
from repod.errors import Misconfigured, NoRoom, RepodError, Unavailable
from repod.package import Nevra
from tests.lab.ports import free_port
from tests.lab.rpms import quick, tool

_POLICY = {"code": "arch", "text": "arch ppc64le", "remedy": "Upload it elsewhere."}
_DAMAGE = {"code": "text", "text": "bad text", "remedy": "Correct it."}


class Hole:
    """A ``Drop`` that keeps what it is sent, and tells of it what the test says."""

    place = "a hole"

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.fates: dict[str, Sequence[Fate | RepodError]] = {}
        self.full: set[str] = set()
        self.asked = 0

    def send(self, parcel: Parcel, sent: Sent) -> Ticket:
        if parcel.name in self.full:
            raise NoRoom("the disk is full")
        sent(parcel.size)
        self.sent.append(parcel.name)
        return Ticket(file=parcel.name, sha256=parcel.sha256, size=parcel.size)

    def fate(self, ticket: Ticket) -> Fate:
        told = self.fates.get(ticket.file, [Fate(state="taken")])
        found = told[min(self.asked, len(told) - 1)]
        self.asked += 1
        if isinstance(found, RepodError):
            raise found
        return found


class World:
    """A repository in a directory, a drop, and a clock that only pauses move; ``at`` does something at a pause."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "www"
        self.folder.mkdir()
        self.revision = 0
        self.publish()
        self.drop = Hole()
        self.now = 0.0
        self.at: dict[int, Callable[[], object]] = {}
        self.pauses = 0
        self.listed: dict[str, Sequence[str]] = {}

    def publish(self, *packages: Path) -> None:
        """The next generation, with these packages too."""
        for path in packages:
            (self.folder / path.name).write_bytes(path.read_bytes())
        self.revision += 1
        words = [tool("createrepo_c"), "-q", "--revision", str(self.revision), str(self.folder)]
        subprocess.run(words, check=True, timeout=60)

    def push(self, *paths: Path, seconds: float | None = 60.0, each: bool = False) -> list[Result]:
        fresh = Fresh(str(self.folder), Fetching(S3()))
        push = Push(self.drop, self._headers, fresh, Silent(), clock=lambda: self.now, pause=self.pause)
        return list(push.run(paths, How(seconds=seconds, each=each)))

    def _headers(self, nevra: Nevra) -> Sequence[str]:
        return self.listed.get(nevra.name, ())

    def pause(self, seconds: float) -> None:
        self.now += seconds
        self.pauses += 1
        self.at.get(self.pauses, lambda: None)()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def states(results: Sequence[Result]) -> list[tuple[str, int]]:
    return [(result.state, result.code) for result in results]


def test_an_inbox_that_tells_nothing_is_no_matter_where_hosts_see_the_build(world: World, tmp_path: Path) -> None:
    package = quick(tmp_path, "app")
    world.drop.fates[package.name] = [Unavailable("not for you")]
    world.at[3] = lambda: world.publish(package)
    (result,) = world.push(package)
    assert (result.state, result.code, result.generation) == ("published", 0, 2)


def test_what_waits_in_the_inbox_is_told_when_the_time_is_over(world: World, tmp_path: Path) -> None:
    package = quick(tmp_path, "app")
    world.drop.fates[package.name] = [Fate(state="waiting", why="open for writing")]
    (result,) = world.push(package, seconds=20)
    assert (result.state, result.code) == ("late", 4)
    assert "it still waits in the inbox (open for writing); is the daemon running?" in result.text
    assert world.now <= 20


def test_an_inbox_that_cannot_tell_is_named_when_the_time_is_over(world: World, tmp_path: Path) -> None:
    package = quick(tmp_path, "app")
    world.drop.fates[package.name] = [Unavailable("not for you")]
    (result,) = world.push(package, seconds=5)
    assert result.code == 4
    assert "app-1.0-1.noarch: it is not listed; repomd.xml at" in result.text
    assert result.text.endswith("what became of it is not told (not for you)")


def test_another_build_of_the_nevra_is_not_taken_for_this_one(world: World, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = quick(tmp_path / "other", "app", files={"/usr/share/app": b"other"})
    world.publish(other)
    (result,) = world.push(quick(tmp_path, "app"), seconds=5)
    assert result.state == "late"
    assert "another build is listed: expected header" in result.text


@pytest.mark.parametrize(("fault", "code"), [(_POLICY, 3), (_DAMAGE, 1)])
def test_a_rejection_is_a_refusal_where_a_rule_says_so(
    fault: dict[str, str], code: int, world: World, tmp_path: Path
) -> None:
    package = quick(tmp_path, "app")
    waiting = Fate(state="waiting")
    world.drop.fates[package.name] = [waiting, waiting, Fate(state="rejected", faults=[fault])]
    (result,) = world.push(package)
    assert (result.state, result.code) == ("rejected", code)
    assert result.text == f"{fault['text']}\n{fault['remedy']}"


def test_one_that_fails_stops_none_of_the_rest(world: World, tmp_path: Path) -> None:
    bad, good = quick(tmp_path, "bad"), quick(tmp_path, "good")
    world.drop.full = {bad.name}
    world.at[1] = lambda: world.publish(good)
    results = world.push(bad, good)
    assert states(results) == [("failed", 4), ("published", 0)]
    assert (results[0].text, code_of(results)) == ("the disk is full", 4)


def test_two_builds_of_one_nevra_are_not_both_pushed(world: World, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one, other = quick(tmp_path, "app"), quick(tmp_path / "other", "app", files={"/usr/share/app": b"other"})
    assert states(world.push(one, other)) == [("unsent", 0), ("refused", 2)]
    assert world.drop.sent == []


def test_one_file_named_twice_is_pushed_once(world: World, tmp_path: Path) -> None:
    package = quick(tmp_path, "app")
    assert states(world.push(package, package, seconds=None)) == [("sent", 0)]
    assert world.drop.sent == [package.name]


def test_a_document_is_seen_with_the_first_generation_after_it(world: World, tmp_path: Path) -> None:
    comps = tmp_path / "comps.xml"
    comps.write_text("<comps/>")
    world.at[4] = world.publish
    (result,) = world.push(comps)
    assert (result.state, result.generation, world.pauses) == ("published", 2, 4)


def test_a_generation_that_the_daemon_names_must_be_reached(world: World, tmp_path: Path) -> None:
    package = quick(tmp_path, "app")
    world.drop.fates[package.name] = [Fate(state="published", generation=3)]
    world.at[2] = lambda: world.publish(package)
    world.at[5] = world.publish
    (result,) = world.push(package)
    assert (result.state, result.generation, world.pauses) == ("published", 3, 5)


def test_a_build_that_is_listed_already_is_not_sent_but_waited_for(world: World, tmp_path: Path) -> None:
    package = quick(tmp_path, "app")
    world.publish(package)
    (result,) = world.push(package, seconds=None)
    world.listed["app"] = ["00" * 32]
    assert states(world.push(package)) == [("refused", 3)]
    assert world.drop.sent == [package.name], "without word from the repository it is sent"
    header = next(iter(Fresh(str(world.folder), Fetching(S3())).now({"app"})))
    world.listed["app"] = [Fresh(str(world.folder), Fetching(S3())).header_of(header)]
    (result,) = world.push(package)
    assert (result.state, result.code) == ("already", 0)
    assert world.drop.sent == [package.name]


def test_an_interrupt_tells_what_was_sent_and_what_was_not(world: World, tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    one, other = quick(tmp_path, "one"), quick(tmp_path, "other")
    world.at[3] = stop
    world.at[1] = lambda: world.publish(one)
    results = world.push(one, other)
    assert states(results) == [("published", 0), ("sent", 1)]
    assert "stopped, and not waited for; it lies in the inbox" in results[1].text


def test_the_exit_code_is_of_the_worst(world: World) -> None:
    def of(*codes: int) -> int:
        return code_of([Result(file="f", state="failed", code=code) for code in codes])

    assert (of(), of(0, 0), of(0, 4), of(4, 3), of(3, 1, 4), of(2, 1)) == (0, 0, 4, 3, 1, 2)


def test_who_waits_for_builds_alone_hears_what_was_seen_last(world: World, tmp_path: Path) -> None:
    package = quick(tmp_path, "app")
    parcel = prove(package)
    wanted = [Wanted(nevra=Nevra.parse("app-1.0-1.noarch"), header_sha256=parcel.header_sha256)]
    fresh = Fresh(str(world.folder), Fetching(S3()))
    with pytest.raises(Late, match=r"within 5 s: app-1\.0-1\.noarch: it is not listed; .*published is 2: is there a"):
        listed(fresh, wanted, seconds=5, generation=2, pause=world.pause, clock=lambda: world.now)
    world.at[world.pauses + 2] = lambda: world.publish(package)
    seen = listed(fresh, wanted, seconds=5, generation=2, pause=world.pause, clock=lambda: world.now)
    assert (seen.revision, seen.complete) == ("2", True)


def test_a_public_url_that_nobody_tells_must_be_set(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    own = {"elsewhere": Repository(inbox=str(tmp_path)), "told": Repository(url="https://cdn/el9/")}
    settings = Settings(server=Server(url=url), repository=own)
    with Api(Wire(settings.server, None, HURRIED)) as api:
        assert public_url(settings, "told", api) == "https://cdn/el9/"
        with pytest.raises(Misconfigured, match=r"set \[repository\.elsewhere\] url"):
            public_url(settings, "elsewhere", api)
        with pytest.raises(Unavailable, match="no connection to"):
            public_url(settings, "through-the-daemon", api)
