"""A host asked through ``host.sh``: what it is, and commands on it that outlive the connection."""

import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from repod.client.fleet import Connection, HostFault, Limits, Trouble
from repod.client.toolkit import facts as told
from repod.client.toolkit.asked import Step
from repod.client.toolkit.facts import Facts, Lock, Row
from repod.client.toolkit.reading import cleaned

Say = Callable[[str], object]

FORTH, BACK = "forth", "back"
"""What the names of steps that change packages begin with; a number follows."""

_NUMBER = re.compile(r"[a-z]+([0-9]{1,6})-")
_KEPT = 65_536
_LISTED = 1 << 20
_SHORT = 8192
_PAUSE = 2.0
_AGAIN = frozenset({Trouble.LOST, Trouble.UNREACHABLE, Trouble.TIME_LIMIT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long things may take, in seconds.

    ``limit``: one transaction, ended on the host after that. ``lock``: how long a lock that others hold is tried
    again. ``answer``: a short question to the host. ``follow``: how long one question waits for an end.
    ``lost``: how long a transaction is looked for again after the connection was cut. ``reboot``: until it is back.
    """

    limit: float = 1800.0
    lock: float = 60.0
    answer: float = 60.0
    follow: float = 20.0
    lost: float = 300.0
    reboot: float = 600.0


PATIENT = Patience()


def silent(_: object) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command on a host ended; ``code`` is None where the host was restarted, or it was killed, meanwhile.

    ``output``: both streams, cleaned; of long ones the beginning and the end.
    """

    code: int | None
    output: str
    locks: Sequence[Lock] = ()


@dataclass(slots=True, kw_only=True)
class Talk:
    """Questions to one host, in the name of one run. ``run``: its id, a folder on the host."""

    connection: Connection
    run: str
    patience: Patience
    say: Say = silent
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    begun: bool = field(default=False, init=False)
    """Whether something of the run is on its way there: from then on a lost connection is made again, and again."""

    def facts(self, repositories: Sequence[str], names: Sequence[str], *, once: bool = False) -> Facts:
        """What the host says of itself, of these repositories and packages (``["*"]``: of all packages).

        ``once``: a host that is not there is not asked again.
        """
        rows = self._ask("facts", ",".join(repositories), *names, output=8 * _LISTED, once=once)
        return told.read(rows, names)

    def steps(self) -> Mapping[str, str]:
        """The steps that this run began there: ``running``, ``died``, or the exit code as a text."""
        rows = self._ask("steps", self.run)
        return {row[1]: row[3] or row[2] for row in rows if row[0] == "step"}

    def next(self, steps: Collection[str] | None = None) -> int:
        """A number that none of the run's ``steps`` has; without them, the host is asked for their names."""
        there = self.steps() if steps is None else steps
        numbers = [int(match[1]) for name in there if (match := _NUMBER.match(name))]
        return max(numbers, default=0) + 1

    def put(self, name: str, data: bytes) -> str:
        """Put a small text on the host; where it lies there. ``HostFault`` FULL."""
        rows = self._ask("put", self.run, name, data.decode("ascii").rstrip("\n"))
        self._has_room(rows)
        if place := next((row[2] for row in rows if row[:2] == ["state", "put"]), ""):
            return place
        raise HostFault(Trouble.FAILED, f"{name} could not be put on the host: {_plain(rows)[:200]}")

    def own_keys(self, name: str) -> str:
        """Write the keys that rpm trusts there into a file beside it; where it lies, empty where there is no key."""
        rows = self._ask("keys", self.run, name)
        self._has_room(rows)
        return next((row[2] for row in rows if row[:2] == ["state", "put"]), "")

    def clean(self) -> None:
        """Remove all that this run left there, unless something of it still runs."""
        self._ask("clean", self.run)

    def carried(self, step: Step, *, listing: bool = False) -> Ended:
        """Run a command there to its end, once: where the run began it before, it is followed.

        ``listing``: its output is read as a whole, not shown. ``HostFault`` FULL, TIME_LIMIT, or LOST where
        the host was not reached again in time.
        """
        kept = _LISTED if listing else _KEPT
        self.started(step, kept=kept)
        return self.followed(step.name, kept=kept)

    def started(self, step: Step, *, kept: int = _KEPT) -> None:
        """Begin a command there, unless the run began it before; ``HostFault`` FULL."""
        self.begun = True
        limit = str(max(1, round(self.patience.limit)))
        rows = self._ask("start", self.run, step.name, limit, str(kept), *step.argv)
        self._has_room(rows)
        if ["state", "started"] not in rows:
            raise HostFault(Trouble.FAILED, f"{step.argv[0]} could not be started on the host: {_plain(rows)}")

    def followed(self, step: str, *, kept: int = _KEPT) -> Ended:
        """Wait for the end of a step that was begun."""
        self.begun = True
        wait = max(1, round(self.patience.follow))
        end = self.now() + self.patience.limit + self.patience.answer
        while True:
            rows = self._ask("follow", self.run, step, str(wait), seconds=wait, output=3 * kept)
            state = next((row[1:] for row in rows if row[0] == "state"), ["unknown"])
            if state[0] == "ended":
                return Ended(code=int(state[1]), output=_output(rows), locks=_locks(rows))
            if state[0] != "running":
                return Ended(code=None, output=_output(rows), locks=_locks(rows))
            self.say(_progress(rows))
            if self.now() > end:
                text = f"step {step} still runs after {self.patience.limit:.0f} s; it wrote last: {_progress(rows)!r}"
                raise HostFault(Trouble.TIME_LIMIT, text, output=_output(rows))

    def _ask(self, *words: str, seconds: float = 0.0, output: int = _KEPT, once: bool = False) -> Sequence[Row]:
        """Ask until there is an answer; once something is under way, for as long as a lost host may stay lost."""
        argv = ["sh", "-s", "--", *words]
        limits = Limits(seconds=self.patience.answer + seconds, output=output + _SHORT)
        end = self.now() + self.patience.lost
        tries = 0
        while True:
            tries += 1
            try:
                return told.framed(self.connection.run(argv, root=True, data=told.SCRIPT, limits=limits))
            except HostFault as fault:
                again = fault.trouble in _AGAIN if self.begun else fault.trouble is Trouble.LOST and tries == 1
                if once or not again or self.now() >= end:
                    raise
                self.say(f"{fault}; asking again")
            self.sleep(_PAUSE)

    def _has_room(self, rows: Sequence[Row]) -> None:
        if ["state", "noroom"] in rows:
            text = "no room in /var/lib nor in /run on the host for the state of a transaction; make room on the host"
            raise HostFault(Trouble.FULL, text)


def _output(rows: Sequence[Row]) -> str:
    return cleaned("\n".join("\t".join(row)[1:] for row in rows if row[0].startswith("|"))).strip("\n")


def _locks(rows: Sequence[Row]) -> Sequence[Lock]:
    return [Lock(pid=int(row[1]), command=row[2], file=row[3]) for row in rows if row[0] == "lock"]


def _progress(rows: Sequence[Row]) -> str:
    lines = [" ".join(line.split()) for line in _output(rows).splitlines() if line.strip()]
    return lines[-1] if lines else "running"


def _plain(rows: Sequence[Row]) -> str:
    return "; ".join(" ".join(row) for row in rows) or "no answer"


def facts_of(
    connection: Connection, repositories: Sequence[str], names: Sequence[str], patience: Patience = PATIENT
) -> Facts:
    """What a host says of itself, outside of any run; see ``Talk.facts``. ``HostFault`` where it does not."""
    return Talk(connection=connection, run="look", patience=patience, now=time.monotonic).facts(repositories, names)
