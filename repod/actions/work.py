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
        self._running = 0
        self._stopping = False

    @contextmanager
    def begun(self, repository: str = "") -> Iterator[None]:
        """While something works on ``repository``, alone where it is named.

        ``Unavailable`` where another one does not end in time, or repod is to stop.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or repository not in self._busy, self._patience)
            self._refuse_stopping()
            if repository in self._busy:
                msg = f"{repository}: another change has been at work for {self._patience:g} s; try again later"
                raise Unavailable(msg)
            self._running += 1
            self._busy |= {repository} - {""}
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._busy -= {repository}
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
            return self._changed.wait_for(lambda: self._running == 0, seconds)

    def _refuse_stopping(self) -> None:
        if self._stopping:
            msg = "repod is stopping, or reads its settings anew; try again"
            raise Unavailable(msg)
