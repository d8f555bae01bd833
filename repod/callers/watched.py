"""A file that others change while the daemon runs: read anew when it is another one."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from repod.errors import Unavailable

_Value = TypeVar("_Value")


class Watched(Generic[_Value]):
    """What a file says now. Threads may share it."""

    def __init__(self, path: Path, read: Callable[[bytes], _Value], *, optional: bool = False) -> None:
        """``read`` makes the value of the bytes; its ``ValueError`` says what is wrong with them.

        ``optional``: where there is no file yet, ``read`` gets no bytes.
        """
        self._optional = optional
        self.path = path
        self._read = read
        self._lock = threading.Lock()
        self._known: tuple[object, _Value] | None = None

    def value(self) -> _Value:
        """The value; ``Unavailable`` where the file cannot be read or understood: nobody is known by it then."""
        try:
            found = self.path.stat()
            state = (found.st_mtime_ns, found.st_ino, found.st_size, found.st_ctime_ns)
            with self._lock:
                if self._known is None or self._known[0] != state:
                    self._known = None
                    self._known = (state, self._read(self.path.read_bytes()))
                return self._known[1]
        except FileNotFoundError as error:
            if self._optional:
                return self._read(b"")
            msg = f"{self.path} is not there; write it, or take it out of the settings"
            raise Unavailable(msg) from error
        except OSError as error:
            msg = f"{self.path} cannot be read ({error.strerror}); let the user repod runs as read it"
            raise Unavailable(msg) from error
        except ValueError as error:
            msg = f"{self.path}: {error}"
            raise Unavailable(msg) from error
