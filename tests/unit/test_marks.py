"""Marks: hashing goes on where nothing before has changed, and gives what hashing all gives."""

import hashlib
import random
from collections.abc import Callable, Sequence

import pytest

from repod.repodata import marks
from repod.repodata.marks import NO_MARKS, Marks, checksum

HEAD, TAIL = b"<head 5>", b"</head>"


class Text:
    """Segments, and which of them were asked for."""

    def __init__(self, segments: Sequence[bytes]) -> None:
        self.segments = segments
        self.fed: list[int] = []

    def feed(self, start: int, stop: int, update: Callable[[memoryview], object]) -> None:
        self.fed += range(start, stop)
        update(memoryview(b"".join(self.segments[start:stop])))

    def checksum(self, known: Marks = NO_MARKS, kept: int = 0, head: bytes = HEAD) -> Marks:
        """The marks, once the checksum was found to be right."""
        lengths = [len(segment) for segment in self.segments]
        found, marks = checksum(head, lengths, self.feed, TAIL, known=known, kept=kept)
        assert found == hashlib.sha256(head + b"".join(self.segments) + TAIL).hexdigest()
        return marks


@pytest.fixture(autouse=True)
def close(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks every 100 bytes, so that small texts have many."""
    monkeypatch.setattr(marks, "_APART", 100)


def segments(count: int, seed: int = 0) -> list[bytes]:
    draw = random.Random(seed)
    return [draw.randbytes(draw.randint(1, 60)) for _ in range(count)]


def test_what_is_the_same_from_the_start_is_not_read_again() -> None:
    before = segments(200)
    known = Text(before).checksum()
    after = Text([*before[:150], b"changed", *before[151:]])
    after.checksum(known, kept=150)
    assert after.fed
    assert 140 < min(after.fed) <= 150
    assert max(after.fed) == 199


def test_another_head_is_another_text() -> None:
    known = Text(segments(50)).checksum()
    after = Text(segments(50))
    after.checksum(known, kept=50, head=b"<head 6>")
    assert after.fed == list(range(50))


def test_marks_are_used_any_number_of_times_and_never_spoiled() -> None:
    draw = random.Random(1)
    present, known = segments(80), NO_MARKS
    for _ in range(60):
        kept = draw.randint(0, len(present))
        changed = present[:kept] + segments(draw.randint(0, 30), draw.random())
        # Half of the drafts are dropped, and the next is made from the same marks.
        made = Text(changed).checksum(known, kept)
        if draw.random() < 0.5:
            present, known = changed, made


@pytest.mark.parametrize("count", [0, 1])
def test_a_document_of_no_or_one_segment_has_its_checksum(count: int) -> None:
    known = Text(segments(count)).checksum()
    Text(segments(count)).checksum(known, kept=count)
    Text([]).checksum(known, kept=0)
