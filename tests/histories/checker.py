"""Whether a history is one that a single, sequential repository could have had.

Linearizability is hard to decide in general, since an order of the operations has to be found. Here it is given: an
operation that changes what is listed takes effect where the pointer comes to its generation, and generations are
numbered. So the checker goes through the numbers once, and asks of each whether the operation that made it, done
alone on its parent, gives just that (``model``); of each operation, whether what its caller was told is what the
numbers say, between the moments at which it was asked for and answered; and of each look of a reader, whether it saw
one of the generations that were current while it looked, whole, and none older than any look or answer before it.
Real-time order follows: an operation that ended before another began has its number before that began.

An operation whose caller was told that it failed, or whose process died, may have an effect once, at any later time.
One that was refused has none.
"""

import bisect
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tests.histories import model
from tests.histories.history import History, Look, Operation, Violation
from tests.histories.replay import Replay

_NEVER_REFUSED = {"start", "arrive", "prune", "resign"}
_VIEWS = ("live", "mirrorlist", "metalink")


class Checker:
    """Checks one repository's history. ``first``: the generation that was current when it began."""

    def __init__(self, replay: Replay, history: History, first: int) -> None:
        self.replay = replay
        self.first = first
        self.name = replay.name
        self.operations = [one for one in history.operations if one.repository == replay.name]
        self.looks = [one for one in history.looks if one.repository == replay.name]
        self.marks = model.Marks(self.operations)
        self._steps = [(replay.current[number], number) for number in sorted(replay.current)]

    def check(self) -> Iterator[Violation]:
        """Everything that is wrong."""
        yield from self.replay.violations
        effects = defaultdict[str, list[int]](list)
        by_name = {one.name: one for one in self.operations}
        for number in range(self.first + 1, self.replay.head + 1):
            operation = by_name.get(self._maker(number))
            if operation is None:
                yield self._wrong(
                    "each generation is one operation's", f"generation {number} is nobody's: {self._told(number)}"
                )
                continue
            effects[operation.name].append(number)
            yield from self._as_the_model_says(number, operation)
        for operation in self.operations:
            yield from self._answered(operation, effects[operation.name])
        yield from self._seen()

    def _wrong(self, rule: str, text: str) -> Violation:
        return Violation(repository=self.name, rule=rule, text=text)

    def _maker(self, number: int) -> str:
        made = self.replay.made[number]
        return made.why.rpartition("[")[2].rstrip("]") if made.actor == "retention" else made.actor

    def _told(self, number: int) -> str:
        made = self.replay.made[number]
        return f"by {made.actor}, {made.why!r}"

    # ------------------------------------------------------------ the model

    def _as_the_model_says(self, number: int, operation: Operation) -> Iterator[Violation]:
        made = self.replay.made[number]
        if made.claimed < operation.began:
            text = f"generation {number} is there before {operation.name}, which made it, was asked for"
            yield self._wrong("effects come after their cause", text)
        for text in model.wrong(operation, made, self.replay.contents, self.marks):
            yield self._wrong(
                f"{operation.kind} is what the model says", f"generation {number}, {operation.name}: {text}"
            )

    # ------------------------------------------------------------ answers

    def _window(self, operation: Operation) -> range:
        """The generations that were current at some time between question and answer."""
        ended = operation.ended if operation.ended is not None else self._steps[-1][0]
        return range(self._at(operation.began), self._at(ended) + 1)

    def _at(self, step: int) -> int:
        """The generation that was current after a step."""
        at = bisect.bisect_right(self._steps, (step, self.replay.head + 1)) - 1
        return self._steps[at][1]

    def _answered(self, operation: Operation, effects: Sequence[int]) -> Iterator[Violation]:
        name = f"{operation.name} ({operation.kind} {' '.join(operation.words)})"
        if len(effects) > 1:
            yield self._wrong("one operation, one change", f"{name} made generations {effects}")
        if operation.told == "refused" and effects:
            yield self._wrong("what was refused has no effect", f"{name} was refused and made generations {effects}")
        if operation.told == "refused" and operation.kind in _NEVER_REFUSED:
            yield self._wrong("others at work are no reason to refuse", f"{name}: {operation.text}")
        if operation.told == "done":
            yield from self._done(operation, name, effects)
        if operation.told in {"done", "refused"}:
            yield from self._is_so(operation, name)

    def _done(self, operation: Operation, name: str, effects: Sequence[int]) -> Iterator[Violation]:
        window, told = self._window(operation), operation.generation
        late = [number for number in effects if number not in window[1:]]
        if late:
            text = f"{name} was told done at step {operation.ended}, its generations {late} came outside of that time"
            yield self._wrong("what was told done is done", text)
        if told is None:
            if effects:
                yield self._wrong("who did it is told", f"{name} made generations {effects} and was told of none")
            return
        if effects and told not in effects:
            yield self._wrong(
                "who did it is told which", f"{name} made generations {effects}, its caller was told {told}"
            )
        if told not in window:
            text = f"{name} was told generation {told}; current meanwhile were {window[0]} to {window[-1]}"
            yield self._wrong("a told generation was current then", text)
            return
        content = self.replay.contents[told]
        for text in model.untrue(operation, content):
            yield self._wrong("what was told is so", f"{name} was told generation {told}: {text}")

    def _is_so(self, operation: Operation, name: str) -> Iterator[Violation]:
        """What was told of builds without a change must have been so at some time meanwhile."""
        contents = [self.replay.contents[number] for number in self._window(operation)]
        for nevra, pkgid in operation.there.items():
            if not any(nevra in one and pkgid in {None, one[nevra].pkgid} for one in contents):
                yield self._wrong("what was told is so", f"{name}: {nevra} was said to be listed, and never was")
        for nevra in operation.refused:
            if not model.refusal_is_right(operation, nevra, contents, self.marks):
                yield self._wrong("who is refused had to be", f"{name}: {operation.text or nevra}")

    # ------------------------------------------------------------ readers

    def _seen(self) -> Iterator[Violation]:
        newest: dict[str, list[tuple[int, int, int, str]]] = {view: [] for view in _VIEWS}
        for operation in self.operations:
            if operation.told == "done" and operation.generation and operation.ended is not None:
                made = self.replay.made[operation.generation]
                for view in _VIEWS:
                    newest[view].append((operation.ended, made.number, made.time, f"{operation.name} was told done"))
        for look in self.looks:
            newest[look.view].append((look.ended, look.generation, look.time, f"{look.by} saw it"))
        floors = {view: _Floor(sorted(rows)) for view, rows in newest.items()}
        for look in self.looks:
            yield from self._right(look, floors)

    def _right(self, look: Look, floors: Mapping[str, "_Floor"]) -> Iterator[Violation]:
        for fault in look.faults:
            yield self._wrong("a reader sees whole repositories", f"{look}; {fault}")
        if look.generation > self._at(look.ended):
            yield self._wrong("nothing is shown before it is current", str(look))
        made = self.replay.made.get(look.generation)
        if made is None or made.time != look.time:
            yield self._wrong("a reader sees what was published", f"{look}; generation {look.generation} is {made}")
        generation, time, who = floors[look.view].before(look.began)
        if look.generation < generation or look.time < time:
            text = f"{look}; before it began: generation {generation}, time {time}, {who}"
            yield self._wrong("a reader never sees generation or time go back", text)


class _Floor:
    """The highest generation and time that anybody knew of by a step."""

    def __init__(self, rows: Sequence[tuple[int, int, int, str]]) -> None:
        self._ends = [end for end, *_ in rows]
        self._highest: list[tuple[int, int, str]] = []
        best = (0, 0, "")
        for _, generation, time, who in rows:
            best = max(best, (generation, time, who))
            self._highest.append(best)

    def before(self, step: int) -> tuple[int, int, str]:
        at = bisect.bisect_left(self._ends, step)
        return self._highest[at - 1] if at else (0, 0, "")
