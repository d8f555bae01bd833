"""Catching up: a cache follows what other engines publish, and fetches no more than what changed."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from repod.doors import Change, Expect
from repod.errors import NotFound
from repod.generation import Generation, Patch, Rewritten, record_path
from repod.repodata import catchup, marks, text
from repod.repodata.cache import Cache, Index
from repod.repodata.coldstart import segmented, sources
from repod.repodata.segments import SPREAD
from repod.store.memory import MemoryStore
from tests.lab.counting import CountingStore
from tests.lab.documents import Documents
from tests.lab.entries import Made, entries, made, many

PACKAGES = many(12 * SPREAD, seed=7)
LISTED = sorted(PACKAGES[: 10 * SPREAD], key=lambda one: one.nevra.order)
FRESH = PACKAGES[10 * SPREAD :]


class Pair:
    """Two engines on one store: ``ours`` falls behind ``theirs``, and what it asks is counted."""

    def __init__(self, folder: Path, *, single_stream: bool = False, compression: str = "gz") -> None:
        self.inner = MemoryStore(lambda: 0.0)
        self.counted = CountingStore(inner=self.inner)
        how = {"compression": compression, "single_stream": single_stream}
        self.theirs = Documents(self.inner, folder / "theirs", **how)  # type: ignore[arg-type]
        self.ours = Documents(self.counted, folder / "ours", **how)  # type: ignore[arg-type]

    def close(self) -> None:
        self.theirs.repodata.close()
        self.ours.repodata.close()

    def commit(self, *packages: Made, gone: tuple[Made, ...] = (), by: Documents | None = None) -> Generation:
        """A generation of ``theirs``, with its record."""
        generation = (by or self.theirs).commit(entries(packages), [one.nevra for one in gone])
        self.inner.write(record_path(generation.number), generation.to_json(), Expect.ABSENT)
        return generation

    def follow(self) -> int:
        """Bring ``ours`` to where ``theirs`` is; how many bytes of documents were fetched for that."""
        assert self.theirs.generation
        self.counted.clear()
        self.ours.load(self.theirs.generation)
        return self.counted.fetched

    @property
    def size(self) -> int:
        """How large all four documents are."""
        assert self.theirs.generation
        return sum(document.size for document, _ in sources(self.theirs.generation))


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(tmp_path)
    pair.commit(*LISTED)
    pair.follow()
    yield pair
    pair.close()


def contents(cache: Cache, index: Index) -> list[object]:
    """All that an index and its cache hold, but for where in the files it lies."""
    columns = range(len(text.COLUMNS))
    return [
        (index.generation, index.packing, *map(list, (index.checksums, index.heads, index.tails))),
        *(
            (
                segment.first,
                segment.packages,
                list(segment.crcs),
                [cache.text(column, segment) for column in columns],
                [cache.packs[column].read(segment.packs[column]) for column in columns],
            )
            for segment in index.segments
        ),
    ]


def assert_as_from_the_documents(documents: Documents) -> None:
    """The engine's cache holds what one has that was just made of the stored documents."""
    assert documents.generation
    ours = documents.repodata._cache
    index = ours.load()
    assert index
    with TemporaryDirectory() as folder:
        cold = Cache(Path(folder), text.COLUMNS)
        try:
            wanted = contents(cold, segmented(documents.store, cold, documents.generation))
        finally:
            cold.close()
    assert contents(ours, index) == wanted


def test_one_package_of_another_daemon_costs_its_segment_and_not_the_documents(pair: Pair) -> None:
    pair.commit(FRESH[0])
    fetched = pair.follow()
    assert 0 < fetched < pair.size / 4
    assert_as_from_the_documents(pair.ours)
    assert pair.ours.listed() == pair.theirs.listed()


def test_no_byte_is_fetched_that_did_not_change_but_between_neighbours(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catchup, "_GAP", 0)
    generation = pair.commit(FRESH[0])
    assert generation.patch
    assert pair.follow() == sum(sum(packed) for run in generation.patch.runs for packed in run.packed)


def test_many_generations_at_once_cost_no_more_than_what_is_there_in_the_end(pair: Pair) -> None:
    for one in FRESH[:6]:
        pair.commit(one)
    for one in FRESH[:6]:
        pair.commit(gone=(one,))
    # All is as before, and its documents are the same again, but for the name of the frozen one.
    assert pair.follow() == 0
    assert len(pair.counted.asked) == 0
    assert_as_from_the_documents(pair.ours)


@pytest.mark.parametrize("compression", ["gz", "zstd"])
@pytest.mark.parametrize("seed", range(6))
def test_whatever_two_engines_publish_in_turn_each_has_what_a_cold_start_has(
    seed: int, compression: str, tmp_path: Path
) -> None:
    draw = random.Random(seed)
    pair = Pair(tmp_path, compression=compression)
    pool, there = list(PACKAGES), dict.fromkeys(LISTED)
    pair.commit(*there)
    pair.follow()
    for _ in range(8):
        writer = draw.choice((pair.ours, pair.theirs))
        writer.load((pair.ours if writer is pair.theirs else pair.theirs).generation)
        for _ in range(draw.randint(1, 4)):
            gone = tuple(draw.sample(list(there), min(len(there), draw.choice((0, 0, 1, 3)))))
            new = tuple(draw.sample(pool, draw.choice((1, 1, 2, 5))))
            again = tuple(made(one.nevra, str(draw.random())) for one in draw.sample(list(there), draw.choice((0, 1))))
            nevras = {one.nevra for one in (*new, *again, *gone)}
            there = dict.fromkeys(
                [
                    *(one for one in there if one.nevra not in nevras),
                    *{one.nevra: one for one in (*new, *again)}.values(),
                ]
            )
            pair.commit(*{one.nevra: one for one in (*new, *again)}.values(), gone=gone, by=writer)
        other = pair.theirs if writer is pair.ours else pair.ours
        other.load(writer.generation)
        assert_as_from_the_documents(other)
        assert {package.nevra for package in other.listed()} == {one.nevra for one in there}
    pair.close()


def test_an_engine_that_caught_up_makes_the_same_documents_as_one_that_published(pair: Pair) -> None:
    pair.commit(FRESH[0])
    pair.follow()
    ours = pair.ours.repodata
    here, there = (one.draft(Change(entries=entries([FRESH[1]])), 3, 9) for one in (ours, pair.theirs.repodata))
    assert here.documents == there.documents
    assert here.patch == there.patch


def test_a_daemon_that_was_away_catches_up_from_what_it_kept_on_disk(pair: Pair, tmp_path: Path) -> None:
    pair.ours.repodata.close()
    pair.commit(FRESH[0])
    pair.ours = Documents(pair.counted, tmp_path / "ours")
    assert 0 < pair.follow() < pair.size / 4
    assert_as_from_the_documents(pair.ours)


@pytest.mark.parametrize("single_stream", [True, False])
def test_documents_that_do_not_say_what_they_rewrote_are_read_whole(
    single_stream: bool,
    tmp_path: Path,
) -> None:
    pair = Pair(tmp_path, single_stream=single_stream)
    pair.commit(*LISTED)
    pair.follow()
    generation = pair.commit(FRESH[0])
    assert (generation.patch is None) == single_stream
    pair.theirs.generation = replace(generation, patch=None)
    assert pair.follow() >= pair.size
    assert pair.ours.listed() == pair.theirs.listed()
    pair.close()


def test_records_that_are_pruned_meanwhile_are_not_needed(pair: Pair) -> None:
    pair.commit(FRESH[0])
    pair.commit(FRESH[1])
    pair.inner.remove(record_path(2))
    assert pair.follow() >= pair.size
    assert_as_from_the_documents(pair.ours)


def _lying(patch: Patch) -> Iterator[Patch]:
    """Patches that are not what the documents are."""
    [run] = patch.runs
    (first, *others), *more = run.packed
    for wrong in (
        Rewritten(start=run.start + 1, stop=run.stop + 1, packed=run.packed),
        Rewritten(start=run.start, stop=run.stop + 10_000, packed=run.packed),
        Rewritten(start=-1, stop=run.stop, packed=run.packed),
        Rewritten(start=run.start, stop=run.stop, packed=()),
        Rewritten(start=run.start, stop=run.stop, packed=((first + 1, *others), *more)),
        Rewritten(start=run.start, stop=run.stop, packed=((first,), *more)),
    ):
        yield replace(patch, runs=(wrong,))
    yield replace(patch, heads=tuple(length + 1 for length in patch.heads), tails=tuple(n - 1 for n in patch.tails))


def test_a_record_that_says_what_is_not_so_costs_time_and_nothing_else(pair: Pair) -> None:
    generation = pair.commit(FRESH[0])
    assert generation.patch
    for number, wrong in enumerate(_lying(generation.patch)):
        with TemporaryDirectory() as folder, Documents(pair.counted, Path(folder)) as other:
            first = Generation.from_json(pair.inner.read(record_path(1)).data)
            other.load(first).load(replace(generation, patch=wrong))
            assert other.listed() == pair.theirs.listed(), number
            assert_as_from_the_documents(other)


def test_a_cache_that_was_damaged_is_found_out_and_made_anew(pair: Pair, tmp_path: Path) -> None:
    pair.commit(FRESH[0])
    [packed] = (tmp_path / "ours").glob("epoch-*/other.packed")
    data = bytearray(packed.read_bytes())
    data[len(data) // 2] ^= 1
    packed.write_bytes(data)
    assert pair.follow() >= pair.size
    assert_as_from_the_documents(pair.ours)


def test_documents_that_are_gone_are_told_as_such(pair: Pair) -> None:
    generation = pair.commit(FRESH[0])
    pair.inner.remove(generation.documents[0].href)
    with pytest.raises(NotFound, match=r"generation 2: .*restore it"):
        pair.ours.load(generation)


def test_what_was_hashed_of_the_unchanged_beginning_is_not_hashed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks, "_APART", 1000)
    pair = Pair(tmp_path)
    pair.commit(*LISTED)
    pair.ours.load(pair.theirs.generation)
    pair.commit(made(LISTED[0].nevra, "another build"), by=pair.ours)
    pair.theirs.load(pair.ours.generation)
    before = pair.ours.repodata._marks
    pair.commit(made(LISTED[-1].nevra, "another build"))
    pair.follow()
    after = pair.ours.repodata._marks
    for old, new in zip((*before[0], *before[1]), (*after[0], *after[1]), strict=True):
        kept = [mark for mark in old.marks if mark in new.marks]
        assert len(old.marks) - len(kept) <= 2
        assert len(kept) >= 2
    assert_as_from_the_documents(pair.ours)
    pair.close()


def test_a_record_of_ten_thousand_packages_that_touch_everything_says_nothing_of_segments(pair: Pair) -> None:
    generation = pair.commit(*FRESH)
    assert generation.patch is None
    small = pair.commit(gone=(FRESH[0],))
    assert small.patch
    assert len(small.to_json()) - len(replace(small, patch=None).to_json()) < 500
    assert Generation.from_json(small.to_json()) == small
