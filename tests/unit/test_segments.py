"""Segments: cut by content alone, never by history; and the gzip members that they are packed as."""

import gzip
import random
import subprocess
import tempfile
import zlib
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from repod.doors import Change
from repod.errors import Corrupt
from repod.package import Order
from repod.repodata import text
from repod.repodata.codec import GZ
from repod.repodata.segments import SPREAD, Run, Segment, groups, position, starts, touched
from repod.store.memory import MemoryStore
from tests.lab.documents import Documents, members
from tests.lab.entries import entries, many

PACKAGES = sorted(many(8 * SPREAD, seed=7), key=lambda made: made.nevra.order)
ORDERS = [made.nevra.order for made in PACKAGES]
CUTS = list(groups(ORDERS))


def segment(first: Order) -> Segment:
    return Segment(first=first, packages=1, texts=(), crcs=(), packs=())


SEGMENTS = [segment(ORDERS[cut.start]) for cut in CUTS]


def store() -> MemoryStore:
    return MemoryStore(lambda: 0.0)


def document() -> bytes:
    with tempfile.TemporaryDirectory() as folder, Documents(store(), Path(folder)) as documents:
        documents.commit(entries(PACKAGES))
        return documents.packed()["primary"]


DOCUMENT = document()


def test_the_packages_of_these_tests_make_several_segments() -> None:
    assert len(CUTS) >= 4


# "Equal content has equal segments": the end of any history is what building at once gives.
@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32))
def test_any_history_ends_in_the_documents_that_building_at_once_gives(seed: int) -> None:
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        grown = Documents(store(), Path(folder, "grown"))
        listed = set[int]()
        with grown:
            for _ in range(draw.randint(1, 6)):
                size = draw.choice((1, 2, 5, len(PACKAGES)))
                added = set(draw.sample(range(len(PACKAGES)), size))
                # Whole runs too, so that segments vanish and join.
                start = draw.randrange(len(PACKAGES))
                run = range(start, min(len(PACKAGES), start + draw.choice((1, SPREAD, 3 * SPREAD))))
                removed = (set(run) & listed) - added
                grown.commit(
                    [PACKAGES[index].entry for index in sorted(added, key=lambda _: draw.random())],
                    [PACKAGES[index].nevra for index in removed],
                )
                listed = (listed | added) - removed
            with Documents(store(), Path(folder, "once")) as once:
                for _ in range(grown.generation.number - 1 if grown.generation else 0):
                    once.commit()
                once.commit([PACKAGES[index].entry for index in listed])
                assert grown.listed() == [PACKAGES[index].package for index in sorted(listed)]
                assert grown.plain() == once.plain()
                for kind in text.KINDS:
                    assert list(members(grown.packed()[kind])) == list(members(once.packed()[kind]))


def test_a_package_stands_in_the_segment_whose_first_is_the_last_not_after_it() -> None:
    for index, cut in enumerate(CUTS):
        assert {position(SEGMENTS, order) for order in ORDERS[cut]} == {index}


def test_a_package_before_the_first_segment_would_stand_in_the_first() -> None:
    assert position(SEGMENTS, ("", "", "", "", 0)) == 0
    assert position([], ORDERS[0]) == 0


@pytest.mark.parametrize("count", [0, 1, 2, 100, len(ORDERS)])
def test_the_cuts_cover_every_package_once_and_only_the_first_segment_may_start_without_the_mark(count: int) -> None:
    cuts = list(groups(ORDERS[:count]))
    assert [order for cut in cuts for order in ORDERS[cut]] == ORDERS[:count]
    assert all(before.stop == after.start for before, after in pairwise(cuts))
    assert all(starts(ORDERS[cut.start]) for cut in cuts[1:])
    assert not any(starts(order) for cut in cuts for order in ORDERS[cut.start + 1 : cut.stop])


@pytest.mark.parametrize(
    ("orders", "runs"),
    [
        ([], []),
        ([ORDERS[0]], [(0, 1)]),
        ([ORDERS[CUTS[1].start]], [(0, 2)]),
        ([ORDERS[CUTS[2].start]], [(1, 3)]),
        ([ORDERS[CUTS[2].start - 1]], [(1, 2)]),
        ([ORDERS[0], ORDERS[CUTS[3].stop - 1]], [(0, 1), (3, 4)]),
        ([ORDERS[CUTS[3].stop - 1], ORDERS[0]], [(0, 1), (3, 4)]),
        ([ORDERS[CUTS[1].stop - 1], ORDERS[CUTS[2].stop - 1]], [(1, 3)]),
        ([("", "", "", "", 0)], [(0, 1)]),
        ([("\U0010ffff", "", "", "", 0)], [(len(CUTS) - 1, len(CUTS))]),
    ],
)
def test_a_change_touches_its_segments_and_the_one_before_a_first_package(
    orders: list[Order], runs: list[tuple[int, int]]
) -> None:
    assert [(run.start, run.stop) for run in touched(SEGMENTS, orders)] == runs


def test_in_an_empty_repository_a_change_touches_the_place_where_segments_will_be() -> None:
    assert list(touched([], ORDERS[:3])) == [Run(start=0, stop=0)]
    assert list(touched([], [])) == []


def test_a_change_packs_no_more_than_its_own_segments(tmp_path: Path) -> None:
    with Documents(store(), tmp_path) as documents:
        documents.commit(entries(PACKAGES))
        draft = documents.repodata.draft(Change(removed=[PACKAGES[CUTS[2].start + 1].nevra]), 2, 2)
        fresh = [part for part in draft.pieces[0].parts if isinstance(part, bytes)]
        assert len(fresh) == 3  # head, one segment, tail


@pytest.mark.parametrize(
    "gone",
    [CUTS[0], slice(0, 1), CUTS[1], slice(CUTS[1].start, CUTS[1].start + 1), CUTS[-1], slice(0, CUTS[2].start + 1)],
    ids=["first segment", "very first", "second segment", "first of the second", "last segment", "two and a first"],
)
def test_removing_the_edge_of_a_segment_leaves_what_building_without_it_gives(gone: slice, tmp_path: Path) -> None:
    rest = [made.entry for made in PACKAGES if made not in PACKAGES[gone]]
    with Documents(store(), tmp_path / "a") as one, Documents(store(), tmp_path / "b") as other:
        one.commit(entries(PACKAGES))
        one.commit(removed=[made.nevra for made in PACKAGES[gone]])
        other.commit(rest)
        assert [list(members(one.packed()[k]))[1:] for k in text.KINDS] == [
            list(members(other.packed()[k]))[1:] for k in text.KINDS
        ]


def test_a_repository_can_be_emptied_and_filled_again(tmp_path: Path) -> None:
    with Documents(store(), tmp_path) as documents:
        first = documents.commit(entries(PACKAGES))
        empty = documents.commit(removed=[made.nevra for made in PACKAGES])
        assert (empty.packages, documents.listed()) == (0, [])
        assert b'packages="0"' in documents.plain()["primary"]
        assert [d.checksum for d in documents.commit(entries(PACKAGES)).documents] == [
            d.checksum for d in first.documents
        ]


def test_a_document_is_taken_apart_into_the_very_bytes_and_texts_of_its_members() -> None:
    for size in (1, 7, 1000, len(DOCUMENT)):
        found = list(GZ.members(DOCUMENT[start : start + size] for start in range(0, len(DOCUMENT), size)))
        assert b"".join(member.packed for member in found) == DOCUMENT
        assert [member.text for member in found] == list(members(DOCUMENT))
        assert len(found) == len(CUTS) + 2


def test_a_document_of_many_members_is_one_file_for_gunzip_and_for_python() -> None:
    done = subprocess.run(["gunzip", "-c"], input=DOCUMENT, check=True, capture_output=True)
    assert done.stdout == gzip.decompress(DOCUMENT) == b"".join(members(DOCUMENT))


# DESIGN: "a reader that wrongly stops after the first member sees an unclosed document and fails".
@pytest.mark.parametrize("count", range(1, len(CUTS) + 2))
def test_a_reader_that_stops_before_the_last_member_sees_no_whole_document(count: int) -> None:
    part = b"".join(list(members(DOCUMENT))[:count])
    with pytest.raises(etree.XMLSyntaxError):
        etree.fromstring(part)


def test_a_reader_of_only_the_first_member_gets_no_package() -> None:
    assert b"<package " not in zlib.decompressobj(31).decompress(DOCUMENT)


@pytest.mark.parametrize("size", [1, 5, 9, 11, 100, len(DOCUMENT) // 2, len(DOCUMENT) - 9, len(DOCUMENT) - 1])
def test_a_document_that_is_cut_short_is_corrupt(size: int) -> None:
    with pytest.raises(Corrupt, match="cut short"):
        list(GZ.members([DOCUMENT[:size]]))


@pytest.mark.parametrize("rest", [b"\0", b"junk", b"\x1f\x8b", b"\x1f\x8bjunk"])
def test_what_follows_the_last_member_is_corrupt(rest: bytes) -> None:
    with pytest.raises(Corrupt):
        list(GZ.members([DOCUMENT, rest]))


def test_a_flipped_bit_is_corrupt_or_changes_no_text() -> None:
    draw = random.Random(3)
    for _ in range(150):
        damaged = bytearray(DOCUMENT)
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        try:
            found = [member.text for member in GZ.members([bytes(damaged)])]
        except Corrupt:
            continue
        # Only a member's header holds bits that decide nothing: time, flags, system.
        assert found == list(members(DOCUMENT))
