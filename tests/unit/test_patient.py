"""JSON that is read in pieces says what Python's own reader says."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from repod import patient

_VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False) | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
)


@given(_VALUES, some.sampled_from([None, 1, "\t"]), some.booleans())
def test_every_value_is_read_as_it_was_written(value: Any, indent: Any, ascii_only: bool) -> None:
    data = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        expected = json.loads(data.decode())
    except UnicodeDecodeError:
        with pytest.raises(ValueError):
            patient.loads(data)
    else:
        assert patient.loads(data) == expected


@given(some.text(alphabet='{}[]":, \n0a1.-\\tn', max_size=12))
@example('{"a":1,}')
@example('{"a":1 "b":2}')
@example("[1,]")
@example("{1:2}")
@example('{"a"}')
@example("[1] 2")
@example('{"a":1,"a":2}')
@example("")
def test_what_is_no_json_is_refused_and_nothing_else(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):
            patient.loads(text.encode())
    else:
        assert patient.loads(text.encode()) == expected
