"""Log lines: one event each, text for a person at a terminal, JSON for everything else."""

import json
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

_LEVELS = ("debug", "info", "warning", "error")
_COLORS = {"warning": "\033[33m", "error": "\033[31m"}
_EVENT_WIDTH = 30  # so that the fields of most lines begin in one column


class Log:
    """Writes what happened and its fields, as JSON values where they are some and by ``repr`` where not.

    Own code, since structlog with its imports is a tenth of a second of each ``repod once``.
    """

    def __init__(self, out: TextIO, level: str, render: Callable[[Mapping[str, Any]], str]) -> None:
        """``level``: what lies below it is not written."""
        self._out = out
        self._written = _LEVELS[_LEVELS.index(level) :]
        self._render = render

    def info(self, event: str, **fields: Any) -> None:
        """Something that should be known happened."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Something is not as it should be; repod goes on."""
        self._write("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Something could not be done; with ``exc_info=True`` the traceback is written too."""
        if fields.pop("exc_info", False):
            fields["exception"] = traceback.format_exc().rstrip()
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        if level in self._written:
            when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            # One write, so that lines of several threads do not mix.
            self._out.write(self._render({"timestamp": when, "level": level, "event": event, **fields}) + "\n")
            self._out.flush()


def open_log(form: Literal["auto", "text", "json"], level: str) -> Log:
    """The logger of this process; it writes to standard error."""
    if form == "text" or (form == "auto" and sys.stderr.isatty()):
        return Log(sys.stderr, level, _colored if sys.stderr.isatty() else _text)
    return Log(sys.stderr, level, _json)


def _json(line: Mapping[str, Any]) -> str:
    return json.dumps(line, default=repr)


def _text(line: Mapping[str, Any]) -> str:
    fields = dict(line)
    when, level, event = (fields.pop(name) for name in ("timestamp", "level", "event"))
    trace = fields.pop("exception", "")
    words = " ".join(f"{name}={_word(value)}" for name, value in fields.items())
    return f"{when} {level:<7} {event:<{_EVENT_WIDTH}} {words}".rstrip() + (f"\n{trace}" if trace else "")


def _colored(line: Mapping[str, Any]) -> str:
    color = _COLORS.get(line["level"])
    return f"{color}{_text(line)}\033[0m" if color else _text(line)


def _word(value: Any) -> str:
    """A value as it is where it is one plain word; else quoted, which no control character survives."""
    plain = isinstance(value, str) and value.isprintable() and value and not set(value) & set(" \"'=")
    return value if plain else repr(value)
