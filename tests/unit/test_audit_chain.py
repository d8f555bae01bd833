"""Records of the audit log hang together: whatever is done to the lines of a file is told, by the record."""

import hashlib
import json
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repod.auditlog.chain import NOTHING, ZEROS, Head, Walk, record, sealed
from repod.office import By, Noted
from tests.lab.audits import noted

Change = Callable[[list[bytes]], list[bytes]]


def chain(count: int) -> list[bytes]:
    lines, last = [], NOTHING
    for number in range(count):
        line, last = sealed(noted(f"deed {number}"), last)
        lines.append(line)
    return lines


def faults(lines: Sequence[bytes], *known: str) -> list[str]:
    heads = [Head.parse(text) for text in known]
    walk = Walk({head.n: head.hash for head in heads})
    found = [text for number, line in enumerate(lines, 1) for text in walk.step(line, f"line {number}")]
    return [*found, *walk.end()]


def head(line: bytes) -> str:
    found = json.loads(line)
    return f"{found['n']}:{found['hash']}"


def forged(line: bytes, **other: object) -> bytes:
    """The line as somebody would write it who knows how hashes are made."""
    found = {key: value for key, value in {**json.loads(line), **other}.items() if key != "hash"}
    text = json.dumps(found, sort_keys=True, separators=(",", ":"))
    found["hash"] = hashlib.sha256(text.encode()).hexdigest()
    return json.dumps(found, separators=(",", ":")).encode() + b"\n"


def test_what_was_written_holds() -> None:
    lines = chain(9)
    assert faults(lines) == []
    assert faults(lines, head(lines[8]), head(lines[3])) == []
    assert json.loads(lines[0])["previous"] == ZEROS


def test_a_line_has_everything_in_the_order_in_which_one_reads() -> None:
    line, last = sealed(noted("rollback"), NOTHING)
    assert line.startswith(
        b'{"n":1,"time":"2026-11-26T04:00:00.250Z","actor":"token ci","address":"10.0.0.7","what":"rollback",'
        b'"repository":"el9-prod","details":{"to":41,"why":"it crashes"},"outcome":"done: generation 43",'
        b'"previous":"0000'
    )
    assert record(line) is not None
    assert last.n == 1


def swap(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], lines[4], lines[3], *lines[5:]]


def word(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], lines[3].replace(b"token ci", b"token xi"), *lines[4:]]


def whole(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], forged(lines[3], actor="nobody"), *lines[4:]]


def second_key(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], lines[3].replace(b'{"n":4', b'{"actor":"nobody","n":4'), *lines[4:]]


def space(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], lines[3].replace(b'"n":4', b'"n": 4'), *lines[4:]]


def insert(lines: list[bytes]) -> list[bytes]:
    other = forged(lines[4], what="something else", n=4, previous=json.loads(lines[2])["hash"])
    return [*lines[:3], other, *lines[3:]]


def note(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], b"# a remark\n", *lines[3:]]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (word, ["record 4 (line 4) is altered: what it says does not give its hash"]),
        (whole, ["record 4 (line 4) is altered or replaced: record 5 (line 5) names another hash of it"]),
        (second_key, ["line 4 is no record: altered", "record 4 is missing: record 5 (line 5) follows record 3"]),
        (space, ["line 4 is no record: altered", "record 4 is missing: record 5 (line 5) follows record 3"]),
        (note, ["line 4 is no record: altered, inserted, or torn"]),
        (
            insert,
            ["record 4 (line 5) is inserted, or out of order: record 4 came before it (line 4)", "record 4 (line"],
        ),
        (swap, ["record 4 is missing: record 5 (line 4)", "record 4 (line 5) is inserted, or out of order"]),
        (lambda lines: [*lines[:3], *lines[4:]], ["record 4 is missing: record 5 (line 4) follows record 3 (line 3)"]),
        (lambda lines: [*lines[:3], *lines[6:]], ["records 4 to 6 are missing: record 7 (line 4)"]),
    ],
)
def test_every_change_is_told_by_its_record(change: Change, told: Sequence[str]) -> None:
    found = faults(change(chain(8)))
    assert [text for text, start in zip(found, told, strict=True) if not text.startswith(start)] == []


def test_a_log_that_was_cut_off_holds_and_only_its_head_from_elsewhere_tells() -> None:
    lines = chain(8)
    assert faults(lines[:5]) == []
    digest = json.loads(lines[7])["hash"]
    assert faults(lines[:5], head(lines[7])) == [f"cut off after record 5: there was a record 8 with the hash {digest}"]


def test_a_log_that_was_made_anew_holds_and_only_a_head_from_elsewhere_tells() -> None:
    lines, last = [], NOTHING
    for number in range(8):
        line, last = sealed(noted(f"lie {number}"), last)
        lines.append(line)
    assert faults(lines) == []
    (text,) = faults(lines, head(chain(8)[2]))
    assert text.startswith("record 3 (line 3) is altered, or the log was made anew: its hash was told as ")


def test_where_the_beginning_is_not_there_a_head_of_it_cannot_be_compared() -> None:
    lines = chain(8)
    assert faults(lines[4:]) == []
    (text,) = faults(lines[4:], head(lines[2]))
    assert text == "record 3 is missing: these files begin with record 5; give the older ones too"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_change_of_the_bytes_goes_unseen(data: st.DataObject) -> None:
    lines = chain(6)
    known = head(lines[-1])
    text = b"".join(lines)
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, min(len(text), begin + 400)))
    other = text[:begin] + data.draw(st.binary(max_size=40)) + text[end:]
    # What begins later hangs together: the lines before may lie in a file that was rotated away.
    if other not in [b"".join(lines[n:]) for n in range(len(lines))]:
        assert faults(other.splitlines(keepends=True), known) != []


def test_texts_are_bounded_and_secrets_are_left_out() -> None:
    secret = "repod_" + "x" * 43
    details = {"long": "a" * 5000, "many": list(range(500)), "deep": [[[[[[[[1]]]]]]]], "url": "https://me:pw@host/x"}
    one = Noted(
        time=0.0,
        by=By(actor=f"x {secret}"),
        what="adopt",
        repository="r",
        details=details | {"t": secret, secret: 1.5, "odd": "\udcff\n\u2028"},
        outcome="done",
    )
    line, _ = sealed(one, NOTHING)
    assert record(line) is not None
    assert b"x" * 43 not in line
    assert b"me:pw" not in line
    assert b"pw@" not in line
    assert len(line) < 5000
    found = json.loads(line)["details"]
    assert found["many"][-1] == "… and 400 more"
    assert found["long"].endswith("… and 4000 characters more")
    assert found["odd"] == "\udcff\n\u2028"


def test_details_that_are_large_as_a_whole_are_shortened() -> None:
    many = {str(number): ["x" * 900] * 90 for number in range(90)}
    line, last = sealed(
        Noted(time=0.0, by=By(actor="a"), what="w", repository="", details=many, outcome="done"), NOTHING
    )
    assert len(line) < 60_000
    assert last.n == 1
    assert record(line) is not None


@pytest.mark.parametrize("text", ["", "5", "5:", "5:abc", "x:" + "0" * 64, "-1:" + "0" * 64, "5:" + "G" * 64])
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected N:HASH"):
        Head.parse(text)


def test_anyone_can_prove_a_hash_without_repod() -> None:
    line, last = sealed(noted("rollback äöü"), NOTHING)
    found = json.loads(line)
    del found["hash"]
    text = json.dumps(found, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == last.hash
