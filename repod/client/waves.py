"""Which hosts are updated when, and when a run of them is stopped. Pure."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from repod.wording import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """Hosts that are through before those of the next ring begin. ``name`` is empty where there is only one."""

    name: str
    hosts: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Hosts that are updated together. Number 0 are the canaries.

    ``why`` says for people how it came to be. ``wait``: seconds between the wave before and this one.
    """

    number: int
    hosts: Sequence[str]
    why: str
    ring: str = ""
    wait: float = 0.0

    @property
    def title(self) -> str:
        """What people call it."""
        return "canaries" if self.number == 0 else f"wave {self.number}"


def planned(rings: Sequence[Ring], *, canary: int, wave: str, pause: float = 0.0, soak: float = 0.0) -> Sequence[Wave]:
    """All hosts in waves: in the order given, each once; a host of an earlier ring is left out of later ones.

    Canaries are the first hosts of the first ring: later rings have the earlier ones for that. A share is one of
    the ring's hosts, rounded up to whole hosts, so it is never none. A ring without hosts makes no wave.
    """
    found: list[Wave] = []
    seen: set[str] = set()
    number = 0 if canary else 1
    for ring in rings:
        hosts = [host for host in dict.fromkeys(ring.hosts) if host not in seen]
        seen |= set(hosts)
        for place, (part, why) in enumerate(_parts(hosts, 0 if found else canary, wave)):
            wait = 0.0 if not found else pause if place else soak
            told = f"{why}; ring {ring.name}" if ring.name else why
            found.append(Wave(number=number, hosts=part, why=told, ring=ring.name, wait=wait))
            number += 1
    return found


def _parts(hosts: Sequence[str], canary: int, wave: str) -> Iterator[tuple[Sequence[str], str]]:
    """The hosts of one ring, cut, and why so."""
    if canary and hosts:
        some = f"{min(canary, len(hosts))} " if canary > 1 else ""
        yield hosts[:canary], f"the first {some}of {counted(len(hosts), 'host')}, alone"
    size = size_of(wave, len(hosts))
    share = f"{wave} of {counted(len(hosts), 'host')} is {size}" if wave.endswith("%") else f"{size} at a time"
    for start in range(canary, len(hosts), size):
        part = hosts[start : start + size]
        rest = f"; the last {len(part)}" if len(part) < size else ""
        yield part, f"{share}{rest}"


def size_of(count: str, of: int) -> int:
    """How many hosts a wave has: the number itself, or the share of ``of`` rounded up; at least one."""
    number = int(count.removesuffix("%"))
    return max(1, -(-of * number // 100) if count.endswith("%") else number)


def allowed(count: str, of: int) -> int:
    """How many of ``of`` hosts may fail: the number itself, or the share rounded down: 10% of 3 is none."""
    number = int(count.removesuffix("%"))
    return of * number // 100 if count.endswith("%") else number


def stopping(waves: Sequence[Wave], failed: Collection[str], max_failures: str) -> str:
    """Why no further host may begin, by which hosts failed until now; empty where nothing stops the run.

    A canary that failed always stops it, whatever ``max_failures`` says.
    """
    canaries = [host for wave in waves if wave.number == 0 for host in wave.hosts if host in failed]
    if canaries:
        return f"canary {', '.join(canaries)} failed"
    of = sum(len(wave.hosts) for wave in waves)
    most = allowed(max_failures, of)
    if len(failed) <= most:
        return ""
    share = f" ({max_failures} of {counted(of, 'host')})" if max_failures.endswith("%") else ""
    return f"{counted(len(failed), 'host')} failed, and at most {most}{share} may"
