"""The doors by which texts of strangers come in: JSON, numbers, headers of RPMs, and what is said of them."""

import ast
import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repod import jsontext, patient, rings, statement
from repod.errors import Corrupt, Misconfigured, shown
from repod.generation import Generation, Head
from repod.hosts import faults
from repod.inbox import events
from repod.numerals import EPOCH, number
from repod.package import Fault, Nevra
from repod.rpmindex import index_fault
from tests.lab import rpms
from tests.lab.headers import LEAD, MAGIC

ROOT = Path(__file__).parents[2] / "repod"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda one: st.lists(one, max_size=3)
)


@pytest.mark.parametrize("loads", [jsontext.loads, patient.loads])
@pytest.mark.parametrize(
    "text",
    [
        "[" * 3000,
        '{"a":' * 3000,
        "1e999",
        "-Infinity",
        "NaN",
        "[1" + "0" * 400 + "]",
        "\ufeff1",
        "",
        "1 2",
    ],
)
def test_what_is_no_json_is_a_value_error(loads: Callable[[bytes], object], text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads(text.encode())


def test_a_key_that_no_request_could_name_is_no_message_of_s3() -> None:
    for escape in (r"\ud800", r"\uDFFF", r"\ud800\ud800"):
        detail = f'{{"bucket": {{"name": "b"}}, "object": {{"key": "{escape}"}}}}'
        with pytest.raises(events.Unknown):
            events.parse(f'{{"source": "aws.s3", "detail-type": "Object Created", "detail": {detail}}}')


def test_a_signed_document_whose_bytes_nobody_could_have_signed_is_corrupt() -> None:
    for document, signature in ((r"\ud800", "x"), ("x", r"\udc00")):
        data = f'{{"format": 1, "document": "{document}", "signature": "{signature}"}}'.encode()
        for opened in (rings.envelope, statement.envelope):
            with pytest.raises(Corrupt, match="is unreadable"):
                opened(data)


@given(JSON)
def test_what_python_writes_as_json_is_read_back(value: object) -> None:
    text = json.dumps(value)
    assert jsontext.loads(text) == patient.loads(text.encode()) == value


def test_all_of_repod_reads_json_through_that_door() -> None:
    doors = {"jsontext.py", "patient.py"}
    calls = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        if path.name not in doors
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"json.loads", "json.load", "json.JSONDecoder"}
    }
    assert calls == set()


def test_all_of_repod_hands_heads_of_packages_to_rpm_rs_through_one_door() -> None:
    opens = {
        path.name
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and ast.unparse(node) in {"rpm_rs.PackageMetadata.open", "rpm_rs.Package.open"}
    }
    assert opens == {"rpmproof.py"}


@pytest.mark.parametrize(
    ("text", "found"),
    [("0", 0), ("007", 7), (str(EPOCH), EPOCH), (str(EPOCH + 1), None), ("9" * 5000, None), ("0" * 5000 + "1", 1)]
    + [(text, None) for text in ("", "-1", "+1", "1_0", "²", "٣", " 1", "1\n", "1e3", None)],
)
def test_a_number_is_digits_alone_and_bounded(text: str | None, found: int | None) -> None:
    assert number(text, EPOCH) == found


@given(st.text(max_size=50))
def test_a_message_is_one_line_that_no_terminal_obeys(text: str) -> None:
    for line in (shown(text), faults.shown(text), Fault(code="text", text=text).text, str(faults.WrongUse(text))):
        assert line.isprintable()
    assert str(Corrupt(text)).count("\n") == text.count("\n")
    assert all(fault.isprintable() for fault in Misconfigured(text).faults)


def test_a_message_has_an_end() -> None:
    for text in ("a" * 100_000, "\x00" * 100_000):
        assert len(shown(text)) < 2100
        assert len(str(faults.Refused(text))) < 2100


@pytest.mark.parametrize("name", ["\x1b[31m", "a" * 5000, "a\nb"])
def test_names_of_strangers_stay_within_the_line_of_a_fault(name: str) -> None:
    line = Fault(code="arch", text=f"arch {name}; expected noarch").text
    assert line.isprintable()
    assert len(line) < 2100


@pytest.mark.parametrize(
    "row",
    [
        {"name": 5, "epoch": 0, "version": "1", "release": "1", "arch": "x"},
        {"name": "a", "epoch": "0", "version": "1", "release": "1", "arch": "x"},
        {"name": "a", "epoch": 1 << 32, "version": "1", "release": "1", "arch": "x"},
        {"name": "a", "epoch": 0, "version": "", "release": "1", "arch": "x"},
        {"name": "a", "epoch": 0, "version": "1", "release": "1"},
        ["name", "epoch", "version", "release", "arch"],
        "hello-1.0-1.noarch",
    ],
)
def test_a_stored_nevra_has_fields_of_its_kinds(row: object) -> None:
    with pytest.raises(ValueError, match="not a NEVRA"):
        Nevra.of(row)


@pytest.mark.parametrize("read", [Generation.from_json, Head.from_json])
@pytest.mark.parametrize("data", [b"[" * 3000, b'{"format": 2, "generation": 1e999, "number": 1e999}'])
def test_a_record_that_no_reader_gets_through_is_corrupt(read: Callable[[bytes], object], data: bytes) -> None:
    with pytest.raises(Corrupt, match="unreadable"):
        read(data)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return rpms.quick(tmp_path_factory.mktemp("sound")).read_bytes()


@pytest.mark.parametrize("fmt", [4, 6])
def test_the_index_of_what_builders_make_is_sound(fmt: int, tmp_path: Path) -> None:
    assert index_fault(rpms.quick(tmp_path, fmt=fmt).read_bytes()) == ""
    assert index_fault(rpms.nfpm(tmp_path).read_bytes()) == ""


def _rows(data: bytes, start: int) -> range:
    (count,) = struct.unpack_from(">I", data, start + 8)
    return range(start + 16, start + 16 + 16 * count, 16)


@pytest.mark.parametrize("field", [1, 2, 3])
def test_an_entry_of_an_index_that_promises_what_is_not_there_is_refused(field: int, sound: bytes) -> None:
    starts = [LEAD, sound.index(MAGIC, LEAD + 8)]
    for row in [row for start in starts for row in _rows(sound, start)]:
        broken = bytearray(sound)
        struct.pack_into(">I", broken, row + 4 * field, 0xFFFFFFF0)
        assert index_fault(bytes(broken)) != "", (row, field)


def test_a_head_that_is_cut_short_has_no_sound_index(sound: bytes) -> None:
    end = sound.index(MAGIC, LEAD + 8) + 16
    assert all(index_fault(sound[:size]) for size in (0, 4, LEAD, LEAD + 16, end))
