"""What metrics say of the current generation of one repository, whoever published it."""

import threading
from typing import TYPE_CHECKING

from repod.generation import Generation

if TYPE_CHECKING:  # a command whose metrics nobody reads does without the library
    from repod.metrics import Metrics


class Gauges:
    """A ``Step`` that the loop of the repository tells of its own generations before anybody looks."""

    name = "metrics"

    def __init__(self, repository: str, metrics: "Metrics") -> None:
        """Nothing is known yet."""
        self._repository = repository
        self._metrics = metrics
        self._lock = threading.Lock()
        self.number = 0

    def show(self, generation: Generation) -> None:
        """It was published here, or found current when everything was opened."""
        with self._lock:
            self._show(generation)

    def follow(self, current: Generation) -> None:
        """It was current when somebody looked, which may be a moment ago."""
        with self._lock:
            if current.number > self.number:
                self._show(current)

    def _show(self, generation: Generation) -> None:
        self.number = generation.number
        self._metrics.generation.labels(self._repository).set(generation.number)
        self._metrics.packages.labels(self._repository).set(generation.packages)
        self._metrics.last_publish.labels(self._repository).set(generation.time)
