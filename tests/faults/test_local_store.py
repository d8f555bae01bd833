"""What a directory can do to a store: no place, a lost mount, a full or read-only disk, planted links."""

import errno
import os
import random
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from repod.doors import Expect, Extent
from repod.errors import Conflict, Misconfigured, Unavailable
from repod.package import StorePath
from repod.store.local import LocalStore
from tests.lab.folders import FailingCall, checksum, remount_read_only, stages, tmpfs

HEAD = StorePath("repodata/repomd.xml")
NEW = StorePath("Packages/h/hello.rpm")
MIB = 1 << 20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


@pytest.fixture
def store(root: Path) -> LocalStore:
    return LocalStore(root)


# ---------------------------------------------------------------- the place


def test_a_root_that_is_not_there_is_misconfigured_and_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"missing: expected a directory .*ENOENT.*install -d"):
        LocalStore(tmp_path / "missing")


def test_a_root_that_is_a_file_is_misconfigured(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match="ENOTDIR"):
        LocalStore(tmp_path / "file")


def test_a_root_whose_own_folder_is_a_link_is_misconfigured(root: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (root / ".repod").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Misconfigured, match="ELOOP"):
        LocalStore(root)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_read_only_root_is_misconfigured_even_if_it_was_a_store(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "size=1m") as place:
        LocalStore(place)
        remount_read_only(place)
        with pytest.raises(Misconfigured, match="EROFS"):
            LocalStore(place)


def test_a_root_that_cannot_be_written_just_now_is_unavailable_and_not_misconfigured(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        FailingCall(patch, 1, errno.ENOSPC, ["mkdir"])
        with pytest.raises(Unavailable, match="disk full"):
            LocalStore(root)
    LocalStore(root)


def test_a_disk_that_became_read_only_can_be_read_and_says_so_on_a_write(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "size=1m") as place:
        store = LocalStore(place)
        version = store.write(HEAD, b"old", Expect.ANY)
        remount_read_only(place)
        with pytest.raises(Unavailable, match=r"EROFS.*mount it writable"):
            store.write(HEAD, b"new", version)
        with pytest.raises(Unavailable, match="EROFS"):
            store.remove(HEAD)
        assert store.read(HEAD).data == b"old"


@pytest.mark.parametrize("left", ["nothing", "an empty mount point"])
def test_a_store_that_was_unmounted_is_unavailable_and_never_looks_empty(
    store: LocalStore, root: Path, tmp_path: Path, left: str
) -> None:
    store.write(HEAD, b"old", Expect.ANY)
    root.rename(tmp_path / "away")
    if left != "nothing":
        root.mkdir()
    calls: list[Callable[[], object]] = [
        lambda: store.read(HEAD),
        lambda: list(store.stream(HEAD)),
        lambda: list(store.list("")),
        lambda: store.write(HEAD, b"new", Expect.ABSENT),
        lambda: store.add(NEW, [b"x"], checksum(b"x")),
        lambda: store.remove(HEAD),
    ]
    for call in calls:
        with pytest.raises(Unavailable):
            call()
    if left != "nothing":
        root.rmdir()
    (tmp_path / "away").rename(root)
    assert store.read(HEAD).data == b"old"


# ---------------------------------------------------------------- full disks


def test_on_a_full_disk_the_old_state_stays_and_freed_space_is_enough_to_go_on(
    tmp_path: Path,
) -> None:
    """C089."""
    with tmpfs(tmp_path / "disk", "size=4m") as place:
        store = LocalStore(place)
        version = store.write(HEAD, b"old", Expect.ANY)
        big = random.Random(1).randbytes(3 * MIB)
        filler = place / "filler"
        filler.write_bytes(b"x" * 2 * MIB)
        local = place / "local"
        local.write_bytes(b"y" * MIB)
        store.write(StorePath("source"), big[: MIB // 2], Expect.ANY)
        calls: list[Callable[[], object]] = [
            lambda: store.write(HEAD, big, version),
            lambda: store.add(NEW, [big], checksum(big)),
            lambda: store.add(NEW, [local, local], checksum(big)),
            lambda: store.add(NEW, [Extent(path=StorePath("source"), offset=0, length=MIB // 2)] * 3, checksum(big)),
        ]
        for call in calls:
            with pytest.raises(Unavailable, match=f"{place}.*ENOSPC.*disk full: free space"):
                call()
            assert stages(place) == []
            assert store.read(HEAD).data == b"old"
            assert not (place / NEW).exists()
        filler.unlink()
        local.unlink()
        store.add(NEW, [big], checksum(big))
        store.write(HEAD, b"new", version)
        assert [store.read(NEW).data, store.read(HEAD).data] == [big, b"new"]


def test_a_disk_without_free_inodes_is_unavailable_too(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "size=1m,nr_inodes=8") as place:
        store = LocalStore(place)

        def fill() -> None:
            for number in range(8):
                store.write(StorePath(f"p/{number}"), b"x", Expect.ABSENT)

        with pytest.raises(Unavailable, match=r"ENOSPC.*inodes"):
            fill()
        assert stages(place) == []


def test_left_overs_that_fill_the_disk_are_removed_before_anything_needs_space(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "size=64k,nr_inodes=8") as place:
        LocalStore(place)
        with suppress(OSError):
            for number in range(8):
                (place / f".repod/tmp/{number}").touch()
        store = LocalStore(place)
        assert stages(place) == []
        store.write(HEAD, b"x" * 32768, Expect.ANY)


def test_the_systems_temporary_directory_is_not_used(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C090."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "full"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "full"))
    store.write(HEAD, b"x", Expect.ANY)
    store.add(NEW, [b"x"], checksum(b"x"))


# ---------------------------------------------------------------- links and strange files


def test_no_symbolic_link_below_the_root_is_followed(store: LocalStore, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "secret")
    inside, file = StorePath("folder/secret"), StorePath("file")
    version = LocalStore(outside).read(StorePath("secret")).version
    part = Extent(path=inside, offset=0, length=6)
    calls: list[Callable[[], object]] = [
        lambda: store.read(file),
        lambda: list(store.stream(file)),
        lambda: store.read(inside),
        lambda: store.write(inside, b"x", Expect.ANY),
        lambda: store.write(inside, b"x", version),
        lambda: store.write(file, b"x", version),
        lambda: store.add(StorePath("folder/new"), [b"x"], checksum(b"x")),
        lambda: store.add(NEW, [part], checksum(b"secret")),
        lambda: store.add(NEW, [root / "file"], checksum(b"secret")),
        lambda: store.remove(inside),
    ]
    for call in calls:
        with pytest.raises(Unavailable, match=r"ELOOP.*symbolic link"):
            call()
    assert list(store.list("")) == []
    store.write(file, b"ours", Expect.ANY)
    assert store.read(file).data == b"ours"
    assert (outside / "secret").read_bytes() == b"secret"
    assert sorted(path.name for path in outside.iterdir()) == [".repod", "secret"]


def test_a_pipe_in_the_store_neither_blocks_nor_counts(store: LocalStore, root: Path) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(Unavailable, match="not a regular file"):
        store.read(StorePath("pipe"))
    assert list(store.list("")) == []


def test_names_that_could_not_be_published_are_not_listed(store: LocalStore, root: Path) -> None:
    store.write(HEAD, b"x", Expect.ANY)
    for name in (b"caf\xe9.rpm", b"back\\slash.rpm"):
        (root / os.fsdecode(name)).touch()
    assert [stored.path for stored in store.list("")] == [HEAD]


def test_a_folder_in_the_way_is_a_conflict_or_unavailable(store: LocalStore, root: Path) -> None:
    (root / "folder").mkdir()
    folder = StorePath("folder")
    with pytest.raises(Conflict):
        store.add(folder, [b"x"], checksum(b"x"))
    with pytest.raises(Conflict):
        store.write(folder, b"x", Expect.ABSENT)
    with pytest.raises(Unavailable, match="EISDIR"):
        store.write(folder, b"x", Expect.ANY)
    assert stages(root) == []


# ---------------------------------------------------------------- listing


def test_a_folder_that_cannot_be_read_makes_no_shorter_list(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("a/1", "b/2", "c/3"):
        store.write(StorePath(path), b"x", Expect.ANY)
    for number in range(1, 6):  # the root, .repod and the three folders
        with monkeypatch.context() as patch:
            failing = FailingCall(patch, number, errno.EIO, ["scandir"])
            with pytest.raises(Unavailable, match="EIO"):
                list(store.list(""))
            assert failing.failed
    assert len(list(store.list(""))) == 3


def test_what_vanishes_while_it_is_listed_is_simply_not_there(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("gone/1", "file", "kept/2"):
        store.write(StorePath(path), b"x", Expect.ANY)
    real = os.scandir

    def then_gone(folder: int) -> Any:
        found = list(real(folder))
        (root / "file").unlink(missing_ok=True)
        (root / "gone/1").unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            (root / "gone").rmdir()
        return _Entries(found)

    monkeypatch.setattr(os, "scandir", then_gone)
    assert [stored.path for stored in store.list("")] == ["kept/2"]


class _Entries:
    def __init__(self, entries: Iterable[os.DirEntry[str]]) -> None:
        self._entries = entries

    def __enter__(self) -> Iterable[os.DirEntry[str]]:
        return self._entries

    def __exit__(self, *_: object) -> None:
        pass


def test_folders_that_a_removal_leaves_empty_go_and_those_at_the_top_stay(store: LocalStore, root: Path) -> None:
    for path in ("generations/7/repodata/a", "generations/7/repodata/b", "Packages/x"):
        store.write(StorePath(path), b"x", Expect.ABSENT)
    store.remove(StorePath("generations/7/repodata/a"))
    assert (root / "generations/7/repodata/b").exists()
    store.remove(StorePath("generations/7/repodata/b"))
    store.remove(StorePath("Packages/x"))
    assert list((root / "generations").iterdir()) == []
    assert (root / "Packages").is_dir()


def test_objects_are_stored_while_others_are_removed_beside_them(store: LocalStore) -> None:
    """A folder may go between being opened and being linked into."""

    def work(lane: int) -> None:
        for number in range(200):
            path = StorePath(f"Packages/h/{lane}-{number}")
            store.write(path, b"x", Expect.ABSENT)
            store.copy(path, StorePath(f"{path}.copy"), checksum(b"x"))
            store.remove(path)
            store.remove(StorePath(f"{path}.copy"))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert list(store.list("Packages/")) == []
