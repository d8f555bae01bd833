"""A host asked through ``host.sh``: what it is, and commands on it that outlive the connection."""

import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from repod.client.fleet import Connection, HostFault, Limits, Trouble
from repod.client.toolkit import facts as told
from repod.client.toolkit.asked import Step
from repod.client.toolkit.facts import Facts, Lock, Row
from repod.client.toolkit.reading import cleaned

Say = Callable[[str], object]
Parts = Mapping[str, Sequence[Row]]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Follow:
    """A step that is followed, so many bytes of its output, and the facts that are to be told with its end."""

    step: str
    kept: int
    then: tuple[Sequence[str], Sequence[str]] | None = None


@dataclass(slots=True, kw_only=True)
class Seen:
    """What a host said last, so that it is not asked for it once more.

    ``steps``: those of the run there, None where that is not known. ``facts``: since when nothing was begun there,
    and ``asked``, what they are of. ``packages``: as ``rpm -qa`` prints them, where ``counting`` wants to know them.
    """

    counting: bool = False
    steps: dict[str, str] | None = None
    facts: Facts | None = None
    asked: tuple[Sequence[str], Sequence[str]] = ((), ())
    packages: str = ""
    boot: str = ""

    def begun(self, step: str) -> None:
        """From now on things may be otherwise."""
        self.facts, self.packages = None, ""
        if self.steps is not None:
            self.steps[step] = ""

    def learn(self, facts: Facts, repositories: Sequence[str], names: Sequence[str]) -> Facts:
        """Keep them."""
        self.facts, self.asked, self.boot = facts, (list(repositories), list(names)), facts.boot
        return facts


@dataclass(slots=True, kw_only=True)
class Talk:
    """Questions to one host, in the name of one run. ``run``: its id, a folder on the host."""

    connection: Connection
    run: str
    patience: Patience
    say: Say = silent
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    seen: Seen = field(default_factory=Seen)
    begun: bool = field(default=False, init=False)
    """Whether something of the run is on its way there: from then on a lost connection is made again, and again."""

    def facts(self, repositories: Sequence[str], names: Sequence[str], *, once: bool = False) -> Facts:
        """What the host says of itself, of these repositories and packages (``["*"]``: of all packages).

        ``once``: a host that is not there is not asked again.
        """
        rows = self._ask(*_facts(repositories, names), output=8 * _LISTED, once=once)
        return self.seen.learn(told.read(rows, names), repositories, names)

    def look(self, repositories: Sequence[str], names: Sequence[str]) -> Facts:
        """The same, after what this run still has at work there has ended; ``known_steps`` needs no question then."""
        answer = self._all([["steps", self.run], _facts(repositories, names)], output=8 * _LISTED)
        if {"steps", "facts"} <= set(answer) and told.whole(answer["steps"]):
            self.seen.steps = _steps(answer["steps"])
        else:
            answer = {}
            self.seen.steps = dict(self.steps())
        running = [name for name, state in self.seen.steps.items() if state == "running"]
        for name in running:
            self.say(f"step {name} of this run still runs there: following it")
            self.followed(name)
        if running or not answer:
            return self.facts(repositories, names)
        return self.seen.learn(told.read(answer["facts"], names), repositories, names)

    def latest(self, repositories: Sequence[str], names: Sequence[str]) -> Facts:
        """What it said of the same since anything was begun there; it is asked where it did not yet."""
        if self.seen.facts is not None and self.seen.asked == (list(repositories), list(names)):
            return self.seen.facts
        return self.facts(repositories, names)

    def steps(self) -> Mapping[str, str]:
        """The steps that this run began there: ``running``, ``died``, or the exit code as a text."""
        return _steps(self._ask("steps", self.run))

    def known_steps(self) -> Collection[str]:
        """The names of the steps that this run began there; the host is asked where they are not known."""
        return self.steps() if self.seen.steps is None else self.seen.steps

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

    def carried(
        self, step: Step, *, listing: bool = False, then: tuple[Sequence[str], Sequence[str]] | None = None
    ) -> Ended:
        """Run a command there to its end, once: where the run began it before, it is followed.

        ``listing``: its output is read as a whole, not shown. ``then``: repositories and names of the facts that
        are to be told with its end, for ``latest``. ``HostFault`` FULL, TIME_LIMIT, or LOST where the host was not
        reached again in time.
        """
        kept = _LISTED if listing else _KEPT
        follow = _Follow(step=step.name, kept=kept, then=then)
        return self._followed(follow, self._opened(step, follow))

    def started(self, step: Step, *, kept: int = _KEPT) -> None:
        """Begin a command there, unless the run began it before; ``HostFault`` FULL."""
        self.begun = True
        self.seen.begun(step.name)
        self._is_started(step, self._ask(*self._start(step, kept)))

    def followed(self, step: str) -> Ended:
        """Wait for the end of a step that was begun."""
        self.begun = True
        return self._followed(_Follow(step=step, kept=_KEPT), None)

    # ------------------------------------------------------------------ steps

    def _start(self, step: Step, kept: int) -> Sequence[str]:
        return ["start", self.run, step.name, str(max(1, round(self.patience.limit))), str(kept), *step.argv]

    def _is_started(self, step: Step, rows: Sequence[Row]) -> None:
        self._has_room(rows)
        if ["state", "started"] not in rows:
            raise HostFault(Trouble.FAILED, f"{step.argv[0]} could not be started on the host: {_plain(rows)}")

    def _opened(self, step: Step, follow: _Follow) -> Parts:
        """Begin a step and wait a while for its end, in one question."""
        self.begun = True
        self.seen.begun(step.name)
        start = self._start(step, follow.kept)
        try:
            answer = self._follow(follow, [start], once=True)
        except HostFault as fault:
            if fault.trouble not in _AGAIN:
                raise
            self.say(f"{fault}; asking again")
            self.sleep(_PAUSE)
            # It may be under way, or be over: only where the host, in the same boot, knows nothing of it, it is begun.
            answer = self._follow(follow, [])
            if _state(answer)[0] == "unknown":
                same = [["same", self.seen.boot]] if self.seen.boot else []
                answer = self._follow(follow, [*same, start])
        if "start" in answer:
            self._is_started(step, answer["start"])
        return answer

    def _follow(self, follow: _Follow, first: Sequence[Sequence[str]], *, once: bool = False) -> Parts:
        """One question that waits for an end, after others; with the facts that are wanted then."""
        wait = max(1, round(self.patience.follow))
        questions = [*first, ["follow", self.run, follow.step, str(wait)]]
        output = 3 * follow.kept
        if follow.then:
            questions += [_facts(*follow.then), *([["packages"]] if self.seen.counting else [])]
            output += 8 * _LISTED
        return self._all(questions, seconds=wait, output=output, once=once)

    def _followed(self, follow: _Follow, answer: Parts | None) -> Ended:
        """How it ended. ``answer``: the first one, where there is one already."""
        end = self.now() + self.patience.limit + self.patience.answer
        while True:
            answer = self._follow(follow, []) if answer is None else answer
            rows, state = answer.get("follow", ()), _state(answer)
            if state[0] == "ended":
                self._learn(follow, answer)
                return Ended(code=int(state[1]), output=_output(rows), locks=_locks(rows))
            if state[0] != "running":
                return Ended(code=None, output=_output(rows), locks=_locks(rows))
            self.say(_progress(rows))
            if self.now() > end:
                last = f"it wrote last: {_progress(rows)!r}"
                text = f"step {follow.step} still runs after {self.patience.limit:.0f} s; {last}"
                raise HostFault(Trouble.TIME_LIMIT, text, output=_output(rows))
            answer = None

    def _learn(self, follow: _Follow, answer: Parts) -> None:
        """Keep what was told with an end; what is not whole, or wrong, is asked for by itself when it is needed."""
        if follow.then and "facts" in answer:
            with suppress(HostFault):
                self.seen.learn(told.read(answer["facts"], follow.then[1]), *follow.then)
        listed = answer.get("packages", ())
        if ["state", "listed"] in listed and told.whole(listed):
            self.seen.packages = "".join(f"{row[0]}\n" for row in listed if len(row) == 1 and row[0])

    # ------------------------------------------------------------------ questions

    def _all(
        self, questions: Sequence[Sequence[str]], *, seconds: float = 0.0, output: int = _KEPT, once: bool = False
    ) -> Parts:
        """Several questions at once; those that followed one that did not come to its end have no answer."""
        words = [word for question in questions for word in (str(len(question)), *question)]
        return told.parts(self._ask("all", *words, seconds=seconds, output=output, once=once))

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


def _facts(repositories: Sequence[str], names: Sequence[str]) -> Sequence[str]:
    return ["facts", ",".join(repositories), *names]


def _steps(rows: Sequence[Row]) -> dict[str, str]:
    return {row[1]: row[3] or row[2] for row in rows if row[0] == "step"}


def _state(answer: Parts) -> Row:
    return next((row[1:] for row in answer.get("follow", ()) if row[0] == "state"), ["unknown"])


def _output(rows: Sequence[Row]) -> str:
    return cleaned("\n".join("\t".join(row)[1:] for row in rows if row[0].startswith("|"))).strip("\n")


def _locks(rows: Sequence[Row]) -> Sequence[Lock]:
    return [Lock(pid=int(row[1]), command=row[2], file=row[3]) for row in rows if row[0] == "lock"]


def _progress(rows: Sequence[Row]) -> str:
    lines = [" ".join(line.split()) for line in _output(rows).splitlines() if line.strip()]
    return lines[-1] if lines else "running"


def _plain(rows: Sequence[Row]) -> str:
    return "; ".join(" ".join(row) for row in rows) or "no answer"


def facts_of(connection: Connection, repositories: Sequence[str], names: Sequence[str]) -> Facts:
    """What a host says of itself, outside of any run; see ``Talk.facts``. ``HostFault`` where it does not."""
    return Talk(connection=connection, run="look", patience=PATIENT).facts(repositories, names)
