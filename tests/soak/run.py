"""A whole run: the day is made, the daemon started, everybody let loose; then all is held against what must be."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from tests.lab.keys import Key
from tests.lab.seaweed import Seaweed
from tests.lab.wait import until
from tests.soak import material, verdicts
from tests.soak.dropping import Dropping
from tests.soak.fates import Log
from tests.soak.onlookers import Onlookers
from tests.soak.plan import Shape, plan
from tests.soak.polling import Polling
from tests.soak.probing import Probe
from tests.soak.report import Found
from tests.soak.system import System, running
from tests.soak.verdicts import Parts
from tests.soak.watching import Watching

_STUCK = 180.0  # seconds in which something must get on, when all is dropped
_UNSEEN = 15.0  # seconds in which what has ended is seen, or never: it was taken back, or retired, too soon
_SAMPLES = 400  # in a run, about


class Say(Protocol):
    """Told, every few seconds, how it goes, in a line."""

    def __call__(self, line: str, *, now: bool = False) -> object:
        """``now``: it is not of those that the next one replaces."""


def soak(shape: Shape, base: Path, key: Key, key_file: Path, s3: Seaweed | None, say: Say, command: str = "") -> Found:
    """Do it all in the empty folder ``base``; ``s3`` as ``running`` wants it, ``command``: for the report."""
    say(f"making {shape.packages:,} packages")
    day = plan(shape)
    files = material.make(base / "packages", day.drops)
    unsound: list[str] = []
    with ExitStack() as stack:
        system = stack.enter_context(_sound(shape, base / "repod", key_file, s3, unsound))
        log = Log(system.repod.log)
        every = max(0.5, min(10.0, shape.seconds / _SAMPLES))
        probe = stack.enter_context(Probe(system, log, every))
        watching = Watching(system.url)
        parts = Parts(
            system=system,
            day=day,
            log=log,
            probe=probe,
            watching=watching,
            dropping=Dropping(system, files, watching.expect),
            polling=Polling(shape, system.url, key.public, base / "reads"),
            onlookers=Onlookers(system, base / "hosts"),
        )
        _live(parts, say)
        _rest(parts, say)
        left = verdicts.left_at_rest(parts)
    # What lies in stores moves until the daemon has stopped.
    return verdicts.found(parts, command, left, unsound)


@contextmanager
def _sound(shape: Shape, base: Path, key: Path, s3: Seaweed | None, unsound: list[str]) -> Iterator[System]:
    """A running system; what is found when it is stopped joins ``unsound``."""
    done = False
    try:
        with running(shape, base, key, s3) as system:
            yield system
            done = True
    except AssertionError as error:
        if not done:
            raise
        unsound.append(str(error))


def _live(parts: Parts, say: Say) -> None:
    """The day, until all that was dropped has ended."""
    stop = threading.Event()
    with parts.watching, parts.onlookers, parts.polling:
        hands = threading.Thread(target=parts.dropping.run, args=(parts.day, stop.wait), name="day")
        hands.start()
        begun = moved = time.monotonic()
        before, told = -1, set[str]()
        try:
            while hands.is_alive() or not _ended(parts):
                hands.join(2) if hands.is_alive() else time.sleep(0.5)
                say(_line(parts, time.monotonic() - begun))
                _tell_errors(parts, told, say)
                done = len(parts.log.fates) + len(parts.watching.visible)
                if done != before or hands.is_alive():
                    before, moved = done, time.monotonic()
                patience = _UNSEEN if len(parts.log.fates) >= parts.dropping.dropped else _STUCK
                if time.monotonic() - moved > patience:
                    return
        finally:
            stop.set()
            hands.join()


def _tell_errors(parts: Parts, told: set[str], say: Say) -> None:
    """Errors of clients are said as they come; ``told`` are those that were."""
    for error in verdicts.client_errors(parts):
        if error not in told:
            told.add(error)
            say(f"ERROR {error[:500]}", now=True)


def _ended(parts: Parts) -> bool:
    return len(parts.log.fates) >= parts.dropping.dropped and not parts.watching.waiting


def _line(parts: Parts, seconds: float) -> str:
    shape, sample = parts.system.shape, parts.probe.samples.last
    ended = parts.log.ended
    bad = len(verdicts.client_errors(parts))
    return (
        f"{_clock(seconds)} of {_clock(shape.seconds)}  "
        f"dropped {parts.dropping.dropped:,} of {len(parts.day.drops):,}: {ended['published']:,} published, "
        f"{ended['rejected']} rejected, {ended['duplicate']} known, {parts.watching.waiting} not seen yet; "
        f"reads {parts.polling.total:,}; client errors {bad}; "
        f"daemon {sample('daemon PSS, MiB'):.0f} MiB, workers {sample('workers PSS, MiB'):.0f} MiB, "
        f"{sample('threads'):.0f} threads, {sample('open files'):.0f} files"
    )


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:02}:{int(seconds) % 60:02}"


def _rest(parts: Parts, say: Say) -> None:
    """Let what is past grace go, and hooks hear the last of it."""
    grace = parts.system.shape.grace
    say(f"all is quiet; waiting {grace:.0f} s for grace to pass, then everything is pruned", now=True)
    time.sleep(grace)
    parts.dropping.prune_all()
    scrapes = parts.probe.scrapes

    def told() -> bool:
        waiting = [value for (name, _), value in parts.probe.samples.metrics.items() if name == "repod_hook_pending"]
        return parts.probe.scrapes > scrapes + 1 and not sum(waiting)

    try:
        until(told, _STUCK, "hooks to be told of all")
    except AssertionError as error:
        parts.dropping.errors.append(str(error))
