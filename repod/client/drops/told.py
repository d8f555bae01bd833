"""What the reason files of an inbox say of something that was sent, and of nothing that was there before."""

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from repod import jsontext
from repod.client.pushing import Fate
from repod.errors import RepodError
from repod.refused import Reasons, Told


class Watched:
    """The reasons in one place. What lay there when something was sent is about something else."""

    def __init__(self, reasons: Reasons) -> None:
        """Nothing is read yet."""
        self._reasons = reasons
        self._lock = threading.Lock()
        self._begun = False
        self._old: set[Told] | None = None
        self._rejected: dict[str, Sequence[dict[str, str]]] = {}

    def begin(self, checksum: str) -> None:
        """The bytes with that SHA-256 are about to be sent: what was said of them so far is about something else.

        Who may not read there now is told nothing later either.
        """
        with self._lock:
            self._rejected.pop(checksum, None)
            if not self._begun:
                self._begun = True
                with suppress(RepodError):
                    self._old = set(self._reasons.list())

    def fate(self, checksum: str) -> Fate | None:
        """Why they were rejected since then; None where they were not, as far as is known."""
        with self._lock, suppress(RepodError):
            self._read()
        faults = self._rejected.get(checksum)
        return None if faults is None else Fate(state="rejected", faults=faults)

    def _read(self) -> None:
        old = self._old
        if old is None:
            return
        for told in self._reasons.list():
            if told in old:
                continue
            data = self._reasons.read(told)
            if data is not None:
                old.add(told)
                said = _understood(data)
                self._rejected[str(said.get("sha256"))] = [_fault(fault) for fault in said.get("faults", ())]


def _understood(data: bytes) -> dict[str, Any]:
    try:
        said = jsontext.loads(data)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _fault(said: Any) -> dict[str, str]:
    return {key: str(said.get(key, "")) for key in ("code", "text", "remedy")} if isinstance(said, dict) else {}
