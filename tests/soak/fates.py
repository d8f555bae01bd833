"""What the daemon's log says became of each drop, read as it grows."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_FATES = {
    "package published": "published",
    "package is published already": "duplicate",
    "package rejected": "rejected",
}


@dataclass(slots=True)
class Log:
    """The log. ``fates`` are those of each file, by its name in the inbox; ``reasons`` why one was rejected; ``ended``:
    how often each came. One thread reads on, others may look at counts meanwhile.
    """

    path: Path
    fates: dict[str, list[str]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    ended: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    size: int = 0
    _rest: bytes = b""

    def read(self) -> None:
        """What was written since the last time."""
        with self.path.open("rb") as file:
            file.seek(self.size)
            new = file.read()
        self.size += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            self._note(line)

    def _note(self, line: bytes) -> None:
        if not line.startswith(b"{"):
            self.errors.append(f"a line of the log is no event: {line.decode(errors='replace')}")
            return
        event: dict[str, Any] = json.loads(line)
        name = event["event"]
        self.events[name] += 1
        if name in _FATES:
            self.fates.setdefault(event["file"], []).append(_FATES[name])
            self.ended[_FATES[name]] += 1
            self.reasons[event["file"]] = "; ".join(event.get("faults", ()))
        elif event["level"] in {"error", "critical"} or (event["level"] == "warning" and "rejected" not in name):
            self.errors.append(f"the log has {event['level']}: {line.decode(errors='replace')[:1000]}")
