"""What board and listeners hear of the turns of one repository."""

from collections.abc import Callable, Sequence

from repod import tidings
from repod.board import Board
from repod.doors import Arrival as Seen
from repod.doors import Clock
from repod.generation import Generation
from repod.happenings import Hear
from repod.intake import Outcome
from repod.office import Arrival, Waiting
from repod.prune import Pruned
from repod.turn import Report

_LONG = 60.0  # seconds after which what waits to become whole is told of


class Reporting:
    """Only the loop of the repository uses it."""

    def __init__(self, *, name: str, board: Board, hear: Hear, clock: Clock) -> None:
        """``name``: the repository's."""
        self._name = name
        self._board = board
        self._hear = hear
        self._clock = clock
        self._told: dict[str, str] = {}
        self._failing = ""

    def turn(self, report: Report, current: int) -> None:
        """A turn ended; ``current`` is the number of the generation that hosts see now."""
        number = report.generation.number if report.generation else current
        reasons: dict[str, str] = {}
        done = set[str]()
        for outcome in report.outcomes:
            if outcome.settled:
                done.add(outcome.arrival.name)
                self._settled(outcome, number, report.places.get(outcome.arrival.name, ""))
            else:
                reasons[outcome.arrival.name] = outcome.problem
        left = [arrival for arrival in report.seen if arrival.name not in done]
        self._board.seen(self._name, [_waiting(arrival, reasons) for arrival in left])
        self._waiting(left, reasons)

    def failed(self, problem: str) -> None:
        """A turn failed as a whole."""
        if problem != self._failing:
            self._failing = problem
            self._hear(tidings.failing(self._name, problem=problem, time=self._clock()))

    def fine(self) -> None:
        """A turn ended as it should."""
        if self._failing:
            self._hear(tidings.recovered(self._name, problem=self._failing, time=self._clock()))
        self._failing = ""

    def pruned(self, run: Pruned) -> None:
        """Retention was carried out."""
        if run.retired or run.removed:
            counts = {"builds": len(run.retired), "objects": len(run.removed), "size": run.size}
            self._hear(tidings.pruned(self._name, **counts, time=self._clock()))

    def _settled(self, outcome: Outcome, number: int, place: str) -> None:
        name, nevra = outcome.arrival.name, str(outcome.nevra or "")
        # What was refused unread has no checksum; who uploaded it over HTTP told it.
        checksum = outcome.checksum or self._board.name_of(self._name, name)
        rejected = outcome.result == "rejected"
        self._board.settled(
            self._name,
            Arrival(
                sha256=checksum,
                state="rejected" if rejected else "published",
                file=name,
                generation=None if rejected else number,
                packages=(nevra,) if nevra and not rejected else (),
                faults=tidings.said_of(outcome.faults),
            ),
        )
        if rejected:
            self._hear(
                tidings.rejected(
                    self._name,
                    file=name,
                    mark=outcome.arrival.mark,
                    checksum=checksum,
                    package=nevra,
                    faults=outcome.faults,
                    place=place,
                    time=self._clock(),
                )
            )

    def _waiting(self, left: Sequence[Seen], reasons: dict[str, str]) -> None:
        """Tell once of each that waits long, or that could not be taken in."""
        told: dict[str, str] = {}
        for arrival in left:
            why = reasons.get(arrival.name) or (arrival.waiting if arrival.age >= _LONG else "")
            if not why:
                continue
            told[arrival.name] = why
            if self._told.get(arrival.name) != why:
                checksum = self._board.name_of(self._name, arrival.name)
                event = tidings.waiting(self._name, file=arrival.name, checksum=checksum, why=why, time=self._clock())
                self._hear(event)
        self._told = told


def on_board(board: Board, repository: str) -> Callable[[Generation], None]:
    """Settles what a generation lists, also where another daemon took it in."""

    def settle(generation: Generation) -> None:
        for package, origin in generation.came:
            if origin.how == "arrival" and origin.checksum:
                board.settled(
                    repository,
                    Arrival(
                        sha256=origin.checksum,
                        state="published",
                        file=origin.of,
                        generation=generation.number,
                        packages=(str(package.nevra),),
                    ),
                )

    return settle


def _waiting(arrival: Seen, reasons: dict[str, str]) -> Waiting:
    why = reasons.get(arrival.name) or arrival.waiting
    return Waiting(file=arrival.name, size=arrival.size, age=arrival.age, why=why)
