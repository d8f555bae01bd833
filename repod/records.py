"""The records of a repository: whether they hang together, and what each generation lists by them."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from repod.doors import Store
from repod.errors import Corrupt, NotFound
from repod.finding import Finding, fault, note
from repod.generation import HEAD, Generation, Head, record_number, record_path
from repod.package import Nevra, Package, Sha256, digest, store_path
from repod.placed import Placed, StoredDocuments

Contents = dict[Nevra, Package]
"""What a generation lists."""

_COPY = "restore it from a copy of the store"


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """``head``: what the pointer says; None where it is missing or unreadable. ``known`` are by number.

    ``digests``: the SHA-256 of each as it is stored.
    """

    head: int | None
    known: Mapping[int, Generation]
    digests: Mapping[int, Sha256] = field(default_factory=dict)

    @property
    def current(self) -> Generation | None:
        """The generation that the pointer names, where its record is there."""
        return None if self.head is None else self.known.get(self.head)

    @property
    def pending(self) -> int:
        """The newest generation that has a record, where the pointer names none that has; else 0."""
        newest = max(self.known, default=0)
        return newest if self.current is None and newest > (self.head or 0) else 0

    def one(self, number: int | None) -> Generation:
        """The generation of that number, None: the current one; ``NotFound`` tells which there are."""
        kept = self.kept
        if not kept:
            msg = "nothing was ever published"
            raise NotFound(msg)
        if number is None:
            return kept[0]
        newest, oldest = kept[0].number, kept[-1].number
        if number in self.known and number <= newest:
            return self.known[number]
        if oldest > number >= 1:
            msg = f"generation {number} is not kept any more; the oldest that is kept is {oldest}"
        else:
            msg = f"there is no generation {number}; the current one is {newest}, the oldest that is kept {oldest}"
        raise NotFound(msg)

    @property
    def kept(self) -> Sequence[Generation]:
        """The generations up to the current one, newest first."""
        return [self.known[n] for n in sorted(self.known, reverse=True) if self.head is None or n <= self.head]


def read_records(store: Store) -> tuple[Records, Sequence[Finding]]:
    """The records that are there, and everything that is wrong with them."""
    findings: list[Finding] = []
    known: dict[int, Generation] = {}
    digests: dict[int, Sha256] = {}
    # In this order: a publish that goes on meanwhile makes more records, never fewer.
    head = _head(store, findings)
    listed = sorted(stored.path for stored in store.list(".repod/generations/"))
    for path in listed:
        number = record_number(path)
        if number is None:
            findings.append(note("stray", path, "no record of a generation; remove it if nobody needs it"))
            continue
        try:
            data = store.read(path).data
            generation = Generation.from_json(data)
        except NotFound:  # pruned meanwhile
            continue
        except Corrupt as error:
            findings.append(fault("record", path, str(error)))
            continue
        if generation.number != number:
            text = f"it says that it is generation {generation.number}; {_COPY}"
            findings.append(fault("record", path, text))
            continue
        known[generation.number], digests[generation.number] = generation, digest(data)
    records = Records(head=head, known=known, digests=digests)
    if head is not None:
        findings += _about_the_pointer(head, _head(store, []) or head, sorted(known))
    told = {finding.path for finding in findings}
    return records, [*findings, *(finding for finding in _broken(records) if finding.path not in told)]


def _head(store: Store, findings: list[Finding]) -> int | None:
    try:
        return Head.from_json(store.read(HEAD).data).generation
    except NotFound:
        pass  # what that means depends on what else is there
    except Corrupt as error:
        findings.append(fault("pointer", HEAD, str(error)))
    return None


def _broken(records: Records) -> Iterator[Finding]:
    yield from _breaches(records.known)
    yield from _altered(records)


def _altered(records: Records) -> Iterator[Finding]:
    """Records that are not the ones on which the next generations were made; the newest has none that says it."""
    for number, generation in sorted(records.known.items()):
        expected, found = generation.parent_sha256, records.digests.get(number - 1) if generation.parent else None
        if found and expected and found != expected:
            text = (
                f"altered since generation {number} was made: its record says sha256 {expected}, found {found}; {_COPY}"
            )
            yield fault("record", record_path(generation.parent), text)
        elif found and not expected and records.known[generation.parent].parent_sha256:
            text = (
                f"it does not say the sha256 of record {generation.parent}: an older repod made it, or it was altered"
            )
            yield note("record", record_path(number), text)


def _breaches(known: Mapping[int, Generation]) -> Iterator[Finding]:
    numbers = sorted(known)
    for before, after in itertools.pairwise(numbers):
        if after != before + 1 and known[after].parent:
            text = f"missing, though an older one is kept: what became of {before + 1} to {after - 1} is lost; {_COPY}"
            yield fault("record", record_path(before + 1), text)
        elif known[after].time < known[before].time:
            text = f"its time lies before that of generation {before}: clients may refuse it; publish again"
            yield fault("record", record_path(after), text)
    for number in numbers:
        parent = known[number].parent
        if parent not in {0, number - 1}:
            yield fault("record", record_path(number), f"its parent is {parent}, expected {number - 1}; {_COPY}")


def _about_the_pointer(head: int, after: int, numbers: Sequence[int]) -> Iterator[Finding]:
    """``after``: what the pointer said when all records were read."""
    if head not in numbers:
        text = f"generation {head} is current and its record is missing or unreadable; {_COPY}, or: repod rebuild"
        yield fault("record", record_path(head), text)
    for number in numbers:
        if number == after + 1:
            text = "a publish is under way, or was stopped: the next start finishes it"
            yield note("record", record_path(number), text)
        elif number > after:
            yield fault("pointer", HEAD, f"it says {head}, and there is a record of generation {number}; {_COPY}")


def primaries(generation: Generation) -> Sequence[Placed]:
    """The two documents that list the packages of a generation."""
    live = generation.documents[0]
    frozen = generation.frozen
    return [
        Placed(document=live, path=live.href),
        Placed(document=frozen, path=store_path(generation.view + frozen.href)),
    ]


def listed(documents: StoredDocuments, generation: Generation) -> Contents | None:
    """What the generation's own documents list; None where neither primary is sound."""
    for placed in primaries(generation):
        with suppress(Corrupt, NotFound):
            found = {package.nevra: package for package in documents.listing(placed)}
            if len(found) == generation.packages:
                return found
    return None


def undo(contents: Contents, generation: Generation) -> Sequence[str]:
    """Turn what ``generation`` lists into what its parent lists; everything in which the record is not so."""
    texts = [
        f"it says that it added {package.nevra}, which it does not list so"
        for package in generation.added
        if contents.pop(package.nevra, None) != package
    ]
    texts += [
        f"it says that it removed {package.nevra}, which it lists still"
        for package in generation.removed
        if package.nevra in contents
    ]
    contents.update({package.nevra: package for package in generation.removed})
    return texts


def contents(records: Records, documents: StoredDocuments, generation: Generation) -> Contents | None:
    """What ``generation`` lists, by any document and by the chain of records; None where that is not known."""
    older = _redone(documents, _back(records, generation))
    for found in (older, _undone(documents, _forward(records, generation)) if older is None else None):
        if found is not None and len(found) == generation.packages:
            return found
    return None


def _back(records: Records, generation: Generation) -> Iterator[Generation]:
    one: Generation | None = generation
    while one is not None:
        yield one
        one = records.known.get(one.parent)


def _forward(records: Records, generation: Generation) -> Iterator[Generation]:
    for number in itertools.count(generation.number + 1):
        if number not in records.known:
            return
        yield records.known[number]


def _redone(documents: StoredDocuments, back: Iterable[Generation]) -> Contents | None:
    """From the next older generation whose documents are sound, or from the first, forward again."""
    steps: list[Generation] = []
    for one in back:
        found = listed(documents, one)
        if found is None:
            steps.append(one)
            if one.parent:
                continue
            found = {}
        for step in reversed(steps):
            for package in step.removed:
                found.pop(package.nevra, None)
            found.update({package.nevra: package for package in step.added})
        return found
    return None


def _undone(documents: StoredDocuments, forward: Iterable[Generation]) -> Contents | None:
    """From the next newer generation whose documents are sound, back again."""
    steps: list[Generation] = []
    for one in forward:
        steps.append(one)
        found = listed(documents, one)
        if found is None:
            continue
        for step in reversed(steps):
            undo(found, step)
        return found
    return None
