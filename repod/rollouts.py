"""Rollouts of one repository, as the client that carries them out reports them: kept in the store, the newest 200.

Each report is the whole document, and may be sent again. One that has ended stays as it is: what comes later
than its end was sent earlier.
"""

import contextlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal

from pydantic import ValidationError

from repod.doors import Clock, Expect, Store, Version
from repod.doubt import Doubts
from repod.errors import Conflict, Corrupt, NotFound
from repod.happenings import Event
from repod.package import StorePath, store_path
from repod.reports import Report, Reported, Rollout, Summary, summary
from repod.tidings import rolled
from repod.wording import counted

FOLDER = ".repod/rollouts/"
FORMAT: Literal[1] = 1
KEPT = 200
BEAT = 20.0
"""Seconds after which a report of a running rollout is kept though it says nothing new: so it is seen to be alive."""

_ATTEMPTS = 20

Post = Callable[[Event], object]
"""Makes sure that an event will be told, and raises where it cannot."""


class Kept(Report):
    """What is stored of a rollout."""

    format: Literal[1]
    reported: Reported


class Rollouts:
    """Any number of writers, in any processes, may share them."""

    def __init__(
        self, repository: str, store: Store, *, post: Post, pause: Callable[[int], None], clock: Clock
    ) -> None:
        """``post`` is given each change of a rollout's state before it is kept; ``pause`` as in ``Ledger``."""
        self._repository = repository
        self._store = store
        self._post = post
        self._pause = pause
        self._clock = clock

    def newest(self, limit: int) -> Sequence[Summary]:
        """Those that were reported last, newest first."""
        listed = sorted(self._store.list(FOLDER), key=lambda stored: (-stored.modified, stored.path))
        found: list[Summary] = []
        for stored in listed[:limit]:
            with contextlib.suppress(NotFound):  # removed meanwhile
                found.append(summary(self._read(stored.path)[0]))
        return found

    def one(self, name: str) -> Reported:
        """The rollout whose id is ``name``; ``NotFound`` where there is none."""
        try:
            return self._read(_path(name))[0]
        except (NotFound, ValueError) as error:
            msg = f"there is no rollout {name!r} in {self._repository}; the last {KEPT} are kept"
            raise NotFound(msg) from error

    def report(self, rollout: Rollout, by: str) -> Reported:
        """Keep a report; one that says nothing new changes nothing.

        ``Conflict`` where the rollout has ended another way already.
        """
        path = _path(rollout.id)
        doubts = Doubts()
        for attempt in range(_ATTEMPTS):
            before, version = self._before(path)
            if before and before.rollout == rollout and not self._is_old(before):
                return before
            if before and before.rollout.state != "running":
                state = before.rollout.state
                msg = f"rollout {rollout.id} has ended ({state}); expected a new id for a new rollout"
                raise Conflict(msg)
            after = Reported(rollout=rollout, reported_by=by, reported=datetime.fromtimestamp(self._clock(), UTC))
            if before is None or before.rollout.state != rollout.state:
                # The id holds what stood there before: told again after a crash, it is the same event.
                self._post(rolled(self._repository, after, since=version, time=self._clock()))
            with doubts:
                self._store.write(path, _to_json(after), version)
                self._forget()
                return after
            self._pause(attempt)
        msg = f"{path}: other writers changed it {_ATTEMPTS} times meanwhile; report it again later"
        raise Conflict(msg)

    def _is_old(self, before: Reported) -> bool:
        """Whether it is time to say that a rollout is still at work: who looks goes by when it was reported."""
        return before.rollout.state == "running" and self._clock() - before.reported.timestamp() >= BEAT

    def _forget(self) -> None:
        listed = sorted(self._store.list(FOLDER), key=lambda stored: -stored.modified)
        for stored in listed[KEPT:]:
            self._store.remove(stored.path, seen=stored)

    def _before(self, path: StorePath) -> tuple[Reported | None, Version | Expect]:
        try:
            return self._read(path)
        except NotFound:
            return None, Expect.ABSENT

    def _read(self, path: StorePath) -> tuple[Reported, Version]:
        blob = self._store.read(path)
        try:
            return Kept.model_validate_json(blob.data).reported, blob.version
        except ValueError as error:
            reason = counted(error.error_count(), "fault") if isinstance(error, ValidationError) else str(error)
            msg = f"{path} is unreadable ({reason}); remove it, or restore it from a copy of the store"
            raise Corrupt(msg) from error


def _path(name: str) -> StorePath:
    return store_path(f"{FOLDER}{name}.json")


def _to_json(one: Reported) -> bytes:
    return Kept(format=FORMAT, reported=one).model_dump_json(by_alias=True, indent=1).encode()
