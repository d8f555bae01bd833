"""The parts of a large object: joined they are its bytes, S3 takes them, and they send the least."""

import itertools
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from repod.package import StorePath
from repod.store.s3parts import Copied, Limits, Sent, Span, even, plan

MIB = 1 << 20
SMALL = Limits(least=5, most=40, count=1000, block=16)

spans = st.lists(
    st.one_of(
        st.builds(Span, length=st.integers(0, 30)),
        st.builds(
            Span,
            length=st.integers(0, 60),
            path=st.sampled_from([StorePath("a"), StorePath("b")]),
            offset=st.integers(0, 50),
        ),
    ),
    max_size=7,
)


def origins(spans: Sequence[Span]) -> list[tuple[StorePath | None, int]]:
    """Where each byte of the object lies elsewhere, and where in it itself."""
    found: list[tuple[StorePath | None, int]] = []
    for span in spans:
        found += [(span.path, span.offset + index) for index in range(span.length)]
    return found


def sent(parts: Sequence[Copied | Sent]) -> int:
    return sum(part.length for part in parts if isinstance(part, Sent))


@given(spans)
def test_the_parts_join_to_the_bytes_of_the_object(given_spans: Sequence[Span]) -> None:
    wanted, at = origins(given_spans), 0
    for part in plan(given_spans, SMALL):
        if isinstance(part, Sent):
            assert part.start == at
        else:
            assert wanted[at : at + part.length] == [(part.path, part.offset + i) for i in range(part.length)]
        at += part.length
    assert at == len(wanted)


@given(spans)
def test_every_part_but_the_last_has_the_least_length_and_none_more_than_the_most(spans: Sequence[Span]) -> None:
    parts = plan(spans, SMALL)
    assert all(SMALL.least <= part.length <= SMALL.most for part in parts[:-1])
    assert all(0 < part.length <= SMALL.most for part in parts[-1:])


@given(spans, st.integers(2, 6))
def test_there_are_never_more_parts_than_may_be(spans: Sequence[Span], count: int) -> None:
    size = sum(span.length for span in spans)
    limits = Limits(least=5, most=max(40, size), count=count, block=16)
    assert len(plan(spans, limits)) <= count


def _fewest(spans: Sequence[Span], least: int) -> int:
    """The least that any cutting sends, tried out: each byte is copied or sent."""
    wanted = origins(spans)
    size = len(wanted)
    # Per position: the fewest bytes sent up to it, where a part, copied or sent, ends there.
    best: dict[tuple[int, str], int] = {(0, "copied"): 0}
    for end in range(1, size + 1):
        for start in range(end):
            length = end - start
            if length < least and end != size:
                continue
            before = [best[start, kind] for kind in ("copied", "sent") if (start, kind) in best]
            if not before:
                continue
            path, offset = wanted[start]
            run = [(path, offset + index) for index in range(length)]
            kinds = {"sent": length} | ({"copied": 0} if path is not None and wanted[start:end] == run else {})
            for kind, cost in kinds.items():
                best[end, kind] = min(best.get((end, kind), size), min(before) + cost)
    return min((best[size, kind] for kind in ("copied", "sent") if (size, kind) in best), default=0)


@given(spans.map(lambda found: found[:4]))
@settings(deadline=None)
def test_no_cutting_sends_less(spans: Sequence[Span]) -> None:
    limits = Limits(least=5, most=10_000, count=1000, block=10_000)
    assert sent(plan(spans, limits)) == _fewest(spans, 5)


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(1, 50))
def test_even_pieces_cover_a_range_and_differ_by_one(start: int, length: int, most: int) -> None:
    pieces = even(start, start + length, most)
    assert sum(size for _, size in pieces) == length
    assert [at for at, _ in pieces] == list(itertools.accumulate((size for _, size in pieces[:-1]), initial=start))[
        : len(pieces)
    ]
    assert len({size for _, size in pieces}) <= 2
    assert all(size <= most for _, size in pieces)


def test_one_package_added_in_the_middle_of_a_large_document_is_sent_with_the_least_around_it() -> None:
    old = StorePath("old")
    parts = plan(
        [
            Span(length=100),
            Span(length=30 * MIB, path=old, offset=100),
            Span(length=2000),
            Span(length=20 * MIB, path=old, offset=30 * MIB + 100),
            Span(length=10),
        ]
    )
    assert sent(parts) == 10 * MIB + 10
    assert [type(part) for part in parts] == [Sent, Copied, Sent, Copied, Sent]


def test_a_file_of_a_tebibyte_has_parts_that_s3_takes() -> None:
    parts = plan([Span(length=1 << 40)])
    assert len(parts) <= 10_000
    assert all(5 * MIB <= part.length <= 5 << 30 for part in parts)
