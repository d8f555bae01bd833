"""The rollout file of a repository: signed, never torn, with a serial that rises; nobody else's is signed anew."""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from itertools import count

import pytest

from repod.doors import Expect, Store
from repod.errors import Corrupt, NotFound, OutcomeUnknown, Unavailable
from repod.office import By
from repod.package import Nevra, sha256
from repod.phasing import changed
from repod.ringing import Rings
from repod.rings import ROLLOUT, Phase, Ring, RingBuild, RingChange, RolloutFile, envelope, read, read_rings, write
from repod.sealing import Seal
from repod.signed import Kept
from repod.store.memory import MemoryStore
from tests.lab.faulty import Crash, FaultyStore, Moment, at, raising

_BY = By(actor="anna", why="a test")
_VALID = 3000.0


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Keys:
    """A signer whose signatures are texts; those of ``lost`` are not known to hosts any more."""

    fingerprint = "A" * 40
    public_key = b"A"

    def __init__(self, name: str = "A", published: str = "A") -> None:
        self.name = name
        self.published = published.encode()

    def sign(self, data: bytes) -> bytes:
        return self.sign_index(data)

    def sign_index(self, data: bytes) -> bytes:
        return f"{self.name}:{hash(data)}".encode()


def proves(published: bytes, data: bytes, signature: bytes) -> bool:
    name, _, rest = signature.decode().partition(":")
    return name.encode() in published and rest == str(hash(data))


def build(release: str, arch: str = "noarch") -> RingBuild:
    return RingBuild(nevra=Nevra.parse(f"hello-1.0-{release}.{arch}"), header_sha256=sha256("a" * 64))


def rings(store: Store, clock: Clock, keys: Keys | None = None, name: str = "apps") -> Rings:
    keys = keys or Keys()
    seal = Seal(
        repository=name,
        signer=keys,
        keys=[keys.name],
        armor=bytes,
        proves=proves,
        valid=_VALID,
        clock=clock,
    )
    return Rings(seal, store, pause=lambda _: None)


def put(release: str, ring: str = "web", **how: object):
    change = RingChange(names=("hello",), **how)  # type: ignore[arg-type]

    def edit(known: Mapping[str, Ring], serial: int) -> Mapping[str, Ring]:
        after = changed(ring, known.get(ring), [build(release)], change, by=_BY, serial=serial, now=1000)
        return {**known, ring: after}

    return edit


def lying(store: Store) -> RolloutFile:
    return read(envelope(store.read(ROLLOUT).data).document)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> MemoryStore:
    seconds = count(1000)
    return MemoryStore(lambda: float(next(seconds)))


def test_every_change_is_signed_and_raises_the_serial_also_where_the_clock_stands_or_goes_back(
    store: MemoryStore, clock: Clock
) -> None:
    book = rings(store, clock)
    serials = [book.change(put("1")).serial, book.change(put("2")).serial]
    clock.now = 500.0
    serials.append(book.change(put("3")).serial)
    assert serials == [1000, 1001, 1002]
    held = envelope(store.read(ROLLOUT).data)
    assert proves(b"A", held.document.encode(), held.signature.encode())
    file = lying(store)
    assert (file.repository, file.issued, file.expires, file.keys) == ("apps", 500, 3500, ("A",))
    assert file == read(write(file))


def test_the_serial_rises_also_where_the_file_was_lost(store: MemoryStore, clock: Clock) -> None:
    first = rings(store, clock).change(put("1")).serial
    store.remove(ROLLOUT)
    clock.now += 1
    assert rings(store, clock).change(put("1")).serial > first


def test_two_who_change_at_once_both_have_their_change(store: MemoryStore, clock: Clock) -> None:
    other = rings(store, clock)
    met = iter([True])

    def edit(known: Mapping[str, Ring], serial: int) -> Mapping[str, Ring]:
        if next(met, False):
            other.change(put("1", "db"))
        return put("2", "web")(known, serial)

    file = rings(store, clock).change(edit)
    assert sorted(file.rings) == ["db", "web"]
    assert lying(store) == file


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("error", [Unavailable("gone"), OutcomeUnknown("timed out"), Crash()])
def test_a_change_that_breaks_off_is_there_whole_or_not_at_all_and_may_be_made_again(
    store: MemoryStore, clock: Clock, moment: Moment, error: BaseException
) -> None:
    before = rings(store, clock).change(put("1"))
    for step in range(1, 4):
        faulty = FaultyStore(store, at(step, moment, raising(error)))
        with contextlib.suppress(Unavailable, Crash):
            rings(faulty, clock).change(put("2", percent=10))
        assert lying(store).rings["web"].builds in {before.rings["web"].builds, (build("2"),)}
        file = rings(store, clock).change(put("2", percent=10))
        assert (file.rings["web"].before, file.rings["web"].percent) == ((build("1").nevra,), 10)
        rings(store, clock).change(put("1"))


def test_it_is_signed_anew_after_a_third_of_its_time_or_for_other_keys_and_only_then(
    store: MemoryStore, clock: Clock
) -> None:
    book = rings(store, clock)
    assert book.renew() is None
    before = book.change(put("1"))
    clock.now += _VALID / 3 - 1
    assert book.renew() == Kept(expires=4000, anew=False)
    clock.now += 1
    assert book.renew() == Kept(expires=5000, anew=True)
    after = lying(store)
    assert (after.rings, after.serial > before.serial, after.issued) == (before.rings, True, 2000)
    assert book.renew() == Kept(expires=5000, anew=False)
    assert rings(store, clock, Keys("B", published="BA")).renew() == Kept(expires=5000, anew=True)
    assert lying(store).keys == ("B",)


def test_what_somebody_else_put_there_is_neither_signed_nor_built_on(store: MemoryStore, clock: Clock) -> None:
    book = rings(store, clock)
    book.change(put("1"))
    held = envelope(store.read(ROLLOUT).data)
    forged = replace(held, document=held.document.replace("hello-1.0-1", "hello-6.6-6"))
    clock.now += _VALID
    for data in (forged.to_json(), b"{}", b"\x00"):
        store.write(ROLLOUT, data, Expect.ANY)
        with pytest.raises(Corrupt, match=r"rollout\.json"):
            book.renew()
        with pytest.raises(Corrupt, match="set the rings anew"):
            book.change(put("2"))
        assert store.read(ROLLOUT).data == data
    store.remove(ROLLOUT)
    rings(store, clock, name="other").change(put("1"))
    with pytest.raises(Corrupt, match="found that of other"):
        book.change(put("2"))


def test_where_no_ring_was_ever_set_there_are_none(store: MemoryStore) -> None:
    assert read_rings(store) == {}
    with pytest.raises(NotFound):
        store.read(ROLLOUT)


# ---------------------------------------------------------------- what a change makes of a ring


def after(before: Ring | None, release: str = "", now: int = 2000, **how: object) -> Ring:
    builds = [build(release)] if release else []
    return changed("web", before, builds, RingChange(**how), by=_BY, serial=7, now=now)  # type: ignore[arg-type]


def test_other_builds_begin_anew_and_the_same_ones_go_on() -> None:
    first = after(None, "1", percent=10, now=1000)
    assert (first.phases, first.salt, first.before) == ((Phase(percent=10, since=1000),), "web/7", ())
    more = after(first, "1", percent=30)
    assert more.phases == (Phase(percent=10, since=1000), Phase(percent=30, since=2000))
    assert after(more, percent=30).phases == more.phases
    assert after(more, percent=20).phases == (Phase(percent=10, since=1000), Phase(percent=20, since=2000))
    assert after(more).phases == more.phases
    other = changed("web", more, [build("2")], RingChange(), by=_BY, serial=9, now=3000)
    assert (other.phases, other.salt, other.before) == ((Phase(percent=100, since=3000),), "web/9", (build("1").nevra,))
    again = changed("web", other, [build("2")], RingChange(), by=_BY, serial=10, now=3000)
    assert again == other


def test_what_is_not_said_stays() -> None:
    ring = after(None, "1", spread=60, windows=("daily 01:00-02:00",), on_failure="stay", check=True, paused=True)
    assert after(ring, percent=50, spread=0, windows=()) == replace(
        ring, phases=(Phase(percent=50, since=2000),), spread=0, windows=()
    )
    assert after(ring, paused=False).paused is False
