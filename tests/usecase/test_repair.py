"""A repair puts everything back that follows from something else, loses nothing, and may be stopped at any step."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from repod.doors import Change, Expect
from repod.errors import RepodError, Unavailable
from repod.finding import FAULT, MENDED
from repod.generation import HEAD, Generation
from repod.hostfiles import ZYPPER_KEY
from repod.package import StorePath
from repod.repodata.carried import SetDocument
from repod.views import METALINK, MIRRORLIST, REPOMD, SIGNATURE
from tests.lab.care import Care
from tests.lab.entries import made, many
from tests.lab.faulty import Crash, FaultyStore, Step, at, raising
from tests.lab.site import Site, seen
from tests.lab.site import site as site_in

A, B = made("a-1.0-1.noarch"), made("b-1.0-1.noarch")
COMPS = b"<comps><group><id>core</id></group></comps>"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Three generations: A, then B, and groups; the daemon's cache is lost."""
    with site_in(tmp_path) as site:
        _fill(site)
        Care(site, tmp_path / "care").write_host_files()
        yield site


def _fill(site: Site) -> None:
    publisher = site.opened()
    site.publish(publisher, A)
    site.put(B)
    groups = SetDocument(type="group", data=COMPS)
    publisher.publish(Change(entries=[B.entry], edits=[groups]), actor="test", why="test")


@pytest.fixture
def care(site: Site, tmp_path: Path) -> Care:
    return Care(site, tmp_path / "care")


def _now(site: Site) -> Generation:
    return site.generations[0]


def _in_frozen(generation: Generation, href: str) -> StorePath:
    return StorePath(generation.view + href)


def _alter(site: Site, *paths: StorePath) -> None:
    for path in paths:
        site.inner.write(path, site.inner.read(path).data + b"!", Expect.ANY)


def _remove(site: Site, *paths: StorePath) -> None:
    for path in paths:
        site.inner.remove(path)


def _all_of(kind: int) -> Callable[[Site], list[StorePath]]:
    """Both places of a document of the current generation."""

    def paths(site: Site) -> list[StorePath]:
        now = _now(site)
        frozen = now.frozen if kind == 0 else now.documents[kind]
        return [now.documents[kind].href, _in_frozen(now, frozen.href)]

    return paths


def _live_groups(site: Site) -> list[StorePath]:
    return [_now(site).documents[3].href]


def _frozen_groups(site: Site) -> list[StorePath]:
    now = _now(site)
    return [_in_frozen(now, now.documents[3].href)]


def _everything_made(site: Site) -> list[StorePath]:
    """All that is made from records and packages, in every generation."""
    kept = [path for one in site.generations for path, document in one.stored.items() if document.type != "group"]
    return [*kept, REPOMD, SIGNATURE, MIRRORLIST, METALINK, ZYPPER_KEY]


_PLACES = [
    _all_of(0),
    _all_of(1),
    _all_of(2),
    _live_groups,
    _frozen_groups,
    _everything_made,
    lambda _: [HEAD],
    lambda _: [REPOMD],
    lambda _: [SIGNATURE, METALINK],
    lambda _: [MIRRORLIST, ZYPPER_KEY],
    lambda site: [_in_frozen(_now(site), REPOMD), _in_frozen(site.generations[1], SIGNATURE)],
]


@pytest.mark.parametrize("spoil", [_alter, _remove])
@pytest.mark.parametrize("places", _PLACES)
def test_what_follows_from_something_else_is_as_it_was_after_a_repair(
    places: Callable[[Site], list[StorePath]], spoil: Callable[..., None], site: Site, care: Care
) -> None:
    before = site.dump()
    spoil(site, *places(site))
    done = care.repair()
    assert {finding.severity for finding in done} == {MENDED}
    assert {path: data for path, data in site.dump().items() if not path.startswith(".repod/aside/")} == before
    assert [finding for finding in care.findings() if finding.severity == FAULT] == []
    assert site.listed == seen(A, B)
    site.assert_settled()


def test_an_altered_document_is_kept_aside(site: Site, care: Care) -> None:
    path = _now(site).documents[1].href
    _alter(site, path)
    altered = site.inner.read(path).data
    (done,) = care.repair()
    (aside,) = [stored.path for stored in site.inner.list(".repod/aside/")]
    assert site.inner.read(aside).data == altered
    assert aside in done.text
    assert f"from {_in_frozen(_now(site), path)}" in done.text


def test_the_cache_of_the_daemon_is_used_before_any_package_is_read(site: Site, care: Care, tmp_path: Path) -> None:
    site.opened(cache="daemon")
    site.close()
    care.cache = tmp_path / "daemon"
    _remove(site, *(path for kind in range(3) for path in _all_of(kind)(site)))
    before = care.rpms.read
    assert {finding.severity for finding in care.repair()} == {MENDED}
    assert care.rpms.read == before
    assert care.findings() == []


def test_a_document_of_which_nothing_is_left_is_told_with_what_to_do(site: Site, care: Care) -> None:
    now = _now(site)
    _remove(site, now.documents[3].href, _in_frozen(now, now.documents[3].href))
    done = care.repair()
    assert [finding.severity for finding in done] == [FAULT, FAULT]
    assert all("put it in again; repod rebuild goes on without it" in finding.text for finding in done)
    assert _now(site) == now


def test_a_damaged_package_stays_listed_and_its_document_is_not_made_without_it(site: Site, care: Care) -> None:
    paths = _all_of(1)(site)
    _remove(site, A.package.href, *paths)
    done = care.repair()
    assert [(finding.severity, finding.path) for finding in done] == [(FAULT, path) for path in paths]
    assert all("1 listed packages are missing" in finding.text for finding in done)
    assert {finding.path for finding in care.findings()} == {A.package.href, *paths}


def test_a_lost_record_of_an_old_generation_is_never_invented(site: Site, care: Care) -> None:
    _remove(site, StorePath(".repod/generations/2.json"))
    assert care.repair() == []
    assert ".repod/generations/2.json" in {finding.path for finding in care.findings()}


def test_a_repair_of_a_sound_repository_writes_nothing(site: Site, tmp_path: Path) -> None:
    store = FaultyStore(site.inner)
    assert Care(site, tmp_path / "care", store).repair() == []
    assert {step.name for step in store.steps} <= {"read", "stream", "list"}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_repair_that_is_stopped_at_any_step_is_carried_on_by_the_next(moment: str, tmp_path: Path) -> None:
    """The first half of what was there is altered, the second is missing."""
    # Every third step: those between are reads, and writes of the same kind.
    for number in itertools.count(1 if moment == "before" else 2, 3):
        with site_in(tmp_path / f"{moment}{number}") as site:
            _fill(site)
            Care(site, tmp_path / "first").write_host_files()
            before = site.dump()
            places = _everything_made(site)
            _alter(site, *places[::2])
            _remove(site, *places[1::2])
            store = FaultyStore(site.inner, at(number, moment, raising(Crash())))  # type: ignore[arg-type]
            with suppress(Crash):
                Care(site, tmp_path / f"{moment}{number}/dead", store).repair()
            if number > len(store.steps):
                break
            care = Care(site, tmp_path / f"{moment}{number}/next")
            care.repair()
            after = {path: data for path, data in site.dump().items() if not path.startswith(".repod/aside/")}
            assert {path: after.pop(path) for path in before} == before
            # A right object that was to take a place which another one took since is told of, and harmless.
            assert all(path.startswith(".repod/spare/") for path in after)
            assert [finding for finding in care.findings() if finding.severity == FAULT] == []
    assert number > 50


def test_a_full_disk_stops_a_repair_and_nothing_gets_worse(site: Site, tmp_path: Path) -> None:
    def full(step: Step) -> None:
        if step.moment == "before" and step.name in {"add", "copy", "write"}:
            raise Unavailable("disk full")

    _alter(site, *_all_of(1)(site), REPOMD)
    before = site.dump()
    with pytest.raises(Unavailable, match="disk full"):
        Care(site, tmp_path / "full", FaultyStore(site.inner, full)).repair()
    assert site.dump() == before


def test_a_daemon_publishes_while_its_repository_is_mended(site: Site, tmp_path: Path) -> None:
    """What it cannot publish while a document is damaged it tries again, as a daemon does."""
    publisher = site.publisher(FaultyStore(site.inner))
    publisher.open("test")
    waiting = many(30)
    published = [A, B]
    one_by_one = threading.Lock()

    def publish(step: Step) -> None:
        if waiting and step.moment == "before" and step.name in {"add", "copy", "write", "remove"}:
            with one_by_one, suppress(RepodError):
                site.publish(publisher, waiting[-1])
                published.append(waiting.pop())

    _alter(site, *_all_of(1)(site), _in_frozen(_now(site), REPOMD))
    Care(site, tmp_path / "beside", FaultyStore(site.inner, publish)).repair()
    assert len(published) > len([A, B])
    care = Care(site, tmp_path / "care")
    care.repair()
    assert [finding for finding in care.findings() if finding.severity == FAULT] == []
    assert site.listed == seen(*published)
    site.assert_settled()
