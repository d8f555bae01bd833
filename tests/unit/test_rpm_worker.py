"""What a worker process answers, whatever it meets; the pool around it is in tests/system/test_rpmfile.py."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from repod.doors import Unreadable
from repod.package import Fault
from repod.rpmfile import worker
from repod.rpmfile.header import strings, text_faults
from tests.lab import damage, headers, rpms


class Panic(BaseException):
    """As a panic of native code arrives: no ordinary exception."""


def failing(error: BaseException) -> Callable[[], NoReturn]:
    def task() -> NoReturn:
        raise error

    return task


def test_a_task_that_succeeds_answers_with_its_result() -> None:
    assert worker.answer(lambda one, two: one + two, 1, 2) == ("done", 3)


def test_a_file_that_cannot_be_read_answers_with_its_faults_as_plain_data() -> None:
    faults = (Fault(code="not-rpm", text="a"), Fault(code="digest", text="b"))
    assert worker.answer(failing(Unreadable(*faults))) == ("unreadable", faults)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "more memory than"),
        (RuntimeError("odd tag"), "RuntimeError: odd tag"),
        (OSError("Invalid symbol 239, offset 0."), "Invalid symbol"),
        (Panic("index out of range"), "Panic: index out of range"),
        (RecursionError("x" * 1000), "RecursionError"),
    ],
)
def test_whatever_else_a_file_makes_go_wrong_is_a_fault_of_that_file(error: BaseException, says: str) -> None:
    kind, (fault,) = worker.answer(failing(error))
    assert (kind, fault.code) == ("unreadable", "reader")
    assert says in fault.text
    assert len(fault.text) < 300


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), OSError("No space left on device (os error 28)")],
    ids=["Python's", "rpm-rs's"],
)
def test_a_disk_that_fails_is_no_fault_of_the_file(error: OSError) -> None:
    """Else a good package would be refused, and its arrival be gone."""
    kind, text = worker.answer(failing(error))
    assert kind == "unavailable"
    assert "No space left" in text


def test_a_copy_that_is_gone_is_no_fault_of_the_file(tmp_path: Path) -> None:
    assert worker.answer(worker.examine, tmp_path / "gone.rpm", b"")[0] == "unavailable"


def test_a_large_header_is_read_whole_before_the_size_is_judged(tmp_path: Path) -> None:
    path = rpms.quick(tmp_path, fmt=6, files={f"/usr/share/hello/{n:05}{'x' * 40}": b"" for n in range(1500)})
    assert damage.payload_offset(path) > 1 << 16
    assert worker.examine(path, b"").faults == ()
    cut = damage.truncate_at(path, tmp_path / "cut.rpm", -1)
    assert worker.answer(worker.examine, cut, b"")[1][0].code == "truncated"


def test_an_altered_header_is_a_digest_fault(tmp_path: Path) -> None:
    path = rpms.quick(tmp_path, summary="A summary that is easily found")
    place = path.read_bytes().index(b"A summary that is easily found")
    facts = worker.examine(damage.flip_bit(path, tmp_path / "bad.rpm", place), b"")
    assert {fault.code for fault in facts.faults} == {"digest"}
    assert facts.header_sha256 != worker.examine(path, b"").header_sha256


@pytest.mark.parametrize("place", [96 + 5, None])
def test_bytes_that_no_digest_covers_and_rpm_insists_on_are_checked(place: int | None, tmp_path: Path) -> None:
    path = rpms.quick(tmp_path)
    place = damage.header_offset(path) + 5 if place is None else place
    (fault,) = worker.examine(damage.flip_bit(path, tmp_path / "bad.rpm", place), b"").faults
    assert fault.code == "digest"
    assert "is not as it was built" in fault.text


def test_the_old_digest_over_header_and_payload_is_checked_too(tmp_path: Path) -> None:
    path = rpms.nfpm(tmp_path)
    stored = headers.Rpm.read(path).signature.entries[headers.SIG_MD5].data
    place = path.read_bytes().index(stored)
    facts = worker.examine(damage.flip_bit(path, tmp_path / "bad.rpm", place), b"")
    assert [fault.text.split(":")[0] for fault in facts.faults] == ["MD5 of header and payload does not match"]


@pytest.mark.parametrize(
    ("number", "name"), [(None, "md5"), (1, "md5"), (2, "sha1"), (8, "sha256"), (10, "sha512"), (77, "#77")]
)
def test_the_digest_of_the_files_is_named(number: int | None, name: str, tmp_path: Path) -> None:
    path = rpms.quick(tmp_path)

    def change(rpm: headers.Rpm) -> None:
        rpm.header.drop(headers.FILEDIGESTALGO)
        if number is not None:
            rpm.header.set(headers.FILEDIGESTALGO, headers.INT32, number)

    assert worker.examine(headers.edit(path, path, change), b"").file_digest == name


def _header(*rows: tuple[int, int, int, int], data: bytes = b"") -> bytes:
    index = b"".join(number.to_bytes(4) for row in rows for number in row)
    return headers.MAGIC + len(rows).to_bytes(4) + len(data).to_bytes(4) + index + data


def test_the_strings_of_a_header_are_read_raw_and_in_order() -> None:
    header = _header((1000, 6, 0, 1), (1004, 4, 0, 9), (1117, 8, 2, 2), data=b"\xff\0ab\0c\0")
    assert list(strings(header)) == [(1000, b"\xff"), (1117, b"ab"), (1117, b"c")]


@pytest.mark.parametrize(
    "header",
    [
        _header((1000, 6, 0, 1), data=b"no end"),
        _header((1000, 6, 99, 1), data=b"a\0"),
        _header((1117, 8, 0, 3), data=b"a\0b\0"),
        _header((1000, 6, 0, 1), data=b"a\0")[:-1],
    ],
)
def test_an_index_that_leads_outside_the_header_is_refused(header: bytes) -> None:
    with pytest.raises(ValueError, match="header"):
        list(strings(header))


@pytest.mark.parametrize(
    ("tag", "value", "says"),
    [
        (1004, "tab\tand\nline", ""),
        (1000, "a\nb", "name holds the character U+000A at 1"),
        (1000, "a\x7f", "U+007F"),
        (1004, "\ufffe", "U+FFFE"),
        (1082, "\x1b[1m", "changelogtext holds the character U+001B"),
        (1117, "a/b", "unsafe path"),
        (1117, "..", "unsafe path"),
        (1118, "usr/bin/", "unsafe path"),
        (1118, "/usr/../etc/", "unsafe path"),
        (1118, "/usr/share/doc..x/", ""),
        (1118, "", ""),
        (1023, "\x01 a scriptlet may hold what it likes", ""),
    ],
)
def test_text_that_metadata_cannot_hold_is_named_by_its_field(tag: int, value: str, says: str) -> None:
    data = value.encode() + b"\0"
    found = [fault.text for fault in text_faults(_header((tag, 6, 0, 1), data=data))]
    assert (says in found[0]) if says else (found == [])


def test_text_that_is_not_utf_8_is_named_once_with_its_byte() -> None:
    data = "Zusammenf\xfcgung".encode("latin-1") + b"\0" + b"\xe9\0"
    (fault,) = text_faults(_header((1004, 9, 0, 2), data=data))
    assert fault.code == "text"
    assert "summary is not UTF-8 (byte 0xfc at 9" in fault.text


def test_a_header_whose_strings_cannot_be_found_is_no_package(tmp_path: Path) -> None:
    path = rpms.quick(tmp_path)

    def lie(header: bytes) -> bytes:
        # The vendor's text begins beyond the end: rpm-rs does not look at it.
        at = header.index((1011).to_bytes(4) + (6).to_bytes(4)) + 8
        return header[:at] + (1 << 24).to_bytes(4) + header[at + 4 :]

    headers.Rpm.read(path).write(path, lie)
    kind, value = worker.answer(worker.examine, path, b"")
    faults = value.faults if kind == "done" else value
    assert {fault.code for fault in faults} <= {"not-rpm", "reader", "truncated"}
    assert faults


def test_the_payload_is_hashed_as_it_lies_in_the_file(tmp_path: Path) -> None:
    path = rpms.quick(tmp_path, compression="xz")
    payload = path.read_bytes()[damage.payload_offset(path) :]
    assert worker.examine(path, b"").payload_sha256 == hashlib.sha256(payload).hexdigest()
