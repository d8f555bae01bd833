"""What happens when: a day of CI, drawn from a seed. Pure: the same shape gives the same day."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

WAYS = ("cp", "rename", "upload")
"""How a package comes in: ``cp`` into the inbox, written elsewhere and renamed into it, or ``curl -T``."""

BAD = ("junk", "cut", "flipped", "foreign arch", "other bytes")
"""What is wrong with a bad package: no RPM; cut short; a bit of its payload flipped; an arch that the repository
does not take; a NEVRA that is published with other content."""

NAMES = 6
"""Package names of each repository; their versions count up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How long and how much. ``buckets``: how many of the repositories lie in a bucket; ``poll``: seconds between two
    reads of one client; ``hosts``: how many run whole dnf commands, ``listeners``: how many hear all events; ``grace``:
    seconds for which retention keeps what was current, 3 days by default where repod runs.
    """

    minutes: float = 20.0
    packages: int = 5000
    repositories: int = 50
    buckets: int = 5
    clients: int = 200
    hosts: int = 2
    listeners: int = 8
    poll: float = 20.0
    seed: int = 1
    grace: float = 120.0

    @property
    def seconds(self) -> float:
        """How long packages come in."""
        return self.minutes * 60

    @property
    def names(self) -> Sequence[str]:
        """The repositories."""
        return [f"team-{number:02}" for number in range(self.repositories)]

    @property
    def in_buckets(self) -> Sequence[str]:
        """Those that lie in a bucket."""
        return self.names[: self.buckets]

    @property
    def promoted(self) -> Sequence[str]:
        """Those that get most of what they have by promotion: a tenth, and one at the least."""
        return self.names[-max(1, self.repositories // 10) :]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """A package comes in, ``at`` seconds after the beginning.

    ``fault`` is one of ``BAD``, or empty. ``of`` is the number of the drop whose file comes again (``fault`` empty: a
    duplicate) or whose NEVRA it takes (``other bytes``). ``burst`` is the number of its burst, 0 for none; ``beside``
    that of a burst of another repository in whose midst it comes.
    """

    number: int
    at: float
    repository: str
    name: str
    version: str
    way: str
    fault: str = ""
    of: int | None = None
    burst: int = 0
    beside: int = 0

    @property
    def nvra(self) -> str:
        """Name, version, release, arch."""
        return f"{self.name}-{self.version}-1.{'s390x' if self.fault == 'foreign arch' else 'noarch'}"

    @property
    def file(self) -> str:
        """What it is called in the inbox: unlike any other, whatever is in it."""
        return f"d{self.number:06}-{self.nvra}.rpm"

    @property
    def sort(self) -> str:
        """What it is, for the table of latencies."""
        if self.beside:
            return "alone, while another repository has a burst"
        return f"burst, {self.way}" if self.burst else self.way


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Somebody asks for a change over the API: ``what`` is ``promote`` (from ``source``), ``rollback`` or ``prune``."""

    at: float
    what: str
    repository: str
    source: str = ""


@dataclass(slots=True)
class Day:
    """The plan: drops and deeds, each in order of time."""

    drops: list[Drop] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)


def plan(shape: Shape) -> Day:
    """The day. A third of the packages come alone, the others in bursts of one repository; 5 % are bad, 3 % double."""
    draw = random.Random(shape.seed)
    times = sorted(_times(shape, draw), key=lambda entry: entry[0])
    made = _Maker(draw)
    drops = [made.drop(number, *entry) for number, entry in enumerate(times)]
    return Day(drops=drops, deeds=sorted(_deeds(shape, draw), key=lambda deed: deed.at))


def _times(shape: Shape, draw: random.Random) -> Iterator[tuple[float, str, int, int]]:
    """When, where, in which burst, beside which burst."""
    left, burst = shape.packages, 0
    many = max(4, shape.packages // 60)
    # The last tenth is for what is still on its way.
    end = shape.seconds * 0.9
    while left > shape.packages / 3:
        burst += 1
        at, size = draw.uniform(0, end), min(left, draw.randint(many // 4, many))
        busy, quiet = draw.sample(shape.names, 2)
        yield from ((at, busy, burst, 0) for _ in range(size))
        # The burst has begun when it comes, and the daemon has not got through it.
        yield at + 0.2, quiet, 0, burst
        left -= size + 1
    yield from ((draw.uniform(0, end), draw.choice(shape.names), 0, 0) for _ in range(left))


class _Maker:
    """Says what is dropped: mostly the next version of some name."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._count: dict[str, int] = {}
        self._good: dict[str, list[Drop]] = {}

    def drop(self, number: int, at: float, repository: str, burst: int, beside: int) -> Drop:
        way = self._draw.choice(WAYS)
        before = [drop for drop in self._good.get(repository, ()) if drop.at < at - 1]
        chance = 1.0 if beside else self._draw.random()
        if chance < 0.05:
            return self._bad(number, at, repository, way, burst, before)
        if chance < 0.08 and before:
            old = before[-1]
            return _again(old, number=number, at=at, way=way, burst=burst)
        name, version = self._next(repository)
        made = Drop(
            number=number,
            at=at,
            repository=repository,
            name=name,
            version=version,
            way=way,
            burst=burst,
            beside=beside,
        )
        self._good.setdefault(repository, []).append(made)
        return made

    def _bad(self, number: int, at: float, repository: str, way: str, burst: int, before: Sequence[Drop]) -> Drop:
        fault = self._draw.choice(BAD if before else BAD[:-1])
        if fault == "other bytes":
            return _again(before[-1], number=number, at=at, way=way, burst=burst, fault=fault)
        name, version = self._next(repository)
        return Drop(
            number=number,
            at=at,
            repository=repository,
            name=name,
            version=version,
            way=way,
            fault=fault,
            burst=burst,
        )

    def _next(self, repository: str) -> tuple[str, str]:
        count = self._count[repository] = self._count.get(repository, 0) + 1
        return f"{repository}-app{count % NAMES}", f"1.{count}"


def _again(old: Drop, *, number: int, at: float, way: str, burst: int, fault: str = "") -> Drop:
    return Drop(
        number=number,
        at=at,
        repository=old.repository,
        name=old.name,
        version=old.version,
        way=way,
        fault=fault,
        of=old.number,
        burst=burst,
    )


def _deeds(shape: Shape, draw: random.Random) -> Iterator[Deed]:
    """A promotion for every 40 packages, a rollback for every 200, a prune by hand for every 100."""
    begin, end = shape.seconds * 0.15, shape.seconds * 0.9
    for what, each in (("promote", 40), ("rollback", 200), ("prune", 100)):
        for _ in range(max(1, shape.packages // each)):
            at = draw.uniform(begin, end)
            if what == "promote":
                source = draw.choice([name for name in shape.names if name not in shape.promoted])
                yield Deed(at=at, what=what, repository=draw.choice(shape.promoted), source=source)
            else:
                places = shape.promoted if what == "rollback" else shape.names
                yield Deed(at=at, what=what, repository=draw.choice(places))
