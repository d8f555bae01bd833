"""What the last look for something to prune found, in a file of the state directory; it may be deleted at any time."""

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from repod.idle import Idle
from repod.memo import recall, remember


class IdleFile:
    """``Memory`` in one file, for who looks once; the file is read once, too."""

    def __init__(self, path: Path, terms: str) -> None:
        """``path``: its folder is made when it is first written. ``terms``: the settings that were looked by."""
        self._path = path
        self._terms = terms
        self._idle: Idle | None = None
        self._read = False

    def load(self) -> Idle | None:
        """See ``Memory.load``; nothing where it cannot be read, or other settings were looked by."""
        if not self._read:
            self._read = True
            tree = recall(self._path)
            with suppress(TypeError, KeyError):
                if tree["terms"] == self._terms and tree["idle"]:
                    self._idle = Idle(**tree["idle"])
        return self._idle

    def save(self, idle: Idle | None) -> None:
        """See ``Memory.save``; where it cannot be written, the next process looks again."""
        self._read, self._idle = True, idle
        remember(self._path, {"terms": self._terms, "idle": asdict(idle) if idle else None})
