"""The small parts of an inbox: names, mounts, patience, renaming without replacing."""

import errno
import fcntl
import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repod.inbox.folders import locked, move_new, move_new_without_kernel, opened, vanished
from repod.inbox.mounts import shared_filesystem
from repod.inbox.names import fitted, left_alone, shown
from repod.inbox.readiness import Patience, has_writer, next_look
from repod.inbox.told import Told
from tests.lab.inboxes import Lines, unprivileged, wanted

Move = Callable[[int, str, int, str], None]

MOUNTS = r"""22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 22 0:35 / /srv/my\040inbox rw,relatime shared:1 - nfs4 server:/export rw,vers=4.2
41 22 0:36 / /srv/local rw - ext4 /dev/vdb rw
42 22 0:37 / /srv/covered rw - nfs server:/b rw
43 22 0:38 / /srv/covered rw - xfs /dev/vdc rw
44 22 0:39 / /srv/ssh rw - fuse.sshfs ci@host:/ rw
45 22 0:40 / /srv/smb rw - cifs //host/share rw
46 22 0:41 / /srv/block rw - fuseblk /dev/vdd rw
nonsense
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", ""),
        ("/srv", ""),
        ("/srv/my inbox", "nfs4"),
        ("/srv/my inbox/el9/deep", "nfs4"),
        ("/srv/my inbox too", ""),
        ("/srv/local/x", ""),
        ("/srv/covered/x", ""),
        ("/srv/ssh", "fuse.sshfs"),
        ("/srv/smb/x", "cifs"),
        ("/srv/block/x", ""),
    ],
)
def test_the_innermost_mount_says_whether_others_write_there(tmp_path: Path, path: str, kind: str) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTS)
    assert shared_filesystem(Path(path), table) == kind


def test_without_a_mount_table_a_directory_counts_as_local(tmp_path: Path) -> None:
    assert shared_filesystem(Path("/"), tmp_path / "none") == ""


def test_this_machines_own_mount_table_is_read() -> None:
    assert shared_filesystem(Path("/proc"), Path("/proc/self/mountinfo")) == ""


@given(st.binary(min_size=1, max_size=40))
def test_a_name_as_it_is_shown_tells_every_name_from_any_other(raw: bytes) -> None:
    text = shown(os.fsdecode(raw))
    text.encode("utf-8")
    assert text.isprintable()
    # Lossless: reading \xNN and \\ back gives the very bytes.
    assert _unescaped(text) == raw


def _unescaped(text: str) -> bytes:
    raw, rest = b"", text
    while rest:
        if rest.startswith("\\\\"):
            raw, rest = raw + b"\\", rest[2:]
        elif rest.startswith("\\x"):
            raw, rest = raw + bytes.fromhex(rest[2:4]), rest[4:]
        else:
            raw, rest = raw + rest[0].encode(), rest[1:]
    return raw


def test_a_plain_name_is_shown_as_it_is() -> None:
    assert shown("päckage+1.0~rc1^a-1.noarch.rpm") == "päckage+1.0~rc1^a-1.noarch.rpm"


def test_a_line_end_in_a_name_makes_no_second_line() -> None:
    assert shown("a\nb\u202e.rpm") == r"a\x0ab\xe2\x80\xae.rpm"


def test_a_name_that_is_too_long_keeps_its_end() -> None:
    made = fitted("é" * 120 + "x.rpm", before=".repod-1-", spare=20)
    assert len(os.fsencode(made)) == 235
    assert made.startswith(".repod-1-")
    assert made.endswith("éx.rpm")
    assert fitted("x.rpm", before="a-") == "a-x.rpm"


def test_a_folder_may_end_in_rpm_and_a_file_must_unless_it_is_wanted() -> None:
    assert left_alone("x.rpm", folder=True, wanted=wanted) == ""
    assert left_alone("x", folder=True, wanted=wanted) == ""
    assert left_alone("x", folder=False, wanted=wanted) == "its name is not that of a package or document"
    assert left_alone("x.json", folder=False, wanted=wanted) == ""


@pytest.mark.parametrize("name", ["x.rpm.reason.json", "X.JSON.REASON.JSON"])
def test_a_reason_file_that_was_copied_back_is_no_document(name: str) -> None:
    assert left_alone(name, folder=False, wanted=wanted) == "it says why an arrival was rejected"


@pytest.mark.parametrize(("writer", "size", "seconds"), [(False, 9, 2), (None, 9, 2), (False, 0, 60)])
def test_a_document_promises_no_length_so_it_has_to_settle(writer: bool | None, size: int, seconds: float) -> None:
    """An empty one is looked at for longer: it is the beginning of every upload."""
    patience = Patience(settle=2, incomplete_after=60)
    wait = patience.judge(b"", size, 0.5, writer=writer, rpm=False)
    assert wait is not None
    assert wait.seconds == seconds - 0.5
    assert patience.judge(b"", size, seconds, writer=writer, rpm=False) is None


def test_where_nobody_knows_of_writers_a_whole_package_has_to_settle() -> None:
    patience = Patience(settle=2, incomplete_after=60)
    wait = patience.judge(b"junk", 4, 0.5, writer=None, rpm=True)
    assert wait is not None
    assert wait.seconds == 1.5
    assert patience.judge(b"junk", 4, 2.0, writer=None, rpm=True) is None


def test_what_was_dropped_together_is_looked_at_when_all_of_it_has_settled() -> None:
    assert next_look([1.992, 2.0, math.inf, 599.0]) == 2.0
    assert next_look([0.5, 2.0]) == 0.5
    assert next_look([0.0]) == 0.05
    assert next_look([]) == next_look([math.inf]) == math.inf


def test_an_open_writer_cannot_be_waited_out() -> None:
    wait = Patience(settle=0, incomplete_after=0).judge(b"", 0, 1e9, writer=True, rpm=True)
    assert wait is not None
    assert wait.seconds is None


def test_a_writer_is_seen_as_long_as_it_has_the_file_open(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x")
    file = os.open(path, os.O_RDONLY)
    try:
        assert has_writer(file) is False
        with path.open("ab"):
            assert has_writer(file) is True
        with path.open("rb"):
            assert has_writer(file) is False
    finally:
        os.close(file)


def test_asking_for_writers_leaves_nothing_behind_that_would_hold_one_up(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x")
    file = os.open(path, os.O_RDONLY)
    try:
        assert has_writer(file) is False
        # With a lease still held this would fail at once with EWOULDBLOCK.
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    finally:
        os.close(file)


def test_a_file_of_another_user_does_not_tell_of_its_writers() -> None:
    with unprivileged():
        file = os.open("/etc/passwd", os.O_RDONLY)
        try:
            assert has_writer(file) is None
        finally:
            os.close(file)


@pytest.mark.parametrize("move", [move_new, move_new_without_kernel])
def test_renaming_never_replaces(tmp_path: Path, move: Move) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    (tmp_path / "folder").mkdir()
    with opened(tmp_path) as folder:
        with pytest.raises(FileExistsError):
            move(folder, "a", folder, "b")
        with pytest.raises(FileExistsError):
            move(folder, "folder", folder, "b")
        with pytest.raises(FileNotFoundError):
            move(folder, "none", folder, "c")
        move(folder, "a", folder, "c")
        move(folder, "folder", folder, "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "c", "other"]
    assert ((tmp_path / "b").read_text(), (tmp_path / "c").read_text()) == ("b", "a")


@pytest.mark.parametrize("move", [move_new, move_new_without_kernel])
def test_a_link_is_renamed_and_not_followed(tmp_path: Path, move: Move) -> None:
    (tmp_path / "a").symlink_to("nowhere")
    with opened(tmp_path) as folder:
        move(folder, "a", folder, "b")
    assert (tmp_path / "b").readlink() == Path("nowhere")


def test_a_folder_behind_a_link_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox/link").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError) as caught, opened(tmp_path / "inbox", ["link"]):
        pass
    assert vanished(caught.value)


def test_a_lock_on_a_folder_keeps_out_whoever_asks_for_it(tmp_path: Path) -> None:
    with opened(tmp_path) as one, opened(tmp_path) as two:
        with locked(one), pytest.raises(BlockingIOError):
            fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with locked(two):
            pass


def test_only_errors_of_a_missing_entry_count_as_vanished() -> None:
    answers = {number: vanished(OSError(number, "")) for number in (errno.ENOENT, errno.ELOOP, errno.EACCES, errno.EIO)}
    assert answers == {errno.ENOENT: True, errno.ELOOP: True, errno.EACCES: False, errno.EIO: False}


def test_a_name_is_told_once_while_it_is_there_and_again_when_it_comes_back() -> None:
    log = Lines()
    told = Told(log, "inbox")
    for _ in range(3):
        told.tell("README", "left alone", "why")
        told.sweep()
    assert len(log.lines) == 1
    told.sweep()
    told.tell("README", "left alone", "why")
    told.tell("README", "left alone", "another reason")
    assert len(log.lines) == 3


def test_names_without_end_do_not_fill_the_memory() -> None:
    log = Lines()
    told = Told(log, "inbox")
    for number in range(20_000):
        told.tell(f"junk{number}", "left alone", "why")
    assert len(log.lines) == 10_000
