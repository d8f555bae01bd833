"""Log lines: one event each, text for a person at a terminal, JSON for everything else."""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal, TextIO, cast

import structlog

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def open_log(form: Literal["auto", "text", "json"], level: str) -> Any:
    """The logger of this process; it writes to standard error, and raises nothing where that takes no more lines."""
    text = form == "text" or (form == "auto" and sys.stderr.isatty())
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    finish: list[Any] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
        if text
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    out = Steady(sys.stderr)
    structlog.configure(
        processors=[structlog.processors.add_log_level, stamp, _in_order, out.told, *finish],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        # All that a logger of structlog does with its file is to write and to flush.
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", out)),
    )
    return structlog.get_logger()


class Steady:
    """A stream that fails nobody: a full disk, or a reader that is gone, stops no work that has something to tell.

    The next line that is taken says ``missed_before``: how many were not.
    """

    def __init__(self, stream: TextIO) -> None:
        """``stream``: where the lines go."""
        self._stream = stream
        self._missed = 0

    def write(self, text: str) -> None:
        """A line, which is there, or counted as missed, when this returns."""
        try:
            self._stream.write(text)
            self._stream.flush()
            self._missed = 0
        except (OSError, ValueError):  # the second: it is closed
            self._missed += 1

    def flush(self) -> None:
        """Nothing is left to be done."""

    def told(self, _logger: Any, _method: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """A processor of structlog: the event, with how many lines before it were missed, if there are any."""
        return {**event, "missed_before": self._missed} if self._missed else event


def _in_order(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """When and what first, as a person reads."""
    first = {key: event.pop(key) for key in ("timestamp", "level", "event")}
    return first | dict(event)
