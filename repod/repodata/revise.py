"""Which segments a change rewrites, and what they become: read, changed, packed and proven beside each other."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from repod.doors import Change
from repod.errors import Corrupt
from repod.package import Entry, Order, Package
from repod.repodata import codec, segments, text
from repod.repodata.cache import Cache
from repod.repodata.codec import Packing
from repod.repodata.segments import Run, Segment

_AHEAD = 8
"""Segments that are packed and not yet in the cache, at most: they are in memory."""
_AT_ONCE = 500
"""Entries that are parsed in one go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """A segment that this draft packed, with its members still in memory; a stream has none."""

    segment: Segment
    members: Sequence[bytes]


Plan = Sequence[slice | Fresh]
"""A document's segments in order: runs of the parent's, and fresh ones between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """A segment's text in one column, its CRC-32, and its member; a stream has none."""

    text: bytes
    crc: int
    member: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Awaited:
    """A segment that is being packed: its place in the plan, its packages, its columns, the proof of what is new."""

    at: int
    rows: Sequence[text.Row]
    columns: Sequence[Future[_Column]]
    proof: Future[None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Changed:
    """A run of segments after a change: its packages in order, those that are new, and those that it takes out."""

    run: Run
    rows: Sequence[text.Row]
    added: Mapping[Order, Entry]
    gone: Sequence[Package]


class Reviser:
    """Makes the segments of the next generation. Not thread-safe, as the cache is not."""

    def __init__(self, cache: Cache, packing: Packing, threads: Executor) -> None:
        """``threads`` do the packing and proving."""
        self._cache = cache
        self._packing = packing
        self._threads = threads

    def plan(self, old: Sequence[Segment], change: Change, *, anew: bool) -> tuple[Plan, list[Package]]:
        """What the next documents are made of, and the packages that ``change`` takes out.

        ``old``: the parent's segments; with ``anew`` none of their members is used.
        """
        plan: list[slice | Fresh] = []
        gone: list[Package] = []
        awaited = deque[_Awaited]()
        done = 0

        def take() -> None:
            one = awaited.popleft()
            one.proof.result()
            plan[one.at] = self._kept(one.rows, [column.result() for column in one.columns])

        for changed in self._changed(old, change, anew=anew):
            plan.append(slice(done, changed.run.start))
            done = changed.run.stop
            gone += changed.gone
            for cut in segments.groups([row.order for row in changed.rows]):
                if len(awaited) >= _AHEAD:
                    take()
                awaited.append(self._pack(len(plan), changed.rows[cut], changed.added))
                plan.append(slice(0))
        while awaited:
            take()
        plan.append(slice(done, len(old)))
        return plan, gone

    def _changed(self, old: Sequence[Segment], change: Change, *, anew: bool) -> Iterator[_Changed]:
        added = sorted({entry.package.nevra: entry for entry in change.entries}.values(), key=_order)
        removed = {nevra.order for nevra in change.removed}
        runs = segments.touched(old, [*map(_order, added), *removed])
        at = 0
        for run in _filled(runs, len(old)) if anew else runs:
            start = at
            while at < len(added) and (run.stop >= len(old) or _order(added[at]) < old[run.stop].first):
                at += 1
            rows = {row.order: row for part in old[run.start : run.stop] for row in self._rows(part)}
            fresh = {_order(entry): entry for entry in added[start:at]}
            leaving = sorted((removed | fresh.keys()) & rows.keys())
            gone = list(_packages([rows.pop(order).texts[0] for order in leaving]))
            rows |= {order: text.row(entry) for order, entry in fresh.items()}
            yield _Changed(run=run, rows=[rows[order] for order in sorted(rows)], added=fresh, gone=gone)

    def _rows(self, segment: Segment) -> list[text.Row]:
        return text.rows([self._cache.text(column, segment) for column in range(len(text.COLUMNS))])

    def _pack(self, at: int, rows: Sequence[text.Row], added: Mapping[Order, Entry]) -> _Awaited:
        submit = self._threads.submit
        columns = [submit(_packed, rows, column, self._packing) for column in range(len(text.COLUMNS))]
        fresh = [row for row in rows if row.order in added]
        proof = submit(_prove, [added[row.order].package for row in fresh], fresh)
        return _Awaited(at=at, rows=rows, columns=columns, proof=proof)

    def _kept(self, rows: Sequence[text.Row], columns: Sequence[_Column]) -> Fresh:
        members = [column.member for column in columns if column.member is not None]
        segment = Segment(
            first=rows[0].order,
            packages=len(rows),
            texts=[log.append(column.text) for log, column in zip(self._cache.texts, columns, strict=True)],
            crcs=[column.crc for column in columns],
            packs=[self._cache.packs[column].append(member) for column, member in enumerate(members)],
        )
        return Fresh(segment=segment, members=members)


def _packages(entries: Sequence[bytes]) -> Iterator[Package]:
    """The packages of primary's entries, some at a time: a parsed document is let go of in one step, which is long."""
    for at in range(0, len(entries), _AT_ONCE):
        yield from text.packages(b"".join(entries[at : at + _AT_ONCE]))


def _order(entry: Entry) -> Order:
    return entry.package.nevra.order


def _filled(runs: Iterable[Run], count: int) -> Iterator[Run]:
    """``runs``, and each of the ``count`` segments that is in none of them as a run of its own."""
    done = 0
    for run in runs:
        yield from (Run(start=at, stop=at + 1) for at in range(done, run.start))
        yield run
        done = run.stop
    yield from (Run(start=at, stop=at + 1) for at in range(done, count))


def _packed(rows: Sequence[text.Row], column: int, packing: Packing) -> _Column:
    """One column of a segment, read back strictly: its member unpacks to the very texts of its packages.

    What is new among them is proven beside this; the others were when they came.
    """
    plain = b"".join(row.texts[column] for row in rows)
    member = None if packing.stream else packing.codec.pack(plain)
    if member is not None and packing.codec.unpack(member) != plain:
        msg = f"{text.COLUMNS[column]} of {rows[0].order[0]} does not read back as it was written"
        raise Corrupt(msg)
    return _Column(text=plain, crc=codec.crc(plain), member=member)


def _prove(packages: Sequence[Package], rows: Sequence[text.Row]) -> None:
    """Show that ``rows``, wherever they stand, say just that ``packages`` are listed; ``Corrupt`` else."""
    alone = all(text.is_entry(data) for row in rows for data in row.texts)
    listed = text.prove([b"".join(row.texts[column] for row in rows) for column in range(len(text.COLUMNS))])
    if not alone or listed != packages:
        names = ", ".join(str(package.nevra) for package in packages)
        msg = f"the metadata of {names} does not say what the package is; nothing was published"
        raise Corrupt(msg)
