"""What one hook is still to be told of one repository, kept in the repository's store.

Of generations their records are the truth: the cursor says up to which the hook was told, so that nothing is
missed, whoever published it. Of all else there is a letter each, an object that is written before the thing counts
as done and removed after it is delivered. Any daemon goes on where another one died.

    .repod/outbox/HOOK/cursor.json                      how far it is, who delivers now, what it fails at
    .repod/outbox/HOOK/GENERATION-MILLISECONDS-ID.json  a letter, written while that generation was current
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from repod import jsontext
from repod.doors import Expect, Store, Stored, Version
from repod.doubt import Doubts
from repod.errors import Conflict, Corrupt, NotFound, OutcomeUnknown
from repod.generation import HEAD, Head
from repod.happenings import Event, Kind
from repod.package import StorePath, store_path

FOLDER = ".repod/outbox/"
FORMAT = 1
_ATTEMPTS = 20
_CURSOR = "cursor.json"
_LETTER = re.compile(r".*/[0-9]{10,}-[0-9]{14,}-[^/]+[.]json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far a hook is. Times are seconds since 1970; 0 is never.

    ``generation``: the last one it was told of; None where it is not told of generations. ``failures``: tries in a
    row that failed, ``since`` when, with ``problem`` the last time, and none is made before ``not_before``.
    ``holder`` delivers alone ``until`` then. ``paused``: the receiver wants no more, until a person says otherwise
    or ``target`` (``Hook.mark``) is another one.
    """

    generation: int | None = None
    delivered: int = 0
    dropped: int = 0
    last: float = 0.0
    failures: int = 0
    since: float = 0.0
    not_before: float = 0.0
    problem: str = ""
    paused: bool = False
    target: str = ""
    holder: str = ""
    until: float = 0.0

    def well(self) -> "Cursor":
        """The same without what failed before."""
        return replace(self, failures=0, since=0.0, not_before=0.0, problem="", paused=False)

    def free(self) -> "Cursor":
        """The same with nobody who delivers."""
        return replace(self, holder="", until=0.0)


class Outbox:
    """The outbox of one hook and one repository. Any number of processes may share it."""

    def __init__(self, hook: str, store: Store) -> None:
        """``store``: the repository's."""
        self.hook = hook
        self._folder = f"{FOLDER}{hook}/"
        self._store = store

    def append(self, event: Event, after: int) -> None:
        """Write a letter; when this returns, the event will be told. Again with the same event is fine.

        ``after``: the generation that is current. By it the event has its place among those of generations.
        """
        path = store_path(f"{self._folder}{after:010d}-{int(event.time * 1000):014d}-{event.id}.json")
        try:
            self._store.write(path, _to_json({"event": asdict(event)}), Expect.ABSENT)
        except Conflict:
            return
        except OutcomeUnknown:
            with contextlib.suppress(NotFound):
                self._store.read(path)
                return
            raise

    def letters(self) -> Sequence[Stored]:
        """Those that wait, the oldest first."""
        found = [stored for stored in self._store.list(self._folder) if _LETTER.fullmatch(stored.path)]
        return sorted(found, key=lambda stored: stored.path)

    def letter(self, stored: Stored) -> Event:
        """What one says; ``NotFound`` where it is delivered meanwhile, ``Corrupt`` where it says nothing."""
        data = self._store.read(stored.path).data
        try:
            event = _from_json(data)["event"]
            if not isinstance(event["data"], dict):
                msg = f"data: expected a table, found {event['data']!r:.40}"
                raise TypeError(msg)  # noqa: TRY301 - as what else is wrong in it
            return Event(**event | {"kind": Kind(event["kind"]), "time": float(event["time"])})
        except (ValueError, KeyError, TypeError) as error:
            msg = f"{stored.path} is unreadable ({error}); nobody is told of it"
            raise Corrupt(msg) from error

    def remove(self, stored: Stored) -> None:
        """It is delivered."""
        self._store.remove(stored.path)

    def cursor(self) -> tuple[Cursor | None, Version | Expect]:
        """How far it is, and the version of that; None where the hook was never seen."""
        path = self._path
        try:
            blob = self._store.read(path)
        except NotFound:
            return None, Expect.ABSENT
        try:
            return Cursor(**_from_json(blob.data)["cursor"]), blob.version
        except (ValueError, KeyError, TypeError) as error:
            msg = f"{path} is unreadable ({error}); remove it, and the hook begins at the current generation"
            raise Corrupt(msg) from error

    def move(self, cursor: Cursor, version: Version | Expect) -> Version:
        """Write how far it is; ``Conflict`` where somebody else did since ``version``."""
        return self._store.write(self._path, _to_json({"cursor": asdict(cursor)}), version)

    def change(self, change: Callable[[Cursor], Cursor]) -> Cursor:
        """Move the cursor whatever others do with it. ``NotFound`` where the hook was never seen."""
        doubts = Doubts()
        for _ in range(_ATTEMPTS):
            cursor, version = self.cursor()
            if cursor is None:
                msg = f"hook {self.hook} was never seen here; it begins when repod run or once has opened it"
                raise NotFound(msg)
            after = change(cursor)
            with doubts:
                self.move(after, version)
                return after
        msg = f"{self._path}: others changed it {_ATTEMPTS} times meanwhile; try again"
        raise Conflict(msg)

    @property
    def _path(self) -> StorePath:
        return store_path(self._folder + _CURSOR)


def written_after(letter: Stored) -> int:
    """The generation that was current when a letter was written."""
    return int(letter.path.rpartition("/")[2].partition("-")[0])


def pointed(store: Store) -> int:
    """The number of the current generation; 0 where nothing was published yet."""
    try:
        return Head.from_json(store.read(HEAD).data).generation
    except NotFound:
        return 0


class Post:
    """Makes sure that events of one repository will be told to every hook that wants them."""

    def __init__(self, store: Store, boxes: Iterable[tuple[Callable[[Kind], bool], Outbox]]) -> None:
        """``store``: the repository's; ``boxes``: each with what its hook wants."""
        self._store = store
        self._boxes = list(boxes)

    def __call__(self, event: Event) -> None:
        """Write the letters; raises where one could not be written. Where no hook wants it, it costs nothing."""
        boxes = [box for wants, box in self._boxes if wants(event.kind)]
        if boxes:
            after = pointed(self._store)
            for box in boxes:
                box.append(event, after)


def _to_json(fields: dict[str, Any]) -> bytes:
    return json.dumps({"format": FORMAT} | fields, indent=1).encode()


def _from_json(data: bytes) -> dict[str, Any]:
    tree = jsontext.loads(data)
    if tree["format"] != FORMAT:
        msg = f"expected format {FORMAT}, found {tree['format']!r}"
        raise ValueError(msg)
    del tree["format"]
    return dict(tree)
