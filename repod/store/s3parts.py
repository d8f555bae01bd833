"""Of which parts a large object is made: ranges that S3 copies itself, and bytes that are sent. Pure.

S3 demands of a multipart upload that every part but the last has at least 5 MiB, that none has more than
5 GiB, and that there are at most 10,000
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html). So literal bytes between two ranges
that could be copied must be made up to 5 MiB with bytes of these ranges, and a range is copied only
where enough of it is left.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from repod.package import StorePath


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """``length`` bytes, in the order of the object; where ``path`` is set they also lie there, from ``offset``."""

    length: int
    path: StorePath | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """A part that S3 takes from ``length`` bytes at ``offset`` of the object at ``path``."""

    path: StorePath
    offset: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A part that is sent: ``length`` bytes at ``start`` of the object that is made."""

    start: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What parts may be: bytes of any but the last (``least``), of each (``most``), and how many (``count``).

    A sent part has about ``block`` bytes, at least twice ``least``; more only where there would be too many.
    """

    least: int = 5 << 20
    most: int = 5 << 30
    count: int = 10_000
    block: int = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A range that may be copied: where it lies in the object, how much may be cut from it, and its source."""

    start: int
    end: int
    spare: int
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """The best known so far where ``candidate`` is the last that is copied.

    ``sent``: bytes sent before it. ``head``: cut from its own begin; ``tail``: cut from the end of the one
    before, for the gap between them. ``slack``: what may still be cut from it.
    """

    sent: int
    slack: int
    candidate: _Candidate | None = None
    before: "_Choice | None" = None
    head: int = 0
    tail: int = 0


@dataclass(slots=True)
class _Row:
    """The choices that end with one candidate, none worse than another in both bytes and slack."""

    choices: list[_Choice] = field(default_factory=list)

    def offer(self, choice: _Choice) -> None:
        if any(known.sent <= choice.sent and known.slack >= choice.slack for known in self.choices):
            return
        self.choices = [one for one in self.choices if one.sent < choice.sent or one.slack > choice.slack]
        self.choices.append(choice)


def plan(spans: Sequence[Span], limits: Limits = Limits()) -> Sequence[Copied | Sent]:
    """Parts that join to the bytes of ``spans``; of all that keep the limits, those that send the least.

    Where these are too many, only longer ranges are copied. An object without bytes has no parts. It is
    up to the caller that it is not larger than ``count`` times ``most``.
    """
    size, least = sum(span.length for span in spans), limits.least
    while True:
        parts = _parts(_best(_candidates(_merged(spans), limits, least), size, limits), size, limits)
        if len(parts) <= limits.count:
            return parts
        least *= 2


def _merged(spans: Sequence[Span]) -> Sequence[Span]:
    merged: list[Span] = []
    for span in spans:
        last = merged[-1] if merged else None
        if not span.length:
            continue
        if last and last.path == span.path and (span.path is None or last.offset + last.length == span.offset):
            merged[-1] = Span(length=last.length + span.length, path=last.path, offset=last.offset)
        else:
            merged.append(span)
    return merged


def _candidates(spans: Sequence[Span], limits: Limits, least: int) -> Sequence[_Candidate]:
    found, start = [], 0
    for number, span in enumerate(spans, 1):
        end = start + span.length
        last = number == len(spans)
        if span.path is not None and (last or span.length >= least):
            # The last part may be as short as one byte.
            spare = span.length - (1 if last else limits.least)
            found.append(_Candidate(start=start, end=end, spare=spare, span=span))
        start = end
    return found


def _best(candidates: Sequence[_Candidate], size: int, limits: Limits) -> _Choice:
    """Which candidates are copied, and what is cut of each, so that the least is sent.

    The gap before a candidate is filled from the one before first: what is cut counts the same on both
    sides, and what is left of the later one can still serve the next gap.
    """
    rows = [_Row([_Choice(sent=0, slack=0)])]
    for candidate in candidates:
        row = _Row()
        for before in (one for known in rows for one in known.choices):
            gap = candidate.start - (before.candidate.end if before.candidate else 0)
            wanted = max(0, limits.least - gap) if gap else 0
            tail = min(wanted, before.slack)
            head = wanted - tail
            if head <= candidate.spare:
                sent, slack = before.sent + gap + wanted, candidate.spare - head
                row.offer(_Choice(sent=sent, slack=slack, candidate=candidate, before=before, head=head, tail=tail))
        rows.append(row)

    def total(choice: _Choice) -> int:
        return choice.sent + size - (choice.candidate.end if choice.candidate else 0)

    return min((choice for row in rows for choice in row.choices), key=total)


def _parts(last: _Choice, size: int, limits: Limits) -> Sequence[Copied | Sent]:
    chosen: list[_Choice] = []
    choice: _Choice | None = last
    while choice and choice.candidate:
        chosen.append(choice)
        choice = choice.before
    chosen.reverse()
    parts: list[Copied | Sent] = []
    done = 0
    for number, one in enumerate(chosen):
        here = one.candidate
        if here is None:
            continue
        start = here.start + one.head
        end = here.end - (chosen[number + 1].tail if number + 1 < len(chosen) else 0)
        parts += _sent(done, start, size, limits)
        parts += [
            Copied(path=here.span.path or StorePath(""), offset=here.span.offset + at - here.start, length=length)
            for at, length in even(start, end, limits.most)
        ]
        done = end
    return [*parts, *_sent(done, size, size, limits)]


def _sent(start: int, end: int, size: int, limits: Limits) -> Sequence[Sent]:
    block = max(limits.block, -(-size // max(1, limits.count // 2)))
    return [Sent(start=at, length=length) for at, length in even(start, end, min(block, limits.most))]


def even(start: int, end: int, most: int) -> Sequence[tuple[int, int]]:
    """``start`` to ``end`` in as few pieces of at most ``most`` as can be, each as long as the others or one longer."""
    length = end - start
    number = -(-length // most)
    cuts = [start + length * index // number for index in range(number + 1)] if number else []
    return [(one, two - one) for one, two in itertools.pairwise(cuts)]
