"""How a local store makes an object: the stage and its owner, and what is published of it."""

import errno
import os
import random
import stat
import threading
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from repod.doors import Expect, Extent
from repod.errors import Misconfigured, Unavailable
from repod.package import StorePath
from repod.store.local import LocalStore
from tests.lab.folders import FailingCall, checksum, stages, tmpfs, watched
from tests.lab.wait import until

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


# ---------------------------------------------------------------- stages


def test_a_stage_has_a_random_name_and_is_private(store: LocalStore, root: Path) -> None:
    """C173."""
    names: set[str] = set()

    def look() -> None:
        (name,) = stages(root)
        names.add(name)
        assert stat.S_IMODE((root / ".repod/tmp" / name).stat().st_mode) == 0o600
        assert len(name) >= 32

    for number in range(5):
        store.add(StorePath(f"p/{number}"), watched(look, b"a", b"b"), checksum(b"ab"))
    assert len(names) == 5
    assert stat.S_IMODE((root / ".repod/tmp").stat().st_mode) == 0o700


def test_links_planted_where_stages_are_made_are_not_followed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C173: even an attacker who guesses the name gets an error, not a file of ours."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    store = LocalStore(root)
    (root / ".repod/tmp/guessed").symlink_to(victim)
    assert store.sweep() == 0
    with monkeypatch.context() as patch:
        patch.setattr("secrets.token_hex", lambda _: "guessed")
        with pytest.raises(Unavailable, match="EEXIST"):
            store.write(HEAD, b"ours", Expect.ANY)
    assert victim.read_bytes() == b"precious"


def test_a_stage_is_never_listed_nor_reachable_as_an_object(store: LocalStore, root: Path) -> None:
    def look() -> None:
        assert list(store.list("")) == []
        (name,) = stages(root)
        for path in (f".repod/tmp/{name}", ".repod/tmp", ".repod/lock", ".repod/lock/x"):
            with pytest.raises(ValueError, match="own file"):
                store.read(StorePath(path))
            with pytest.raises(ValueError, match="own file"):
                store.remove(StorePath(path))
            with pytest.raises(ValueError, match="own file"):
                store.write(StorePath(path), b"", Expect.ANY)

    store.add(NEW, watched(look, b"a", b"b"), checksum(b"ab"))
    assert stages(root) == []


def test_a_sweep_leaves_the_stage_of_a_live_writer_alone_however_old(store: LocalStore, root: Path) -> None:
    def look() -> None:
        (name,) = stages(root)
        os.utime(root / ".repod/tmp" / name, (0, 0))
        LocalStore(root)
        assert store.sweep() == 0

    store.add(NEW, watched(look, b"a", b"b"), checksum(b"ab"))
    assert store.read(NEW).data == b"ab"


def _add_and_wait(root: Path, ready: Connection) -> None:
    def look() -> None:
        ready.send("staged")
        ready.recv()

    LocalStore(root).add(NEW, watched(look, b"a" * MIB, b"b"), checksum(b"a" * MIB + b"b"))


def test_the_left_over_of_a_killed_process_is_gone_at_the_next_start_and_not_before(root: Path) -> None:
    """C087."""
    context = get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=_add_and_wait, args=(root, theirs))
    process.start()
    try:
        assert mine.poll(60), "the process did not begin"
        assert mine.recv() == "staged"
        store = LocalStore(root)
        assert len(stages(root)) == 1
    finally:
        process.kill()
        process.join()
        process.close()
        mine.close()
        theirs.close()
    assert store.sweep() == 1
    assert stages(root) == []
    store.add(NEW, [b"x"], checksum(b"x"))


def test_where_files_cannot_be_locked_the_place_is_refused_and_nothing_is_left(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(Misconfigured, match="hard links and flock must work there"):
        LocalStore(root)
    assert stages(root) == []


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_files_cannot_be_linked_the_place_is_refused_and_nothing_is_left(
    code: int, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CIFS answers EINVAL, and a bucket that is mounted by FUSE mostly ENOSYS."""
    with monkeypatch.context() as patch:
        FailingCall(patch, 1, code, ["link"])
        with pytest.raises(Misconfigured, match=r"hard links and flock must work there: .* for a bucket, s3://BUCKET/"):
            LocalStore(root)
    assert stages(root) == []


def test_a_sweep_at_the_wrong_moment_costs_the_writer_only_another_try(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage that was made and not yet locked looks like a left-over."""
    store = LocalStore(root)
    real = os.open
    swept: list[int] = []

    def then_swept(path: Any, flags: int, *args: Any, **options: Any) -> int:
        fd = real(path, flags, *args, **options)
        if flags & os.O_EXCL and not swept:
            swept.append(store.sweep())
        return fd

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", then_swept)
        store.write(HEAD, b"x", Expect.ABSENT)
    assert swept == [1]
    assert store.read(HEAD).data == b"x"


# ---------------------------------------------------------------- what is published


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_modes_are_set_and_not_inherited(root: Path, umask: int) -> None:
    root.chmod(0o2775)
    before = os.umask(umask)
    try:
        store = LocalStore(root)
        store.add(NEW, [b"x"], checksum(b"x"))
        store.write(HEAD, b"x", Expect.ABSENT)
        store.write(HEAD, b"y", Expect.ANY)
    finally:
        os.umask(before)
    for file in (NEW, HEAD):
        assert stat.S_IMODE((root / file).stat().st_mode) == 0o644
    for folder in (".repod", "Packages", "Packages/h", "repodata"):
        assert stat.S_IMODE((root / folder).stat().st_mode) == 0o2755
    assert stat.S_IMODE((root / ".repod/lock").stat().st_mode) == 0o600


def test_every_published_file_was_made_inside_the_repository(
    store: LocalStore, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C096: so its SELinux label is the tree's, and no rename crosses file systems."""
    sources: list[str] = []

    def recorded(real: Callable[..., None]) -> Callable[..., None]:
        def call(source: str, target: str, **options: Any) -> None:
            sources.append(str(Path(f"/proc/self/fd/{options['src_dir_fd']}").readlink()))
            real(source, target, **options)

        return call

    local = tmp_path / "work.rpm"
    local.write_bytes(b"x")
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", recorded(os.link))
        patch.setattr(os, "replace", recorded(os.replace))
        store.add(NEW, [local], checksum(b"x"))
        store.write(HEAD, b"x", Expect.ABSENT)
        store.write(HEAD, b"y", Expect.ANY)
    assert sources == [str(root / ".repod/tmp")] * 3


def test_a_work_directory_on_another_file_system_is_no_hindrance(store: LocalStore, root: Path, tmp_path: Path) -> None:
    """C092."""
    data = random.Random(2).randbytes(8 * MIB)
    sizes: set[int] = set()
    done = threading.Event()

    def poll() -> None:
        while not done.is_set():
            with suppress(FileNotFoundError):
                sizes.add((root / NEW).stat().st_size)

    poller = threading.Thread(target=poll)
    poller.start()
    try:
        with tmpfs(tmp_path / "disk", "size=16m") as disk:
            local = disk / "work.rpm"
            local.write_bytes(data)
            store.add(NEW, [local], checksum(data))
        until(lambda: sizes, 60, "the poller to see the file")
    finally:
        done.set()
        poller.join()
    assert sizes == {len(data)}
    assert store.read(NEW).data == data


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, 0])
def test_where_the_kernel_cannot_copy_the_bytes_go_through_memory(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    data = random.Random(3).randbytes(MIB + 17)
    local = tmp_path / "work.rpm"
    local.write_bytes(data)
    with monkeypatch.context() as patch:
        if code:
            FailingCall(patch, 1, code, ["copy_file_range"])
        else:
            # Some file systems answer so instead of refusing.
            patch.setattr(os, "copy_file_range", lambda *_: 0)
        store.add(NEW, [b"head", local, b"tail"], checksum(b"head" + data + b"tail"))
    assert store.read(NEW).data == b"head" + data + b"tail"


def test_add_streams(store: LocalStore, root: Path) -> None:
    size = 64 * MIB
    with (root / "source").open("wb") as file:
        file.truncate(size)
    extents = [Extent(path=StorePath("source"), offset=start, length=MIB) for start in range(0, size, 2 * MIB)]
    parts = [part for extent in extents for part in (extent, b"x")]
    expected = checksum((bytes(MIB) + b"x") * len(extents))
    tracemalloc.start()
    try:
        store.add(NEW, parts, expected)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * MIB


def test_neighbouring_extents_are_read_at_once(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    data = random.Random(4).randbytes(100_000)
    store.write(HEAD, data, Expect.ANY)
    parts = [Extent(path=HEAD, offset=start, length=100) for start in range(0, len(data), 100)]
    reads: list[int] = []
    real = os.pread

    def pread(fd: int, length: int, offset: int) -> bytes:
        reads.append(length)
        return real(fd, length, offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", pread)
        store.add(NEW, parts, checksum(data))
    assert len(reads) <= 2
