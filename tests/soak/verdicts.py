"""What a run came to: each thing that must hold, held against what all parts saw."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.soak import judge, resting
from tests.soak.dropping import Dropping
from tests.soak.fates import Log
from tests.soak.judge import Verdict, flat, none_of
from tests.soak.onlookers import Onlookers, Series
from tests.soak.plan import Day
from tests.soak.polling import Polling
from tests.soak.probing import Probe, Samples, count
from tests.soak.report import Found
from tests.soak.resting import Room
from tests.soak.system import GENERATIONS, System
from tests.soak.watching import Watching

_MIB = 1 << 20
_BURST = 20  # packages
_STATE_FILES = 32  # of one repository: two caches of documents, one of them for changes by hand, and a catalog
# What says that something went wrong, by the daemon's own word.
_ERRORS = ("repod_errors_total", "repod_publish_failures_total", "repod_audit_errors_total")
_OF_ONE = 6  # documents, of both views
_BROUGHT = 3  # packages that a change brings back, as most do
_PER_ARRIVAL = 4096
"""Bytes of log that one arrival may cost, with all that follows from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """All that ran beside the daemon."""

    system: System
    day: Day
    log: Log
    dropping: Dropping
    watching: Watching
    polling: Polling
    onlookers: Onlookers
    probe: Probe


def client_errors(parts: Parts) -> Sequence[str]:
    """Everything that any client did not get."""
    return [
        *parts.polling.errors,
        *parts.watching.errors,
        *parts.onlookers.errors,
        *parts.dropping.errors,
        *parts.probe.errors,
    ]


def found(parts: Parts, command: str, left: Sequence[str], unsound: Sequence[str]) -> Found:
    """Figures and verdicts, when the daemon has stopped.

    ``left``: what ``left_at_rest`` said before; ``unsound``: what was found when it was stopped.
    """
    parts.log.read()
    room = Room()
    for name in parts.system.shape.names:
        resting.explain(room, parts.system.repod.store(name))
    lists = dict(_lists(parts, room))
    lists["files left in TMPDIR and work folders at rest", ""] = left
    lists["after the stop every generation is sound, by the independent checker", ""] = unsound
    rows = [none_of(what, errors, of) for (what, of), errors in lists.items()]
    samples = parts.probe.samples
    rows += [
        judge.not_starved(_pairs(parts)),
        *(flat(name, samples.at, samples.gauges[name]) for name in judge.FLOORS),
        judge.at_most(
            "files in state_dir, of all repositories",
            samples.gauges["files in state_dir"],
            _STATE_FILES * len(parts.system.shape.names),
        ),
        _log_size(parts),
        _kept(room, parts),
    ]
    return Found(
        shape=parts.system.shape,
        command=command,
        load=samples.load,
        figures=list(_figures(parts, room)),
        latencies=list(_latencies(parts)),
        verdicts=rows,
        violations=[f"{what}: {error}" for (what, _), errors in lists.items() for error in errors],
    )


def _lists(parts: Parts, room: Room) -> Iterator[tuple[tuple[str, str], Sequence[str]]]:
    """What must be empty, each with among how many it could be something else."""
    polling, onlookers, samples = parts.polling, parts.onlookers, parts.probe.samples
    yield ("reads that failed: signature, checksum, generation, package", f"{polling.total:,}"), polling.errors
    yield (
        ("dnf, pages, API and event streams that failed", f"{onlookers.commands + onlookers.pages:,}"),
        (onlookers.errors),
    )
    yield (
        ("drops, changes and scrapes that failed", f"{parts.dropping.dropped + parts.probe.scrapes:,}"),
        [
            *parts.dropping.errors,
            *parts.watching.errors,
            *parts.probe.errors,
        ],
    )
    drops = parts.day.drops
    yield (
        ("drops that did not end once, published or rejected with a reason", f"{len(drops):,}"),
        list(resting.fates(drops, parts.log, parts.system)),
    )
    yield ("packages never seen by a fresh client, nor told to the hook", ""), _unseen(parts)
    yield ("series of /metrics that came or went", f"{len(samples.series):,}"), sorted(samples.changed)
    yield (
        ("errors that metrics count", ""),
        [
            f"{name} {dict(labels)} is {value:.0f}"
            for (name, labels), value in _grown(samples).items()
            if value and (name in _ERRORS or _is_failure(name, dict(labels)))
        ],
    )
    yield ("lines of the log that tell of an error", f"{parts.log.events.total():,}"), parts.log.errors
    yield ("generations that the hook was not told of, in order", ""), list(_untold(parts))
    yield ("files in stores that nothing explains", f"{sum(room.files.values()):,}"), room.strange
    # A change by hand that was overtaken is planned anew too, and not counted there.
    conflicts = _total(samples.metrics, "repod_publish_conflicts_total")
    lost = conflicts + parts.dropping.deeds.total()
    yield (
        ("documents of publishes that another was faster than", f"{_OF_ONE} for each of {lost:.0f}"),
        (room.overtaken[int(_OF_ONE * lost) :]),
    )
    lost = conflicts + sum(number for what, number in parts.dropping.deeds.items() if not what.endswith(" 200"))
    yield (
        ("packages of changes that another was faster than", f"{_BROUGHT} for each of {lost:.0f}"),
        (room.returning[int(_BROUGHT * lost) :]),
    )
    verified = parts.system.repod.cli("audit verify")
    yield ("faults of the audit log", ""), [] if verified.rc == 0 else [verified.out + verified.err]


def _grown(samples: Samples) -> dict[Series, float]:
    """What was counted since the first sample: until it was ready, /readyz said so."""
    return {series: value - samples.before.get(series, 0.0) for series, value in samples.metrics.items()}


def _is_failure(name: str, labels: dict[str, str]) -> bool:
    if name == "repod_hook_deliveries_total":
        return labels["result"] != "delivered"
    return name == "repod_http_requests_total" and labels["status"] == "5xx"


def _events(parts: Parts) -> Sequence[dict[str, Any]]:
    """What the hook was told, each event once."""
    return list({event["id"]: event for event in parts.system.receiver.events}.values())


def _unseen(parts: Parts) -> Sequence[str]:
    told = {row["nevra"] for event in _events(parts) for row in event["data"].get("added", ())}
    unseen = [drop for some in parts.watching.left().values() for drop in some]
    return [f"{drop.nvra} of {drop.repository}" for drop in unseen if drop.nvra not in told]


def _untold(parts: Parts) -> Iterator[str]:
    at: dict[str, int] = {}
    for event in _events(parts):
        source, data = event["source"], event["data"]
        if "generation" in data and "parent" in data:
            first = last = data["generation"]
        elif event["type"].startswith("repod.generation.missed"):
            first, last = data["first"], data["last"]
        else:
            continue
        if first != at.get(source, 0) + 1:
            yield f"{source}: after generation {at.get(source, 0)} it was told of {first}"
        at[source] = last
    for (name, labels), value in parts.probe.samples.metrics.items():
        source = f"/repositories/{dict(labels).get('repository')}"
        if name == "repod_generation" and at.get(source) != value:
            yield f"{source} is at generation {value:.0f}, the hook heard last of {at.get(source)}"


def left_at_rest(parts: Parts) -> Sequence[str]:
    """What the daemon keeps in TMPDIR and work folders while it has nothing to do, beyond what it began with."""
    gauges = parts.probe.samples.gauges["files in TMPDIR"]
    now, before = count(parts.system.temporary), gauges[0] if gauges else 0.0
    work = count(parts.system.state / "work")
    lines = [f"{now:.0f} files in TMPDIR, {before:.0f} at the start"] if now > before else []
    return lines + ([f"{work:.0f} files in state_dir/work"] if work else [])


def _pairs(parts: Parts) -> Sequence[tuple[float, float]]:
    """How long a package took that came into the midst of a burst, and the whole of that; what is small is none."""
    begun, at = parts.watching.begun, parts.watching.at
    bursts: dict[int, list[int]] = {}
    for drop in parts.day.drops:
        if drop.burst and drop.number in at:
            bursts.setdefault(drop.burst, []).append(drop.number)
    times = {
        burst: (min(begun[one] for one in some), max(at[one] for one in some))
        for burst, some in bursts.items()
        if len(some) >= _BURST
    }
    alone = [drop for drop in parts.day.drops if drop.beside in times and drop.number in at]
    return [
        (parts.watching.visible[drop.number], times[drop.beside][1] - times[drop.beside][0])
        for drop in alone
        if times[drop.beside][0] <= begun[drop.number] < times[drop.beside][1]
    ]


def _log_size(parts: Parts) -> Verdict:
    each = parts.log.size / max(1, len(parts.log.fates))
    return Verdict(
        what="log, for each arrival",
        found=f"{each:,.0f} bytes, {parts.log.size / _MIB:.1f} MiB in all",
        bound=f"{_PER_ARRIVAL:,} bytes",
        fine=each <= _PER_ARRIVAL,
    )


def _kept(room: Room, parts: Parts) -> Verdict:
    most = max(room.generations.values(), default=0)
    return Verdict(
        what="generations that a repository keeps when grace has passed",
        found=f"{most} at the most, in {len(parts.system.shape.names)} repositories",
        bound=f"{GENERATIONS} and those that the last prune made",
        fine=most <= GENERATIONS + 2,
    )


def _latencies(parts: Parts) -> Iterator[tuple[str, Sequence[float]]]:
    visible = parts.watching.visible
    places = set(parts.system.shape.in_buckets)
    rows: dict[str, list[float]] = {}
    for drop in parts.day.drops:
        if drop.number in visible:
            sort = f"{drop.sort}{', store in a bucket' if drop.repository in places else ''}"
            rows.setdefault(sort, []).append(visible[drop.number])
    yield from sorted(rows.items())


def _figures(parts: Parts, room: Room) -> Iterator[tuple[str, str]]:
    shape, polling, samples = parts.system.shape, parts.polling, parts.probe.samples
    fates = parts.log.ended
    yield "repositories, of which in a bucket", f"{shape.repositories}, {shape.buckets}"
    yield "drops", f"{parts.dropping.dropped:,}: " + ", ".join(f"{n:,} {fate}" for fate, n in sorted(fates.items()))
    yield "a drop began after its time, at the most", f"{parts.dropping.late:.1f} s"
    yield "generations", f"{_total(samples.metrics, 'repod_generation'):,.0f}"
    yield "changes over the API", ", ".join(f"{n} {what}" for what, n in sorted(parts.dropping.deeds.items()))
    seconds = max(1.0, samples.at[-1] if samples.at else 1.0)
    ways = ", ".join(f"{n:,} {way}" for way, n in sorted(polling.reads.items()))
    yield "reads by librepo", f"{polling.total:,} of {shape.clients} clients ({ways}), {polling.total / seconds:.1f}/s"
    p50, _, p99, most = judge.percentiles(polling.seconds)
    yield "one read, seconds", f"p50 {p50:.2f}, p99 {p99:.2f}, longest {most:.2f}"
    yield "packages fetched by them, checksum proven", f"{polling.fetched:,}"
    yield "reads between index and signature of the live view, read again", f"{polling.torn}"
    yield (
        "commands of dnf; pages and API; scrapes",
        (f"{parts.onlookers.commands:,}; {parts.onlookers.pages:,}; {parts.probe.scrapes:,}"),
    )
    heard = sum(listener.heard.total() for listener in parts.onlookers.listeners)
    again = sum(listener.again for listener in parts.onlookers.listeners)
    yield "event streams", f"{shape.listeners}, {heard:,} events heard, taken up again {again} times"
    yield "conflicts, planned anew", f"{_total(samples.metrics, 'repod_publish_conflicts_total'):.0f}"
    cpu = samples.cpu[-1] if samples.cpu else 0.0
    yield "CPU of the daemon's process", f"{cpu:.0f} s, {100 * cpu / seconds:.0f} % of a core"
    for kind, number in sorted(room.files.items()):
        yield f"in stores at rest: {kind}", f"{number:,} files, {room.size[kind] / _MIB:.1f} MiB"


def _total(metrics: dict[Series, float], wanted: str) -> float:
    return sum(value for (name, _), value in metrics.items() if name == wanted)
