"""The changes that are at work: one at a time on each repository, and none any more where repod is to stop."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from repod.errors import Unavailable
from repod.office import Far

_PATIENCE = 30.0


class Work:
    """Knows what is at work. Any thread may ask."""

    def __init__(self, patience: float = _PATIENCE) -> None:
        """``patience``: seconds that a change waits for another one of its repository."""
        self._patience = patience
        self._changed = threading.Condition()
        self._busy: set[str] = set()
        self._stopping = False

    @contextmanager
    def begun(self, what: str) -> Iterator[None]:
        """While something works on ``what``, such as a repository, alone.

        ``Unavailable`` where another one does not end in time, or repod is to stop.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or what not in self._busy, self._patience)
            self._refuse_stopping()
            if what in self._busy:
                msg = f"{what}: another one is at work and did not end within {self._patience:g} s; try again later"
                raise Unavailable(msg)
            self._busy.add(what)
        try:
            yield
        finally:
            with self._changed:
                self._busy.remove(what)
                self._changed.notify_all()

    def told(self, tell: Far) -> Far:
        """``tell``, which raises ``Unavailable`` where repod is to stop: so long work ends soon."""

        def ending(what: str, done: int, count: int) -> None:
            self._refuse_stopping()
            tell(what, done, count)

        return ending

    def stop(self) -> None:
        """Let nothing begin any more; what can end early does."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def join(self, seconds: float) -> bool:
        """Wait until nothing is at work; False where that took longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy, seconds)

    def _refuse_stopping(self) -> None:
        if self._stopping:
            msg = "repod is stopping, or reads its settings anew; try again"
            raise Unavailable(msg)
