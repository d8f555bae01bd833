"""Log lines: what a machine parses and what a person reads."""

import io
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from repod.log import Log, _json, _text


def _lines(log: Log, out: io.StringIO) -> list[str]:
    log.info("published", repository="main", added=3, seconds=0.02)
    log.warning("package rejected", faults=["too large"], file="a b\n\x1b[31m.rpm")
    return out.getvalue().splitlines()


def test_a_json_line_has_when_level_and_event_first_and_then_the_fields() -> None:
    out = io.StringIO()
    first, second = (json.loads(line) for line in _lines(Log(out, "info", _json), out))
    assert list(first) == ["timestamp", "level", "event", "repository", "added", "seconds"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", first["timestamp"])
    assert (first["level"], first["event"], first["added"]) == ("info", "published", 3)
    assert (second["level"], second["file"]) == ("warning", "a b\n\x1b[31m.rpm")


def test_a_text_line_is_one_line_and_quotes_what_is_no_plain_word() -> None:
    out = io.StringIO()
    first, second = _lines(Log(out, "info", _text), out)
    assert re.fullmatch(r"\S+Z info    published +repository=main added=3 seconds=0\.02", first)
    assert second.endswith(r"package rejected               faults=['too large'] file='a b\n\x1b[31m.rpm'")


@pytest.mark.parametrize(("level", "count"), [("debug", 2), ("info", 2), ("warning", 1), ("error", 0)])
def test_what_lies_below_the_level_is_not_written(level: str, count: int) -> None:
    out = io.StringIO()
    assert len(_lines(Log(out, level, _json), out)) == count


@pytest.mark.parametrize(("render", "end"), [(_json, '"}'), (_text, "")], ids=["json", "text"])
def test_an_error_carries_the_traceback_where_it_is_asked_for(
    render: Callable[[Mapping[str, Any]], str], end: str
) -> None:
    out = io.StringIO()
    say = Log(out, "info", render).error
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError:
        say("turn failed", exc_info=True)
        say("turn failed", exc_info=False)
    told, quiet = out.getvalue().rstrip().rsplit("\n", 1)
    assert "Traceback" in told
    assert told.endswith(f"ZeroDivisionError: division by zero{end}")
    assert "Traceback" not in quiet


def test_a_value_that_json_does_not_know_is_written_as_it_represents_itself() -> None:
    out = io.StringIO()
    Log(out, "info", _json).info("x", value={1})
    assert json.loads(out.getvalue())["value"] == "{1}"
