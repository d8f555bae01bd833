"""The file of the audit log under crashes, full disks, rotation, and many writers: nothing is lost or hidden.

Needs root, to mount small file systems of its own.
"""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from repod.auditlog.chain import Head
from repod.auditlog.file import AuditFile
from repod.auditlog.reading import files_of, prove, records
from repod.errors import Unavailable
from tests.lab.audits import noted, read
from tests.lab.folders import tmpfs

_WRITER = """
import sys
from pathlib import Path
from repod.auditlog.file import AuditFile
from tests.lab.audits import noted
log = AuditFile(Path(sys.argv[1]), lambda: 0.0, print)
for number in range(int(sys.argv[3])):
    log.append([noted(f"{sys.argv[2]} {number}")])
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def opened(path: Path, told: list[str] | None = None) -> AuditFile:
    return AuditFile(path, lambda: 0.0, (told if told is not None else []).append)


def proven(path: Path, *heads: str) -> Sequence[str]:
    return prove(files_of(path), [Head.parse(head) for head in heads], current=path).faults


def wrote(path: Path, count: int) -> AuditFile:
    log = opened(path)
    for number in range(count):
        log.append([noted(f"deed {number}")])
    return log


def test_records_follow_each_other_and_the_head_is_the_last(path: Path) -> None:
    log = opened(path)
    assert log.head() == f"0:{'0' * 64}"
    log.append([noted("one"), noted("two")])
    log.append([noted("three")])
    last = read(path)[-1]
    assert [one["n"] for one in read(path)] == [1, 2, 3]
    assert log.head() == f"3:{last['hash']}"
    assert proven(path, log.head()) == []
    assert path.stat().st_mode & 0o777 == 0o640


def test_many_processes_and_threads_write_one_chain(path: Path) -> None:
    words = [sys.executable, "-c", _WRITER, str(path)]
    others = [subprocess.Popen([*words, f"process {number}", "25"], cwd=Path(__file__).parents[2]) for number in (1, 2)]
    log = opened(path)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: log.append([noted(f"thread {number}")]), range(50)))
    assert [other.wait(60) for other in others] == [0, 0]
    assert proven(path) == []
    found = [one["what"] for one in read(path)]
    assert sorted(found) == sorted(
        [f"thread {n}" for n in range(50)] + [f"process {p} {n}" for p in (1, 2) for n in range(25)]
    )
    assert [what for what in found if what.startswith("process 1")] == [f"process 1 {n}" for n in range(25)]


def test_a_last_line_that_a_crash_cut_short_is_told_by_the_next_record_wherever_it_was_cut(path: Path) -> None:
    wrote(path, 3)
    whole = path.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1
    for cut in (start + 1, start + 40, len(whole) - 2):
        path.write_bytes(whole[:cut])
        # Cut by a crash: the head of the record was not written yet.
        path.with_name("audit.jsonl.head").write_bytes(f"2:{json.loads(whole.splitlines()[1])['hash']}\n".encode())
        told: list[str] = []
        opened(path, told).append([noted("after")])
        assert proven(path) == []
        assert path.read_bytes().startswith(whole[:cut] + b"\n")
        note, after = list(records([path]))[2:]
        assert (note["what"], note["details"]["bytes"], after["what"]) == ("audit torn", cut - start, "after")
        assert told == [f"{path}: its last line was cut short, as by a crash; the next record says so"]


def test_a_record_that_lacks_its_line_feed_alone_is_a_record(path: Path) -> None:
    wrote(path, 3)
    path.write_bytes(path.read_bytes()[:-1])
    opened(path).append([noted("after")])
    assert proven(path) == []
    assert [one["what"] for one in read(path)] == ["deed 0", "deed 1", "deed 2", "after"]


def test_what_was_torn_cannot_be_changed_later(path: Path) -> None:
    wrote(path, 2)
    with path.open("ab") as file:
        file.write(b'{"n":3,"time')
    opened(path).append([noted("after")])
    assert proven(path) == []
    path.write_bytes(path.read_bytes().replace(b'{"n":3,"time\n', b'{"n":3,"tame\n'))
    assert proven(path) == [
        "audit.jsonl line 3 is no record: altered, inserted, or torn and no record after it says so"
    ]


def test_a_crash_between_the_record_and_its_head_loses_nothing(path: Path) -> None:
    log = wrote(path, 1)
    before = path.with_name("audit.jsonl.head").read_bytes()
    log.append([noted("two")])
    path.with_name("audit.jsonl.head").write_bytes(before)
    assert log.head().startswith("2:")
    log.append([noted("three")])
    assert proven(path) == []
    assert [one["n"] for one in read(path)] == [1, 2, 3]


@pytest.mark.parametrize("head", [b"", b"\0" * 128, b"nonsense\n"])
def test_a_lost_head_is_found_again_in_the_file(path: Path, head: bytes) -> None:
    wrote(path, 2)
    path.with_name("audit.jsonl.head").write_bytes(head)
    opened(path).append([noted("three")])
    assert proven(path) == []
    assert [one["n"] for one in read(path)] == [1, 2, 3]


def test_a_rotated_log_goes_on_in_the_new_file(path: Path) -> None:
    log = wrote(path, 3)
    path.rename(path.with_name("audit.jsonl.1"))
    log.append([noted("four")])
    path.with_name("audit.jsonl-20261126.gz").write_bytes(gzip.compress(path.with_name("audit.jsonl.1").read_bytes()))
    path.with_name("audit.jsonl.1").unlink()
    path.rename(path.with_name("audit.jsonl.1"))
    log.append([noted("five")])
    first = read(path)[0]
    assert (first["n"], first["previous"]) == (5, read(path.with_name("audit.jsonl.1"))[0]["hash"])
    assert [one.name for one in files_of(path)] == ["audit.jsonl-20261126.gz", "audit.jsonl.1", "audit.jsonl"]
    assert proven(path) == []
    assert [one["n"] for one in records(files_of(path))] == [1, 2, 3, 4, 5]


def test_a_file_that_is_missing_between_others_is_told(path: Path) -> None:
    log = wrote(path, 2)
    for number in (3, 2, 1):
        path.rename(path.with_name(f"audit.jsonl.{number}"))
        log.append([noted("more"), noted("more")])
    path.with_name("audit.jsonl.2").unlink()
    (text,) = proven(path)
    assert text == (
        "records 3 to 4 are missing: record 5 (audit.jsonl.1 line 1) follows record 2 (audit.jsonl.3 line 2)"
    )


def test_a_log_that_was_cut_is_noticed_by_the_proof_and_by_the_next_record(path: Path) -> None:
    log = wrote(path, 5)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]))
    (text,) = proven(path)
    assert text.startswith("cut off after record 3: there was a record 5 with the hash ")
    told: list[str] = []
    opened(path, told).append([noted("after")])
    assert told == [f"{path}: it was cut off or altered since the last record; see: repod audit verify"]
    assert [(one["n"], one["what"]) for one in read(path)][3:] == [(6, "audit damaged"), (7, "after")]
    assert proven(path) == [
        "records 4 to 5 are missing: record 6 (audit.jsonl line 4) follows record 3 (audit.jsonl line 3)"
    ]
    assert log.head().startswith("7:")


def test_a_last_record_that_was_rewritten_is_noticed(path: Path) -> None:
    wrote(path, 2)
    path.write_bytes(path.read_bytes().replace(b"deed 1", b"deed 2"))
    (text,) = proven(path)
    assert text == "record 2 (audit.jsonl line 2) is altered: what it says does not give its hash"
    opened(path).append([noted("after")])
    assert any(one["what"] == "audit damaged" for one in records([path]))
    assert proven(path) != []


def test_nothing_is_ever_taken_out_of_the_file_so_it_may_be_append_only(path: Path) -> None:
    wrote(path, 2)
    before = path.read_bytes() + b'{"n":3'
    path.write_bytes(before)
    opened(path).append([noted("after")])
    assert path.read_bytes().startswith(before)


@pytest.mark.parametrize("room", [0, 300])
def test_on_a_full_disk_no_change_may_begin_and_the_log_stays_whole(tmp_path: Path, room: int) -> None:
    with tmpfs(tmp_path / "small", "size=512k") as small:
        path = small / "audit.jsonl"
        log = wrote(path, 2)
        log.ready()
        filler = small / "filler"
        filler.write_bytes(b"")
        os.truncate(path, path.stat().st_size)
        _fill(filler, small, room)
        # What a change did that began before is written down still: room was kept for that.
        log.append([noted("x" * 900) for _ in range(20)])
        assert proven(path) == []
        _fill(filler, small, 0)
        with pytest.raises(Unavailable, match=r"audit.jsonl cannot be written \(No space left on device\)"):
            log.ready()
        with pytest.raises(Unavailable, match="cannot be written"):
            log.append([noted("y" * 900) for _ in range(20)])
        filler.unlink()
        log.ready()
        log.append([noted("again")])
        assert proven(path) == []
        assert read_whole(path)[-1]["what"] == "again"


def _fill(filler: Path, place: Path, left: int) -> None:
    """Use up the room of a file system but for ``left`` bytes."""
    with filler.open("ab") as file:
        free = os.statvfs(place)
        size = file.tell()
        if free.f_bavail * free.f_bsize > left:
            os.posix_fallocate(file.fileno(), size, free.f_bavail * free.f_bsize - left)


def read_whole(path: Path) -> list[dict[str, object]]:
    return list(records([path]))


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be written \\(No such file or directory\\)"):
        opened(tmp_path / "no" / "audit.jsonl").ready()
    (tmp_path / "folder").mkdir()
    with pytest.raises(Unavailable, match="cannot be written"):
        opened(tmp_path / "folder").ready()


def test_no_link_and_no_pipe_is_followed_since_the_folder_may_be_of_a_lesser_user(tmp_path: Path, path: Path) -> None:
    path.symlink_to(tmp_path / "passwd")
    with pytest.raises(Unavailable, match="cannot be written"):
        opened(path).append([noted()])
    assert not (tmp_path / "passwd").exists()
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(Unavailable, match="not a plain file"):
        opened(path).append([noted()])


def test_what_root_begins_belongs_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    os.chown(tmp_path / "log", 4711, 4712)
    wrote(tmp_path / "log/audit.jsonl", 1)
    for name in ("audit.jsonl", "audit.jsonl.head"):
        found = (tmp_path / "log" / name).stat()
        assert (found.st_uid, found.st_gid) == (4711, 4712)


def test_files_that_cannot_be_read_are_told(tmp_path: Path, path: Path) -> None:
    with pytest.raises(Exception, match="is not there"):
        prove([tmp_path / "none"], [])
    bad = tmp_path / "x.gz"
    bad.write_bytes(gzip.compress(b"x" * 1000)[:20])
    with pytest.raises(Unavailable, match=r"x.gz cannot be read"):
        prove([bad], [])
