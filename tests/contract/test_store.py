"""What every ``Store`` promises, sentence by sentence, asked of every adapter."""

import hashlib
import itertools
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from repod.doors import Expect, Extent, Part, Store, Stored, Version
from repod.errors import Conflict, Corrupt, NotFound
from repod.package import Sha256, StorePath
from repod.store.local import LocalStore
from repod.store.memory import MemoryStore
from repod.store.s3 import S3Store
from tests.lab import racers
from tests.lab.buckets import Buckets
from tests.lab.faulty import FaultyStore

NOW = 1_700_000_000.0
MIB = 1 << 20
PATH = StorePath("repodata/repomd.xml")

NAMES = [
    "Packages/l/libstdc++-1.0~rc1-1.gita^b.x86_64.rpm",
    "Packages/a/a b.rpm",
    "Packages/é/ü-日本語.rpm",
    "p/100%25#?&'\"<>;$(x)`y`*[z].rpm",
    "p/-rf",
    "p/new\nline",
    ".hidden",
    ".repod/head.json",
    ".repod/tmpfile",
    ".repod/locked/object",
    "a" * 200,
]


def _local(folder: Path, _: Buckets) -> Store:
    root = folder / "store"
    root.mkdir()
    return LocalStore(root)


STORES: dict[str, Callable[[Path, Buckets], Store]] = {
    "local": _local,
    "memory": lambda *_: MemoryStore(lambda: NOW),
    "wrapped": lambda *_: FaultyStore(MemoryStore(lambda: NOW)),
    "s3": lambda _, buckets: buckets.store(),
    "moto": lambda _, buckets: buckets.of_moto(),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path, buckets: Buckets) -> Store:
    return STORES[request.param](tmp_path, buckets)


@pytest.fixture(params=[name for name in STORES if name != "moto"])
def real(request: pytest.FixtureRequest, tmp_path: Path, buckets: Buckets) -> Store:
    """Any store but moto, which lets two writers win now and then, and has no newline in a key."""
    return STORES[request.param](tmp_path, buckets)


def rounds(store: Store, number: int) -> int:
    """How often writers race: a real S3 server takes a second for each round of eight."""
    return 3 if isinstance(store, S3Store) else number


def checksum(data: bytes) -> Sha256:
    return Sha256(hashlib.sha256(data).hexdigest())


def add(store: Store, path: str, *parts: Part, data: bytes) -> None:
    store.add(StorePath(path), parts, checksum(data))


def paths(store: Store, prefix: str = "") -> list[str]:
    return sorted(stored.path for stored in store.list(prefix))


def content(store: Store, path: str) -> bytes:
    return store.read(StorePath(path)).data


# ---------------------------------------------------------------- read and stream


def test_read_gives_the_bytes_and_the_version_that_write_returned(store: Store) -> None:
    version = store.write(PATH, b"one", Expect.ANY)
    blob = store.read(PATH)
    assert (blob.data, blob.version) == (b"one", version)


def test_an_empty_object_is_an_object(store: Store) -> None:
    store.write(PATH, b"", Expect.ABSENT)
    assert content(store, PATH) == b""
    assert list(store.stream(PATH)) == []
    assert paths(store) == [PATH]


@pytest.mark.parametrize("path", ["nothing", "no/such/folder/x", "there/below", "x" * 300])
def test_what_does_not_exist_is_not_found_and_named(store: Store, path: str) -> None:
    store.write(StorePath("there"), b"an object, so no folder", Expect.ANY)
    with pytest.raises(NotFound, match=path):
        store.read(StorePath(path))
    with pytest.raises(NotFound, match=path):
        next(iter(store.stream(StorePath(path))))


def test_a_folder_is_no_object(store: Store) -> None:
    store.write(StorePath("folder/object"), b"x", Expect.ANY)
    with pytest.raises(NotFound, match="folder"):
        store.read(StorePath("folder"))
    with pytest.raises(NotFound, match="folder"):
        list(store.stream(StorePath("folder")))


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, None), (0, 0), (5, None), (5, 7), (MIB - 1, 2), (3 * MIB + 10, None), (3 * MIB + 16, 100), (9 * MIB, 4)],
)
def test_stream_gives_the_wanted_range_and_no_more_than_there_is(store: Store, offset: int, length: int | None) -> None:
    data = bytes(range(256)) * 4096 * 3 + b"the end of it..."
    store.write(PATH, data, Expect.ANY)
    end = None if length is None else offset + length
    assert b"".join(store.stream(PATH, offset, length)) == data[offset:end]


def test_stream_holds_at_most_a_mebibyte_at_once_and_no_empty_piece(store: Store) -> None:
    store.write(PATH, b"x" * (2 * MIB + 1), Expect.ANY)
    assert [len(piece) for piece in store.stream(PATH)] == [MIB, MIB, 1]


def test_a_stream_goes_on_in_the_object_it_began_with(store: Store) -> None:
    store.write(PATH, b"a" * (2 * MIB), Expect.ANY)
    pieces = iter(store.stream(PATH))
    first = next(pieces)
    store.write(PATH, b"b" * (2 * MIB), Expect.ANY)
    store.remove(PATH)
    assert first + b"".join(pieces) == b"a" * (2 * MIB)


# ---------------------------------------------------------------- write


def test_write_expecting_absence_creates_and_then_conflicts(store: Store) -> None:
    store.write(PATH, b"one", Expect.ABSENT)
    with pytest.raises(Conflict, match=PATH):
        store.write(PATH, b"two", Expect.ABSENT)
    assert content(store, PATH) == b"one"


def test_write_expecting_absence_conflicts_even_with_the_same_bytes(store: Store) -> None:
    store.write(PATH, b"one", Expect.ABSENT)
    with pytest.raises(Conflict):
        store.write(PATH, b"one", Expect.ABSENT)


def test_write_expecting_anything_creates_and_replaces(store: Store) -> None:
    first = store.write(PATH, b"one", Expect.ANY)
    second = store.write(PATH, b"two", Expect.ANY)
    assert first != second
    assert content(store, PATH) == b"two"


def test_write_replaces_the_expected_version_only(store: Store) -> None:
    old = store.write(PATH, b"one", Expect.ANY)
    new = store.write(PATH, b"two", old)
    with pytest.raises(Conflict, match=PATH):
        store.write(PATH, b"three", old)
    assert store.read(PATH).version == new
    store.write(PATH, b"three", new)
    assert content(store, PATH) == b"three"


def test_write_expecting_a_version_never_creates(store: Store) -> None:
    version = store.write(PATH, b"one", Expect.ANY)
    store.remove(PATH)
    with pytest.raises(Conflict, match=PATH):
        store.write(PATH, b"two", version)
    with pytest.raises(NotFound):
        store.read(PATH)


def test_a_version_of_another_object_is_not_the_expected_one(store: Store) -> None:
    store.write(PATH, b"one", Expect.ANY)
    other = store.write(StorePath("other"), b"other", Expect.ANY)
    with pytest.raises(Conflict):
        store.write(PATH, b"two", other)
    with pytest.raises(Conflict):
        store.write(PATH, b"two", Version("no version at all"))


# ---------------------------------------------------------------- add


def test_add_joins_bytes_ranges_of_objects_and_local_files_in_order(store: Store, tmp_path: Path) -> None:
    source, local = bytes(range(256)) * 8192, b"local" * 500_000
    file = tmp_path / "local.bin"
    file.write_bytes(local)
    store.write(StorePath("source"), source, Expect.ANY)
    store.write(StorePath("other"), b"0123456789", Expect.ANY)
    parts: list[Part] = [
        b"head",
        b"",
        Extent(path=StorePath("source"), offset=3, length=1_500_000),
        Extent(path=StorePath("source"), offset=1_500_003, length=7),
        Extent(path=StorePath("source"), offset=1_500_003, length=7),
        file,
        file,
        Extent(path=StorePath("other"), offset=5, length=5),
        Extent(path=StorePath("other"), offset=0, length=0),
        b"tail",
        file,
    ]
    run = source[1_500_003:1_500_010]
    data = b"head" + source[3:1_500_003] + run + run + local + local + b"56789" + b"tail" + local
    add(store, "joined", *parts, data=data)
    assert content(store, "joined") == data


def test_add_of_thousands_of_parts_keeps_every_byte(store: Store) -> None:
    source = b"".join(b"%08d" % number for number in range(50_000))
    store.write(StorePath("source"), source, Expect.ANY)
    cuts = range(0, len(source), 199)
    parts: list[Part] = []
    for start in cuts:
        length = min(199, len(source) - start)
        whole = Extent(path=StorePath("source"), offset=start, length=length)
        parts.append(source[start : start + length] if start % 3 == 0 else whole)
    add(store, "copy", *parts, data=source)
    assert content(store, "copy") == source


def test_add_without_parts_makes_an_empty_object(store: Store) -> None:
    add(store, "empty", data=b"")
    assert content(store, "empty") == b""


def test_bytes_with_another_checksum_are_corrupt_and_nothing_is_visible(store: Store) -> None:
    with pytest.raises(Corrupt, match="Packages/x"):
        store.add(StorePath("Packages/x"), [b"bytes"], checksum(b"other bytes"))
    assert paths(store) == []
    with pytest.raises(NotFound):
        store.read(StorePath("Packages/x"))


def test_an_object_is_never_taken_for_right_by_its_checksum_where_the_parts_are_wrong(store: Store) -> None:
    add(store, "x", b"right", data=b"right")
    with pytest.raises(Corrupt):
        store.add(StorePath("x"), [b"wrong"], checksum(b"right"))
    assert content(store, "x") == b"right"


def test_add_of_the_same_bytes_again_is_success(store: Store) -> None:
    add(store, "x", b"same", data=b"same")
    add(store, "x", b"sa", b"me", data=b"same")
    assert content(store, "x") == b"same"


def test_add_of_other_bytes_is_a_conflict_that_names_both_and_changes_nothing(store: Store) -> None:
    add(store, "x", b"old", data=b"old")
    with pytest.raises(Conflict) as caught:
        add(store, "x", b"new", data=b"new")
    assert checksum(b"old") in str(caught.value)
    assert checksum(b"new") in str(caught.value)
    assert content(store, "x") == b"old"


def test_add_from_an_object_that_is_not_there_is_not_found_and_names_the_source(store: Store) -> None:
    gone = Extent(path=StorePath("repodata/gone.xml.gz"), offset=0, length=3)
    with pytest.raises(NotFound, match=r"repodata/gone\.xml\.gz"):
        add(store, "x", b"a", gone, data=b"abcd")
    assert paths(store) == []


def test_add_from_a_local_file_that_is_not_there_is_not_found_and_names_it(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"gone\.rpm"):
        add(store, "x", tmp_path / "gone.rpm", data=b"")
    assert paths(store) == []


def test_add_from_beyond_the_end_of_an_object_is_corrupt(store: Store) -> None:
    add(store, "short", b"12345", data=b"12345")
    with pytest.raises(Corrupt):
        add(store, "x", Extent(path=StorePath("short"), offset=3, length=9), data=b"45")
    assert paths(store) == ["short"]


# ---------------------------------------------------------------- list


def test_a_copy_has_the_bytes_and_lives_on_without_its_source(store: Store) -> None:
    source, target = StorePath("a/one"), StorePath("b/c/two")
    store.add(source, [b"text"], checksum(b"text"))
    store.copy(source, target, checksum(b"text"))
    store.copy(source, target, checksum(b"text"))
    store.remove(source)
    assert store.read(target).data == b"text"


def test_a_copy_onto_other_bytes_is_a_conflict_and_of_nothing_is_not_found(store: Store) -> None:
    source, target = StorePath("a/one"), StorePath("two")
    store.add(source, [b"text"], checksum(b"text"))
    store.add(target, [b"other"], checksum(b"other"))
    with pytest.raises(Conflict, match="two"):
        store.copy(source, target, checksum(b"text"))
    assert store.read(target).data == b"other"
    with pytest.raises(NotFound, match="a/none"):
        store.copy(StorePath("a/none"), StorePath("three"), checksum(b"text"))


def test_a_copy_from_another_store_has_the_bytes_and_lives_on_without_its_source(
    store: Store, buckets: Buckets, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for make in STORES.values():
        other = make(tmp_path_factory.mktemp("other"), buckets)
        source, target = StorePath("a/one"), StorePath("b/c/two")
        with pytest.raises(NotFound, match="a/one"):
            store.copy(source, target, checksum(b"text"), of=other)
        other.add(source, [b"text"], checksum(b"text"))
        store.copy(source, target, checksum(b"text"), of=other)
        other.remove(source)
        assert store.read(target).data == b"text"
        with pytest.raises(NotFound, match="a/one"):
            store.copy(source, target, checksum(b"text"))


def test_what_is_added_or_copied_again_counts_as_modified_now(tmp_path: Path) -> None:
    clock = Tick()
    root = tmp_path / "store"
    root.mkdir()
    for store in (MemoryStore(clock), LocalStore(root)):
        one, two = StorePath("one"), StorePath("two")
        store.add(one, [b"text"], checksum(b"text"))
        store.copy(one, two, checksum(b"text"))
        for again in (partial(store.add, one, [b"text"]), partial(store.copy, one, two)):
            for path in (path for path in root.glob("*") if path.is_file()):
                os.utime(path, (0, 0))
            clock.now += 1000
            before = max(stored.modified for stored in store.list(""))
            again(checksum(b"text"))
            assert max(stored.modified for stored in store.list("")) > before


class Tick:
    """A clock that stands until it is moved."""

    now = NOW

    def __call__(self) -> float:
        return self.now


def test_list_shows_all_objects_with_size_and_time(store: Store) -> None:
    add(store, "Packages/h/hello.rpm", b"12345", data=b"12345")
    store.write(PATH, b"123", Expect.ANY)
    listing = {stored.path: stored for stored in store.list("")}
    assert {path: stored.size for path, stored in listing.items()} == {"Packages/h/hello.rpm": 5, PATH: 3}
    assert all(stored.modified >= NOW for stored in listing.values())


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", ["Packages/h/hello.rpm", "Packages/h/help.rpm", "Packages/x.rpm", "Packages2/y.rpm", "top"]),
        ("Packages/", ["Packages/h/hello.rpm", "Packages/h/help.rpm", "Packages/x.rpm"]),
        ("Packages", ["Packages/h/hello.rpm", "Packages/h/help.rpm", "Packages/x.rpm", "Packages2/y.rpm"]),
        ("Packages/h/hel", ["Packages/h/hello.rpm", "Packages/h/help.rpm"]),
        ("Packages/h/hello.rpm", ["Packages/h/hello.rpm"]),
        ("Packages/h/hello.rpm/", []),
        ("to", ["top"]),
        ("nothing/", []),
        ("../", []),
        ("/", []),
    ],
)
def test_list_shows_what_starts_with_the_prefix(store: Store, prefix: str, expected: list[str]) -> None:
    for path in ("Packages/h/hello.rpm", "Packages/h/help.rpm", "Packages/x.rpm", "Packages2/y.rpm", "top"):
        store.write(StorePath(path), b"x", Expect.ABSENT)
    assert paths(store, prefix) == expected


def test_an_empty_store_lists_nothing(store: Store) -> None:
    assert paths(store) == []


def test_objects_may_be_removed_while_they_are_listed(store: Store) -> None:
    for number in range(300):
        store.write(StorePath(f"p/{number % 7}/{number}"), b"x", Expect.ABSENT)
    for stored in store.list("p/"):
        store.remove(stored.path)
    assert paths(store) == []


# ---------------------------------------------------------------- remove


def test_remove_removes_and_again_is_success(store: Store) -> None:
    store.write(PATH, b"x", Expect.ANY)
    store.remove(PATH)
    store.remove(PATH)
    store.remove(StorePath("never/there"))
    with pytest.raises(NotFound):
        store.read(PATH)
    store.write(PATH, b"y", Expect.ABSENT)


def test_what_was_added_again_since_it_was_listed_is_not_removed(tmp_path: Path, buckets: Buckets) -> None:
    for store in (_local(tmp_path, buckets), buckets.store()):
        for again in (1, 2):
            path = StorePath(f"object/{again}")
            add(store, path, b"x", data=b"x")
            seen = _listed(store, path)
            for _ in range(again):
                add(store, path, b"x", data=b"x")
            assert not store.remove(path, seen=seen)
            assert content(store, path) == b"x"


def test_what_was_added_again_within_a_tick_of_the_clock_is_not_removed(tmp_path: Path, buckets: Buckets) -> None:
    """The kernel says the time of files by its last tick, and on a fast disk two adds fit between two of those."""
    store = _local(tmp_path, buckets)
    for number in range(50):
        path = StorePath(f"object/{number}")
        add(store, path, b"x", data=b"x")
        seen = _listed(store, path)
        store.copy(path, StorePath(f"copy/{number}"), checksum(b"x"))
        assert not store.remove(path, seen=seen)
        seen = _listed(store, path)
        add(store, path, b"x", data=b"x")
        assert not store.remove(path, seen=seen)


def _listed(store: Store, path: StorePath) -> Stored:
    (found,) = store.list(path)
    return found


def test_remove_of_an_object_as_it_was_listed(store: Store) -> None:
    add(store, PATH, b"x", data=b"x")
    seen = _listed(store, PATH)
    assert not store.remove(PATH, seen=replace(seen, modified=seen.modified - 1))
    assert content(store, PATH) == b"x"
    assert store.remove(PATH, seen=seen)
    assert store.remove(PATH, seen=seen)
    assert store.remove(StorePath("never/there"), seen=seen)
    assert paths(store) == []


@pytest.mark.parametrize("path", ["folder", "folder/object/below"])
def test_remove_of_what_is_no_object_leaves_the_objects(store: Store, path: str) -> None:
    store.write(StorePath("folder/object"), b"x", Expect.ANY)
    store.remove(StorePath(path))
    assert paths(store) == ["folder/object"]


# ---------------------------------------------------------------- paths


@pytest.mark.parametrize("name", NAMES)
def test_names_are_raw(real: Store, name: str) -> None:
    path = StorePath(name)
    add(real, path, b"bytes", data=b"bytes")
    assert content(real, path) == b"bytes"
    assert paths(real) == [name]
    assert paths(real, name) == [name]
    real.remove(path)
    real.write(path, b"written", Expect.ABSENT)
    assert b"".join(real.stream(path)) == b"written"


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "./a", "a\0b", "a\\b"])
def test_a_path_that_was_never_proven_is_refused_by_every_method(store: Store, path: str) -> None:
    unproven = StorePath(path)
    calls: list[Callable[[], object]] = [
        lambda: store.read(unproven),
        lambda: list(store.stream(unproven)),
        lambda: store.write(unproven, b"x", Expect.ANY),
        lambda: store.add(unproven, [b"x"], checksum(b"x")),
        lambda: store.remove(unproven),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="not a path inside a store"):
            call()
    assert paths(store) == []


# ---------------------------------------------------------------- races


def test_of_eight_threads_that_replace_the_same_version_exactly_one_wins_each_round(real: Store) -> None:
    real.write(racers.COUNTER, b"0", Expect.ABSENT)
    number = rounds(real, 50)
    won = racers.threads(real, racers.increment, writers=8, rounds=number)
    assert [sum(each) for each in zip(*won, strict=True)] == [1] * number
    assert content(real, racers.COUNTER) == b"%d" % number


def test_of_eight_threads_that_create_the_same_object_exactly_one_wins_each_round(real: Store) -> None:
    won = racers.threads(real, racers.create, writers=8, rounds=rounds(real, 50))
    for number, each in enumerate(zip(*won, strict=True)):
        assert sum(each) == 1
        assert content(real, f"new/{number}/object") == b"%d" % each.index(True)


def test_adds_of_the_same_bytes_at_the_same_time_all_succeed(real: Store) -> None:
    data = b"x" * 100_000

    def race(rounds: int, _: int, store: Store, barrier: racers.Barrier) -> list[bool]:
        for number in range(rounds):
            barrier.wait(racers.SECONDS)
            add(store, f"p/{number}", data, data=data)
        return []

    number = rounds(real, 10)
    racers.threads(real, race, writers=8, rounds=number)
    assert paths(real) == [f"p/{each}" for each in range(number)]


def test_a_reader_always_sees_a_whole_object(store: Store) -> None:
    size = MIB + 300_000
    store.write(PATH, bytes([0]) * size, Expect.ANY)
    done = threading.Event()
    seen: list[set[bytes]] = []

    def replace() -> None:
        try:
            for number in range(60):
                store.write(PATH, bytes([number]) * size, Expect.ANY)
        finally:
            done.set()

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        for turn in itertools.count():
            data = content(store, PATH) if turn % 2 else b"".join(store.stream(PATH))
            assert len(data) == size
            seen.append({data[:1], data[-1:]})
            assert data == data[:1] * size
            if done.is_set():
                break
    finally:
        writer.join()
    assert content(store, PATH) == bytes([59]) * size
