"""Log lines: one event each, text for a person at a terminal, JSON for everything else."""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import structlog

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def open_log(form: Literal["auto", "text", "json"], level: str) -> Any:
    """The logger of this process; it writes to standard error."""
    text = form == "text" or (form == "auto" and sys.stderr.isatty())
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    finish: list[Any] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
        if text
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[structlog.processors.add_log_level, stamp, _in_order, *finish],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    return structlog.get_logger()


def _in_order(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """When and what first, as a person reads."""
    first = {key: event.pop(key) for key in ("timestamp", "level", "event")}
    return first | dict(event)
