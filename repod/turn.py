"""One turn of a repository: take in what its inbox holds, publish it, clear it away."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from repod.beside import Threads, threads
from repod.documents import Scales, Verdict, in_words
from repod.doors import Arrival, Change, Clock, Inbox
from repod.errors import RepodError, Unavailable
from repod.generation import Generation
from repod.intake import ANOTHER_FIRST, Intake, Outcome
from repod.package import Fault, is_rpm
from repod.publish import Publisher

BATCH = 500
"""Arrivals per generation at the most: a burst becomes visible in a few steps, not at its end."""


_SIDE_BY_SIDE = 8  # arrivals that are removed at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why an arrival that is done with could not be cleared away; ``checksum`` is empty where it was not read."""

    text: str
    checksum: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one turn did.

    ``generation`` is the one published, or None. ``places`` says of each rejected
    arrival, by its name, where it now lies. ``more`` says that a turn at once would get on.
    """

    seen: Sequence[Arrival]
    outcomes: Sequence[Outcome]
    generation: Generation | None
    places: Mapping[str, str]
    problems: Sequence[Problem]
    more: bool
    seconds: float
    published_seconds: float


class Turns:
    """The turns of one repository."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        intake: Intake,
        publisher: Publisher,
        scales: Scales,
        clock: Clock,
        usable: Callable[[], None],
        refusing: Callable[[Outcome, float], object] = lambda _outcome, _now: None,
        threads: Threads = threads,
    ) -> None:
        """``usable`` raises where the key may not sign now.

        ``refusing`` is told of an arrival before it is rejected, and when; where it raises, that waits.
        """
        self._inbox = inbox
        self._intake = intake
        self._publisher = publisher
        self._scales = scales
        self._clock = clock
        self._usable = usable
        self._refusing = refusing
        self._threads = threads
        self._held = set[str]()

    def stop(self) -> None:
        """Make a turn under way end soon; what it has not begun stays in the inbox."""
        self._intake.stop()

    def turn(self, actor: str) -> Report:
        """Do one turn. Raises where nothing could be done; the arrivals are still there then."""
        start = time.perf_counter()
        seen = list(self._inbox.scan())
        # Those that could not be taken in last time stand back, so that they never keep out the others.
        ready = sorted((a for a in seen if not a.waiting), key=lambda arrival: arrival.name in self._held)
        outcomes: list[Outcome] = []
        generation, published = None, 0.0
        if ready:
            self._usable()
            parent = self._publisher.refresh()
            outcomes = self._weighed(parent, self._intake.take_in(ready[:BATCH]))
            before = time.perf_counter()
            generation = self._publish(seen, outcomes, actor)
            published = time.perf_counter() - before
        self._held = {o.arrival.name for o in outcomes if not o.settled and o.problem != ANOTHER_FIRST}
        places, problems = self._clear(outcomes)
        left = len(ready) > BATCH or any(outcome.problem == ANOTHER_FIRST for outcome in outcomes)
        return Report(
            seen=seen,
            outcomes=outcomes,
            generation=generation,
            places=places,
            problems=problems,
            more=left and any(outcome.settled for outcome in outcomes),
            seconds=time.perf_counter() - start,
            published_seconds=published,
        )

    def _weighed(self, parent: Generation | None, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """The outcomes, with a verdict on each edit."""
        entries = [outcome.entry for outcome in outcomes if outcome.entry]
        edits = [outcome.edit for outcome in outcomes if outcome.edit]
        verdicts = iter(self._scales.weigh(parent, edits, entries))
        return [_judged(outcome, next(verdicts)) if outcome.edit else outcome for outcome in outcomes]

    def _publish(self, seen: list[Arrival], outcomes: list[Outcome], actor: str) -> Generation | None:
        """Publish what is accepted. What joins it after a lost race is added to ``seen`` and ``outcomes``."""
        if not any(outcome.result == "accepted" for outcome in outcomes):
            return None

        def again() -> tuple[Change, str]:
            self._join(seen, outcomes)
            return _change(outcomes)

        change, why = _change(outcomes)
        replace = self._intake.replaces
        return self._publisher.publish(change, actor=actor, why=why, replace=replace, again=again)

    def _join(self, seen: list[Arrival], outcomes: list[Outcome]) -> None:
        """Take in what arrived while others published; packages only, since documents are weighed on a generation."""
        room = BATCH - len(outcomes)
        known = {arrival.name for arrival in seen}
        with contextlib.suppress(Unavailable):  # then what is there goes alone, and the next turn says why
            came = [arrival for arrival in self._inbox.scan() if arrival.name not in known]
            fresh = [arrival for arrival in came if is_rpm(arrival.name) and not arrival.waiting][:room]
            if fresh:
                self._publisher.refresh()
                pending = {outcome.entry.package.nevra for outcome in outcomes if outcome.entry}
                seen += fresh
                outcomes += self._intake.take_in(fresh, pending)

    def _clear(self, outcomes: Sequence[Outcome]) -> tuple[dict[str, str], list[Problem]]:
        """Remove what is live and move what is refused; a problem with one does not stop the others."""
        places: dict[str, str] = {}
        live = [outcome for outcome in outcomes if outcome.result in {"accepted", "duplicate"}]
        # Beside each other: in a bucket each takes some 20 ms, most of them of waiting.
        with self._threads(_SIDE_BY_SIDE, "turn") as beside:
            problems = list(filter(None, beside.map(self._removed, live)))
        for outcome in outcomes:
            if outcome.result == "rejected":
                name, now = outcome.arrival.name, self._clock()
                try:
                    self._refusing(outcome, now)
                    places[name] = self._inbox.reject(outcome.arrival, outcome.faults, outcome.checksum, now)
                except RepodError as error:
                    problems.append(Problem(text=f"{name}: {error}", checksum=outcome.checksum))
        return places, problems

    def _removed(self, outcome: Outcome) -> Problem | None:
        """What stood against removing an arrival; None where it is gone."""
        try:
            self._inbox.remove(outcome.arrival)
        except RepodError as error:
            return Problem(text=f"{outcome.arrival.name}: {error}", checksum=outcome.checksum)
        return None


def _change(outcomes: Sequence[Outcome]) -> tuple[Change, str]:
    """What publishing is to do with what is accepted, and why."""
    accepted = [outcome for outcome in outcomes if outcome.result == "accepted"]
    entries = [outcome.entry for outcome in accepted if outcome.entry]
    edits = [outcome.edit for outcome in accepted if outcome.edit]
    return Change(entries=entries, edits=edits), f"{in_words(edits, entries)} arrived"


def _judged(outcome: Outcome, verdict: Verdict) -> Outcome:
    rejected = verdict.result == "rejected"
    return replace(
        outcome,
        result=verdict.result,
        faults=[Fault(code="document", text=verdict.text)] if rejected else (),
        problem="" if rejected else verdict.text,
    )
