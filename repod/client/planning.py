"""A run's plan, from what was asked for, the hosts there are now and the settings of their group. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from repod.client.fleet import Action, Aim, Host
from repod.client.rolling import Query, Rollout
from repod.client.runs import Plan, run_id
from repod.client.settings import Settings
from repod.client.waves import Ring, Wave, allowed, planned
from repod.errors import Misconfigured
from repod.promotion import spoken
from repod.wording import counted, few

_SHOWN = 60
"""Characters of a command that a line of a plan shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody asks for: builds as ``NAME``, ``NAME-EVR`` or NEVRAs, on which hosts of which group.

    ``strategy``: the group's settings with what the command line says in their place.
    """

    action: Action
    words: Sequence[str]
    group: str
    repository: str
    strategy: Rollout
    limit: Sequence[str] = ()

    @property
    def asked(self) -> str:
        """It, in the words of reports."""
        return " ".join(self.words)[:200] or "all packages"


def rings_of(settings: Settings, group: str, strategy: Rollout) -> Sequence[str]:
    """The groups that are updated one after the other: the rings, or the group itself.

    ``Misconfigured`` where a ring is no group, has rings itself, or reads another repository.
    """
    repository = repository_of(settings, group)
    for name in strategy.rings:
        ring = settings.grouped(name)
        if ring.rollout.rings:
            raise Misconfigured(f"group {group}: ring {name} has rings itself; name groups that have hosts")
        if ring.repository and ring.repository != repository:
            msg = f"group {group} reads {repository}, but its ring {name} reads {ring.repository}; expected the same"
            raise Misconfigured(msg)
    return strategy.rings or [group]


def repository_of(settings: Settings, group: str) -> str:
    """The repository that a group reads; ``Misconfigured`` where it names none."""
    own = settings.grouped(group)
    named = own.repository or next((settings.grouped(ring).repository for ring in own.rollout.rings), "")
    if not named:
        raise Misconfigured(f'group {group} names no repository; add repository = "NAME" to [group.{group}]')
    return named


def make_plan(
    wish: Wish, aim: Aim, members: Mapping[str, Sequence[Host]], *, actor: str, now: float, word: str
) -> Plan:
    """The plan. ``members``: the hosts of each ring, in order; ``word``: a random one, for the run's id.

    ``Misconfigured`` where ``limit`` leaves no host.
    """
    origin: dict[str, str] = {}
    hosts: dict[str, Host] = {}
    for ring, found in members.items():
        for host in found:
            if host.name not in hosts and _meant(host.name, wish.limit):
                hosts[host.name], origin[host.name] = host, ring
    if not hosts:
        many = sum(map(len, members.values()))
        raise Misconfigured(
            f"--limit {','.join(wish.limit)} leaves none of the {counted(many, 'host')} of {wish.group}"
        )
    several = len(members) > 1
    rings = [
        Ring(name=ring if several else "", hosts=[name for name in hosts if origin[name] == ring]) for ring in members
    ]
    strategy = wish.strategy
    return Plan(
        id=run_id(now, wish.group, word),
        group=wish.group,
        repository=wish.repository,
        asked=wish.asked,
        aim=aim,
        strategy=strategy,
        hosts=list(hosts.values()),
        waves=planned(rings, canary=strategy.canary, wave=strategy.wave, pause=strategy.pause, soak=strategy.soak),
        actor=actor,
        started=now,
        groups=sorted({wish.group, *members}),
        origin=origin,
    )


def _meant(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def described(plan: Plan) -> Iterator[str]:
    """The plan for people, a line each; its waves are a table of their own."""
    builds = ", ".join(str(build.nevra) for build in plan.aim.builds) or "what the repository lists"
    where = f"{plan.repository}, generation {plan.aim.generation}"
    yield f"{plan.aim.action} {plan.asked} on {counted(len(plan.hosts), 'host')} of {plan.group}: {builds} ({where})"
    yield from _conditions(plan.strategy, len(plan.hosts))


def _conditions(strategy: Rollout, hosts: int) -> Iterator[str]:
    most = allowed(strategy.max_failures, hosts)
    stops = (
        f"if {'a canary fails, or if ' if strategy.canary else ''}more than {most} fail" if most else "if a host fails"
    )
    back = "hosts stay as they are then"
    if strategy.on_failure == "downgrade":
        others = (
            ", and all others that it updated where the build is why it stops" if strategy.downgrade == "all" else ""
        )
        back = f"hosts that failed get back what they ran{others}"
    yield f"stops {stops}; {back}"
    checks = [*_checks(strategy)]
    if checks:
        yield f"checked by {', '.join(checks)}"


def _checks(strategy: Rollout) -> Iterator[str]:
    if strategy.check:
        yield f"{_short(strategy.check)} on each host"
    if strategy.check_http:
        yield f"{strategy.check_http} of each host"
    if isinstance(strategy.wave_check, Query):
        yield f"{strategy.wave_check.query!r} {strategy.wave_check.expect} after each wave"
    elif strategy.wave_check:
        yield f"{_short(strategy.wave_check)} after each wave"


def wave_rows(waves: Sequence[Wave], *, shown: int = 6) -> Sequence[Mapping[str, object]]:
    """The waves as a table for people."""
    return [
        {
            "wave": wave.title,
            "after": spoken(wave.wait) if wave.wait else "",
            "hosts": len(wave.hosts),
            "names": few(wave.hosts, shown, " "),
            "why": wave.why,
        }
        for wave in waves
    ]


def _short(words: Sequence[str]) -> str:
    """A command in a line of a plan."""
    script = list(words[:2]) == ["sh", "-c"]
    text = " ".join((words[-1] if script else " ".join(words)).split())
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
