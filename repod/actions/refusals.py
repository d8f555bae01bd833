"""The rejected arrivals of a repository, by what their reason files say."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from repod import jsontext
from repod.config import Repository, Settings, rejected_place
from repod.errors import Misconfigured
from repod.inbox.names import shown
from repod.inboxes import open_reasons
from repod.office import Refusal
from repod.package import REMEDIES
from repod.refused import Reasons, Told
from repod.values import S3Place

_REMEMBERED = 2000
_BATCH = 16
_UNREADABLE = "its reason file cannot be understood"

_Key = tuple[str, int, str]


class Refusals:
    """What is told of the rejected arrivals of one repository. Threads may share it.

    What was read once is remembered while it is among the newest.
    """

    def __init__(self, settings: Settings, repository: Repository) -> None:
        """Nothing is read yet."""
        self._reasons: Reasons = open_reasons(settings, repository)
        self._place = rejected_place(repository.inbox).rstrip("/")
        # Inboxes beside each other have one place for what is refused.
        bucket = S3Place.parse(repository.inbox)
        self._inbox = shown(str(bucket) if bucket else str(Path(repository.inbox)))
        self._lock = threading.Lock()
        self._known: dict[_Key, Mapping[str, Any]] = {}

    def newest(self, *, limit: int, before: str = "") -> Sequence[Refusal]:
        """The newest first; see ``Looks.rejected``."""
        end = _position(before) if before else None
        listed = [told for told in self._listed() if end is None or _order(told) < end]
        return list(islice(self._told(listed), limit))

    def of(self, checksum: str) -> Refusal | None:
        """The newest one of those bytes, as far back as is remembered."""
        return next((one for one in self._told(self._listed()[:_REMEMBERED]) if one.sha256 == checksum), None)

    def _listed(self) -> Sequence[Told]:
        """All that lie there, the newest first."""
        listed = sorted(self._reasons.list(), key=_order, reverse=True)
        with self._lock:
            keys = map(_key, listed[:_REMEMBERED])
            self._known = {key: self._known[key] for key in keys if key in self._known}
        return listed

    def _told(self, listed: Sequence[Told]) -> Iterator[Refusal]:
        with ThreadPoolExecutor(_BATCH // 2, thread_name_prefix="reasons") as threads:
            for start in range(0, len(listed), _BATCH):
                batch = listed[start : start + _BATCH]
                for told, said in zip(batch, threads.map(self._said, batch), strict=True):
                    if said is not None and said.get("inbox", self._inbox) == self._inbox:
                        yield self._refusal(told, said)

    def _said(self, told: Told) -> Mapping[str, Any] | None:
        """What the reason says; None where it is gone."""
        known = self._known.get(_key(told))
        if known is None:
            data = self._reasons.read(told)
            if data is None:
                return None
            known = _parsed(data)
            with self._lock:
                self._known[_key(told)] = known
        return known

    def _refusal(self, told: Told, said: Mapping[str, Any]) -> Refusal:
        file = str(said.get("file") or shown(told.name))
        modified = datetime.fromtimestamp(told.modified / 1e9, UTC).isoformat(timespec="seconds")
        return Refusal(
            file=file,
            sha256=said.get("sha256"),
            size=said.get("size", 0),
            time=str(said.get("time") or modified.replace("+00:00", "Z")),
            place=f"{self._place}/{file}",
            faults=said["faults"],
            inbox_path=str(said.get("inbox_path") or file),
            id=f"{told.modified}-{shown(told.name)}",
        )


def _key(told: Told) -> _Key:
    return told.name, told.modified, told.mark


def _order(told: Told) -> tuple[int, str]:
    return told.modified, shown(told.name)


def _position(text: str) -> tuple[int, str]:
    number, dash, name = text.partition("-")
    if not (number.isascii() and number.isdecimal() and dash and len(number) < 30):  # noqa: PLR2004
        msg = f"before: expected the id of a rejected arrival, found {text[:100]!r}"
        raise Misconfigured(msg)
    return int(number), name


def _parsed(data: bytes) -> Mapping[str, Any]:
    """What a reason file says, whoever wrote it; each fault with what to do."""
    try:
        said = jsontext.loads(data)
        faults = [
            {
                "code": str(fault["code"]),
                "text": str(fault["text"]),
                "remedy": str(fault.get("remedy") or REMEDIES.get(fault["code"], "")),
            }
            for fault in said["faults"]
        ]
        return {
            "sha256": None if said["sha256"] is None else str(said["sha256"]),
            "size": int(said["size"]),
            "faults": faults,
        } | {key: str(said[key]) for key in ("file", "inbox", "inbox_path", "time") if key in said}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {"faults": [{"code": "", "text": _UNREADABLE, "remedy": "Look at the file itself, or remove both."}]}
