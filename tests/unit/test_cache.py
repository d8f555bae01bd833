"""The cache of the documents may be lost, spoiled or old at any time: what is published stays right."""

import hashlib
import json
import os
import resource
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from repod.doors import Change
from repod.errors import Corrupt, Misconfigured, NotFound, Unavailable
from repod.generation import Generation
from repod.package import StorePath, sha256
from repod.repodata import buffers, text
from repod.repodata.cache import Cache, Log
from repod.repodata.codec import GZ
from repod.repodata.segments import SPREAD
from repod.store.memory import MemoryStore
from tests.lab.documents import Documents, members, put
from tests.lab.entries import entries, made, many
from tests.lab.faulty import FaultyStore, raising

PACKAGES = sorted(many(4 * SPREAD, seed=5), key=lambda one: one.nevra.order)
NEW = made("mmm-new-1.0-1.noarch")
AFTER = sorted([*PACKAGES, NEW], key=lambda one: one.nevra.order)


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore(MemoryStore(lambda: 0.0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def generation(store: FaultyStore, folder: Path) -> Generation:
    """Two generations were published, and the process ended."""
    with Documents(store, folder) as documents:
        documents.commit(entries(PACKAGES[:-5]))
        return documents.commit(entries(PACKAGES[-5:]))


def expected(store: FaultyStore, generation: Generation, folder: Path) -> list[str]:
    """The documents' places after ``NEW`` is published with a cache that was never lost."""
    with Documents(store, folder) as documents:
        documents.load(generation)
        return [document.href for document in documents.commit([NEW.entry]).documents]


def streamed(store: FaultyStore) -> list[str]:
    return [step.path for step in store.steps if step.name == "stream"]


def flip(path: Path, at: float) -> None:
    data = bytearray(path.read_bytes())
    data[min(len(data) - 1, int(at * len(data)))] ^= 0x10
    path.write_bytes(data)


def log(folder: Path, name: str) -> Path:
    (found,) = folder.glob(f"epoch-*/{name}")
    return found


def change_index(folder: Path, change: Callable[[dict], object]) -> None:
    """Change the index as a person with an editor would."""
    path = folder / "index.json"
    digest, _, data = path.read_bytes().partition(b"\n")
    fields = json.loads(data)
    change(fields)
    path.write_bytes(digest + b"\n" + json.dumps(fields).encode())


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no cache": shutil.rmtree,
    "no index": lambda folder: (folder / "index.json").unlink(),
    "empty index": lambda folder: (folder / "index.json").write_bytes(b""),
    "index of junk": lambda folder: (folder / "index.json").write_bytes(b"\xff" * 999),
    "flipped index, first package": lambda folder: change_index(
        folder, lambda f: f["segments"][1][0].__setitem__(0, "zzzz")
    ),
    "flipped index, generation": lambda folder: change_index(folder, lambda f: f.update(generation=1)),
    "flipped index anywhere": lambda folder: flip(folder / "index.json", 0.7),
    "no logs": lambda folder: [shutil.rmtree(epoch) for epoch in folder.glob("epoch-*")],
    "no log of one kind": lambda folder: log(folder, "other.packed").unlink(),
    "text cut short": lambda folder: os.truncate(log(folder, "primary.text"), 100),
    "pack cut short": lambda folder: os.truncate(log(folder, "filelists.packed"), 100),
    "flipped primary": lambda folder: flip(log(folder, "primary.text"), 0.2),
    "flipped filelists": lambda folder: flip(log(folder, "filelists.text"), 0.5),
    "flipped other": lambda folder: flip(log(folder, "other.text"), 0.9),
    "flipped pack": lambda folder: flip(log(folder, "primary.packed"), 0.3),
    "zeros after a power cut": lambda folder: log(folder, "primary.text").write_bytes(
        bytes(log(folder, "primary.text").stat().st_size)
    ),
}


def commit(documents: Documents, store: FaultyStore) -> Generation:
    """Publish ``NEW`` as the publisher does it: once more after forgetting a cache that was wrong."""
    try:
        return documents.commit([NEW.entry])
    except Corrupt:
        documents.repodata.forget()
        documents.repodata.load(documents.generation)
        return documents.commit([NEW.entry])


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_cache_changes_nothing_that_is_published(
    damage: Callable[[Path], object], store: FaultyStore, folder: Path, generation: Generation, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "sound")
    damage(folder)
    with Documents(store, folder).load(generation) as documents:
        assert [document.href for document in commit(documents, store).documents] == expected(
            store, generation, tmp_path / "sound"
        )
        assert documents.listed() == [one.package for one in AFTER]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_cache_never_hides_a_package(
    damage: Callable[[Path], object], store: FaultyStore, folder: Path, generation: Generation
) -> None:
    damage(folder)
    with Documents(store, folder).load(generation) as documents:
        assert documents.repodata.find(one.nevra for one in PACKAGES) == {one.nevra: one.package for one in PACKAGES}
        assert documents.listed() == [one.package for one in PACKAGES]


@pytest.mark.parametrize("damage", ["flipped primary", "text cut short", "zeros after a power cut"])
def test_a_listing_that_meets_the_damage_goes_on_from_the_store(
    damage: str, store: FaultyStore, folder: Path, generation: Generation
) -> None:
    with Documents(store, folder).load(generation) as documents:
        listing = documents.repodata.packages()
        found = [next(listing)]
        DAMAGES[damage](folder)
        assert [*found, *listing] == [one.package for one in PACKAGES]


def test_a_sound_cache_is_used_without_reading_the_documents(
    store: FaultyStore, folder: Path, generation: Generation
) -> None:
    with Documents(store, folder).load(generation) as documents:
        assert documents.listed() == [one.package for one in PACKAGES]
        documents.commit([NEW.entry])
    assert streamed(store) == []


def test_the_cache_of_an_older_generation_is_made_anew(
    store: FaultyStore, folder: Path, generation: Generation, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "old")
    with Documents(store, folder).load(generation) as documents:
        newer = documents.commit([NEW.entry], [PACKAGES[7].nevra])
    with Documents(store, tmp_path / "old").load(newer) as documents:
        assert documents.listed() == [one.package for one in AFTER if one is not PACKAGES[7]]
    assert len(set(streamed(store))) == len(text.COLUMNS)


def test_the_cache_of_another_repository_with_the_same_number_is_made_anew(
    store: FaultyStore, folder: Path, generation: Generation, tmp_path: Path
) -> None:
    with Documents(store, tmp_path / "other") as documents:
        documents.commit()
        documents.commit(entries(PACKAGES[:50]))
    with Documents(store, tmp_path / "other").load(generation) as documents:
        assert documents.listed() == [one.package for one in PACKAGES]


def test_a_generation_by_another_daemon_is_taken_over(
    store: FaultyStore, folder: Path, generation: Generation, tmp_path: Path
) -> None:
    with Documents(store, folder).load(generation) as here, Documents(store, tmp_path / "b").load(generation) as there:
        here.load(there.commit([NEW.entry]))
        assert here.listed() == [one.package for one in AFTER]
        there.load(here.commit(removed=[NEW.nevra]))
        assert there.listed() == [one.package for one in PACKAGES]


def test_garbage_is_cleared_away_and_nothing_else(store: FaultyStore, folder: Path) -> None:
    def size() -> int:
        return sum(path.stat().st_size for path in folder.rglob("*.*"))

    with Documents(store, folder, garbage=1) as documents:
        documents.commit(entries(PACKAGES))
        full = size()
        for number in range(30):
            documents.commit([made(PACKAGES[0].nevra, str(number)).entry])
            assert size() < 2.5 * full
        assert len(list(folder.glob("epoch-*"))) == 1
        last = documents.generation
        assert documents.listed()[1:] == [one.package for one in PACKAGES[1:]]
    before = len(streamed(store))
    with Documents(store, folder).load(last) as documents:
        assert documents.listed()[1:] == [one.package for one in PACKAGES[1:]]
    assert len(streamed(store)) == before


def test_a_second_process_works_in_a_folder_of_its_own_and_takes_it_away(
    store: FaultyStore, folder: Path, generation: Generation
) -> None:
    with Documents(store, folder).load(generation) as first:
        with Documents(store, folder).load(generation) as second:
            assert second.repodata._cache.folder.parent == folder
            first.load(second.commit([NEW.entry]))
            assert first.listed() == second.listed() == [one.package for one in AFTER]
        assert not list(folder.glob("second-*"))
        first.commit(removed=[NEW.nevra])
    (folder / "second-dead").mkdir()
    with Documents(store, folder):
        assert not list(folder.glob("second-*"))


def test_files_that_no_index_speaks_of_are_removed_at_the_start(
    store: FaultyStore, folder: Path, generation: Generation
) -> None:
    (folder / "epoch-dead").mkdir()
    with Documents(store, folder).load(generation):
        assert len(list(folder.glob("epoch-*"))) == 1


def test_a_store_that_was_emptied_is_not_a_new_one(store: FaultyStore, folder: Path, generation: Generation) -> None:
    with Documents(store, folder) as documents, pytest.raises(Misconfigured, match=r"held generation 2.*mounted"):
        documents.load(None)


def test_a_store_that_is_emptied_while_repod_runs_is_not_a_new_one(
    store: FaultyStore, folder: Path, generation: Generation
) -> None:
    with Documents(store, folder), Documents(store, folder).load(generation) as second:
        with pytest.raises(Misconfigured, match=r"held generation 2.*mounted"):
            second.load(None)
        assert second.listed() == [one.package for one in PACKAGES]


def test_documents_that_cannot_be_read_now_are_never_taken_for_an_empty_repository(
    store: FaultyStore, tmp_path: Path, generation: Generation
) -> None:
    with Documents(store, tmp_path / "new") as documents:
        store.plan = lambda step: raising(Unavailable("no route to host"))() if step.name == "stream" else None
        for _ in range(2):
            with pytest.raises(Unavailable, match="no route"):
                documents.load(generation)
            with pytest.raises(Unavailable, match="no route"):
                documents.repodata.find([PACKAGES[0].nevra])
            with pytest.raises(Unavailable, match="no route"):
                documents.repodata.draft(Change(entries=[NEW.entry]), 3, 3)
        store.plan = lambda _: None
        assert documents.repodata.find([PACKAGES[0].nevra]) == {PACKAGES[0].nevra: PACKAGES[0].package}


def instead(store: FaultyStore, generation: Generation, kind: int, data: bytes) -> Generation:
    """``generation`` as it would be with other bytes for one document, true in their checksum."""
    checksum = sha256(hashlib.sha256(data).hexdigest())
    path = StorePath(f"repodata/{checksum}-other.xml.gz")
    store.add(path, [data], checksum)
    documents = list(generation.documents)
    documents[kind] = replace(documents[kind], href=path, checksum=checksum, size=len(data))
    return replace(generation, documents=documents)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (0, lambda _: []),
        (0, lambda parts: parts[:1]),
        (0, lambda parts: parts[:-1]),
        (1, lambda parts: parts[:-1]),
        (2, lambda parts: [*parts[:2], *parts[3:]]),
        (0, lambda parts: [*parts[:2], *parts[3:]]),
        (1, lambda parts: [parts[0], parts[1] + parts[2], *parts[3:]]),
        (0, lambda parts: [parts[0].replace(b'packages="', b'packages="1'), *parts[1:]]),
        (2, lambda parts: [parts[0].replace(b"other", b"another"), *parts[1:]]),
        (0, lambda parts: [parts[0], b"", *parts[2:]]),
        (0, lambda parts: [parts[0], parts[1][:-20], *parts[2:]]),
        (0, lambda parts: [parts[0], b"junk", *parts[2:]]),
    ],
)
def test_documents_that_are_not_whole_are_corrupt_and_not_stood_on(
    kind: int,
    change: Callable[[list[bytes]], list[bytes]],
    store: FaultyStore,
    folder: Path,
    generation: Generation,
    tmp_path: Path,
) -> None:
    parts = list(members(store.read(generation.documents[kind].href).data))
    wrong = instead(store, generation, kind, b"".join(GZ.pack(part) for part in change(parts)))
    with Documents(store, tmp_path / "new") as documents:
        with pytest.raises(Corrupt):
            documents.load(wrong)
        with pytest.raises(Corrupt):
            documents.listed()
    with Documents(store, tmp_path / "new").load(generation) as documents:
        assert documents.listed() == [one.package for one in PACKAGES]


def test_a_document_without_its_checksum_is_corrupt(store: FaultyStore, tmp_path: Path, generation: Generation) -> None:
    first = replace(generation.documents[0], checksum=sha256("0" * 64))
    wrong = replace(generation, documents=[first, *generation.documents[1:]])
    with Documents(store, tmp_path / "new") as documents, pytest.raises(Corrupt, match="restore it from a copy"):
        documents.load(wrong)


def test_a_document_that_is_missing_is_said_to_be(store: FaultyStore, tmp_path: Path, generation: Generation) -> None:
    store.remove(generation.documents[1].href)
    with Documents(store, tmp_path / "new") as documents, pytest.raises(NotFound, match="filelists"):
        documents.load(generation)


@contextmanager
def full_disk() -> Iterator[None]:
    """No file can grow; Python ignores the signal that says so."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_makes_a_draft_unavailable_and_a_free_one_makes_it_work(
    store: FaultyStore, folder: Path, generation: Generation
) -> None:
    with Documents(store, folder).load(generation) as documents:
        with full_disk(), pytest.raises(Unavailable, match=r"give \[state_dir\] room"):
            documents.commit([NEW.entry])
        documents.commit([NEW.entry])
        assert documents.listed() == [one.package for one in AFTER]


@pytest.mark.parametrize("garbage", [1, 64 << 20])
def test_a_full_disk_does_not_stop_a_generation_that_is_committed(
    garbage: int, store: FaultyStore, folder: Path
) -> None:
    with Documents(store, folder, garbage) as documents:
        documents.commit(entries(PACKAGES))
        documents.commit([NEW.entry])
        draft = documents.repodata.draft(Change(removed=[one.nevra for one in PACKAGES[:-1]]), 3, 3)
        put(store, draft)
        assert documents.generation is not None
        third = replace(
            documents.generation,
            number=3,
            packages=draft.packages,
            documents=draft.documents,
            frozen=draft.frozen,
        )
        with full_disk():
            documents.repodata.adopt(draft, third)
        documents.generation = third
        assert {package.nevra for package in documents.listed()} == {PACKAGES[-1].nevra, NEW.nevra}
        fourth = documents.commit(removed=[NEW.nevra])
    with Documents(store, folder).load(fourth) as documents:
        assert documents.listed() == [PACKAGES[-1].package]


@pytest.mark.parametrize("spoil", [lambda f: f.write_bytes(b""), lambda f: (f.mkdir(), (f / "lock").mkdir())])
def test_a_folder_that_cannot_be_a_cache_is_named(spoil: Callable[[Path], object], folder: Path) -> None:
    spoil(folder)
    with pytest.raises(Unavailable, match=r"cache .* cannot be used"):
        Cache(folder, text.KINDS)


def test_a_folder_that_could_not_be_opened_is_free_for_the_next(folder: Path) -> None:
    with full_disk():
        cache = Cache(folder, text.KINDS)
    cache.close()
    (folder / "index.json").mkdir()
    cache = Cache(folder, text.KINDS)
    assert cache.load() is None
    cache.close()


def test_threads_that_read_one_after_the_other_share_one_buffer_and_none_of_them_keeps_it(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    span = log.append(b"x" * (3 * buffers.SIZE))
    seen = set[int]()

    def feed() -> None:
        log.feed([span], lambda view: seen.add(id(view.obj)))

    for _ in range(20):
        thread = threading.Thread(target=feed)
        thread.start()
        thread.join()
    log.close()
    assert len(seen) == 1


def test_as_many_buffers_are_kept_as_there_are_processors_however_many_were_lent_at_one_time() -> None:
    with ExitStack() as stack:
        lent = [stack.enter_context(buffers.lent()) for _ in range(200)]
        first = {id(view.obj) for view in lent}
        assert len(first) == 200
    with ExitStack() as stack:
        again = {id(stack.enter_context(buffers.lent()).obj) for _ in range(200)}
    assert len(first & again) <= len(os.sched_getaffinity(0))
