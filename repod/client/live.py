"""A run as a person sees it: a table that moves on a terminal, plain lines elsewhere."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from repod.client.runs import Progress, Standing, moved, said
from repod.times import stamp
from repod.wording import counted, steerless

if TYPE_CHECKING:  # who sees no table does not wait for it
    from rich.console import Console, RenderableType

_ROOM = 8
"""Lines of a terminal that are for the summary, the heads and the prompt."""

_GAP = 2
"""Blanks between columns."""

_TOLD = 20
"""Columns that a problem is to have at the least; names of builds give way to it."""

_LEAST = 10
"""Columns that no name and no change goes below."""

_CHANGE = "from → to"

_ORDER = ("failed", "updating", "downgraded", "proven", "pending", "untouched")
_COLOURS = {"failed": "red", "updating": "cyan", "downgraded": "yellow", "proven": "green"}


def words(row: Progress) -> str:
    """The state of a host in words."""
    return row.phase or row.state


def change(row: Progress) -> str:
    """From what to what it went, short: the name and what differs."""
    before, after = moved(row)
    if before is None and after is None:
        return "-"
    open_end = "…" if row.phase else "?"
    if before and (after is None or before.nevra.name == after.nevra.name):
        now = open_end if after is None else after.nevra.evr
        return f"{before.nevra.name} {before.nevra.evr}" + (f" → {now}" if before != after else "")
    return f"{before.nevra if before else 'nothing'} → {after.nevra if after else open_end}"


def summary(standing: Standing) -> str:
    """How many hosts are in each state, and what the run does beside them."""
    rows = standing.rows
    waiting = "untouched" if standing.end else "pending"
    counts = Counter(waiting if row.state == "pending" else str(row.state) for row in rows)
    told = ", ".join(f"{counts[state]} {state}" for state in _ORDER if counts[state])
    return f"{counted(len(rows), 'host')}: {told}" + (f"; {standing.doing}" if standing.doing else "")


class Lines:
    """A watcher that says a line for each thing that happens: for files, pipes and CI."""

    def __init__(self, say: Callable[[str], object], now: Callable[[], float]) -> None:
        """``say`` prints a line; ``now``: seconds since 1970."""
        self._say = say
        self._now = now
        self._doing = ""
        self._states: dict[str, str] = {}
        self._notes = 0

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left open."""

    def changed(self, standing: Standing, host: str = "") -> None:
        """See ``rundoors.Watcher``."""
        for line in self._news(standing, host):
            self._say(f"{stamp(self._now())} {line}")

    def _news(self, standing: Standing, host: str) -> Iterator[str]:
        if standing.doing != self._doing:
            self._doing = standing.doing
            if standing.doing:
                yield standing.doing
        yield from standing.notes[self._notes :]
        self._notes = len(standing.notes)
        if host:
            row = standing.hosts[host]
            state = words(row)
            if self._states.get(host) != state:
                self._states[host] = state
                yield line_of(row)


def line_of(row: Progress) -> str:
    """A host in one line."""
    parts = [f"{row.host}: {words(row)}"]
    if row.before is not None or row.after:
        parts.append(change(row))
    if row.ended and row.seconds is not None:
        parts.append(f"{row.seconds:.1f} s")
    told = f"{row.trouble}: {said(row)}" if row.trouble else said(row)
    return ", ".join(parts) + (f" ({told})" if told else "")


class Table:
    """A watcher that shows a table on a terminal: a summary, and as many hosts as there is room for.

    Hosts at work come first, then those that failed, then those that ended last.
    """

    def __init__(self, console: "Console", now: Callable[[], float]) -> None:
        """``now``: seconds since 1970."""
        from rich.live import Live  # noqa: PLC0415 - see above

        self._console = console
        self._now = now
        self._lock = threading.Lock()
        self._standing: Standing | None = None
        self._live = Live(
            console=console, get_renderable=self._drawn, refresh_per_second=4, redirect_stderr=True, transient=True
        )

    def __enter__(self) -> Self:
        """Begin to show."""
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take the table away; what is left is said in the end."""
        self._live.stop()

    def changed(self, standing: Standing, host: str = "") -> None:  # noqa: ARG002 - the table is drawn whole
        """See ``rundoors.Watcher``."""
        with self._lock:
            self._standing = standing

    def _drawn(self) -> "RenderableType":
        from rich.console import Group  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        with self._lock:
            standing = self._standing
        if standing is None:
            return Text("")
        rows = chosen(standing.rows, max(5, self._console.size.height - _ROOM))
        left = len(standing.rows) - len(rows)
        more = [Text(f"and {left} more", style="dim")] if left else []
        notes = [Text(note, style="yellow") for note in standing.notes]
        return Group(Text(summary(standing), style="bold"), *notes, self._table(rows), *more)

    def _table(self, rows: Sequence[Progress]) -> "RenderableType":
        from rich.table import Table as RichTable  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = RichTable(box=None, pad_edge=False, header_style="bold")
        for column, how in (("host", "left"), ("wave", "right"), ("state", "left"), (_CHANGE, "left")):
            table.add_column(column, justify=how, no_wrap=True)  # type: ignore[arg-type]
        table.add_column("seconds", justify="right")
        table.add_column("", no_wrap=True)
        lines = [
            [
                Text(cell)
                for cell in (
                    steerless(row.host),
                    str(row.wave),
                    words(row),
                    change(row),
                    self._seconds(row),
                    steerless(f"{row.trouble}: {said(row)}" if row.trouble else said(row)),
                )
            ]
            for row in rows
        ]
        host, moves, told = shares(
            self._console.width,
            [max((line[at].cell_len for line in lines), default=0) for at in range(6)],
        )
        for row, line in zip(rows, lines, strict=True):
            for at, room in ((0, host), (3, moves), (5, told)):
                line[at].truncate(room, overflow="ellipsis")
            line[2].stylize(_COLOURS.get(row.state, ""))
            table.add_row(*line)
        return table

    def _seconds(self, row: Progress) -> str:
        if row.seconds is not None and row.ended:
            return f"{row.seconds:.1f}"
        return "" if row.began is None else f"{self._now() - row.began:.0f}"


def shares(width: int, longest: Sequence[int]) -> tuple[int, int, int]:
    """How many columns of a terminal ``width`` wide are for the host, the change and the problem.

    ``longest``: what each column of the table would take. Host and state stay to be read, whatever a problem says.
    """
    host = min(longest[0], max(_LEAST, width // 3))
    heads = (max(host, len("host")), max(longest[1], len("wave")), max(longest[2], len("state")))
    rest = width - sum(heads) - max(longest[4], len("seconds")) - 5 * _GAP
    moves = min(longest[3], max(_LEAST, rest - min(longest[5], _TOLD)))
    return host, moves, max(0, rest - max(moves, len(_CHANGE)))


def chosen(rows: Sequence[Progress], room: int) -> Sequence[Progress]:
    """As many hosts as there is room for, in the plan's order: those at work before all, those that wait last."""
    if len(rows) <= room:
        return rows
    weights = {"updating": 0, "failed": 1, "downgraded": 2, "proven": 3}
    ended = {id(row): (row.began or 0) + (row.seconds or 0) for row in rows}
    ordered = sorted(rows, key=lambda row: (weights.get(row.state, 4), -ended[id(row)] if row.ended else 0))
    kept = {id(row) for row in ordered[:room]}
    return [row for row in rows if id(row) in kept]
