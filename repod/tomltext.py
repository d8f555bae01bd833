"""TOML text becomes settings: every fault at once, each with its place as a person finds it."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from repod.errors import Misconfigured

# Where pydantic speaks of Python and not of TOML.
_EXPECTED = {
    "sequence_str": 'expected a list such as ["one", "two"]',
    "is_instance_of": "expected a list, as [[...]] tables or values in brackets",
    "model_type": "expected a table of settings",
}


def text_of(path: Path, remedy: str) -> str:
    """What a settings file says, without the mark that some editors put before UTF-8.

    ``Misconfigured`` where it cannot be read, which ends with ``remedy``, or is not UTF-8, which names the line.
    """
    try:
        data = path.read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        msg = f"settings file {path} cannot be read ({error.strerror}); {remedy}"
        raise Misconfigured(msg) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        msg = f"settings file {path} is not UTF-8: byte 0x{data[error.start]:02x} at line {line}; save it as UTF-8"
        raise Misconfigured(msg) from error


def tree_of(text: str, source: str) -> dict[str, Any]:
    """The tree that ``text`` holds; ``Misconfigured`` names the line of ``source`` where it is no TOML."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of too many digits, brackets that nest deep
        msg = f"{source}: not TOML: {error}"
        raise Misconfigured(msg) from error


@contextmanager
def faults_of(tree: Mapping[str, Any], source: str, unknown: str) -> Iterator[None]:
    """While ``tree`` is made settings: what pydantic finds becomes ``Misconfigured``, a line for each fault.

    Each names the key, what was expected and what was found; ``unknown`` is said of a key that is no setting.
    """
    try:
        yield
    except ValidationError as error:
        raise Misconfigured(*_lines(error, tree, source, unknown)) from error


def _lines(error: ValidationError, tree: Mapping[str, Any], source: str, unknown: str) -> Iterator[str]:
    for fault in error.errors():
        place = _where(fault["loc"], tree)
        text = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "missing":
            text = "is required and missing"
        elif fault["type"] == "extra_forbidden":
            text = unknown
        elif fault["type"] != "value_error":
            text = _EXPECTED.get(fault["type"], f"{text[0].lower()}{text[1:]}") + f", found {fault['input']!r}"
        for line in text.splitlines():
            yield f"{source}: {place}: {line}" if place else f"{source}: {line}"


def _where(place: Sequence[int | str], tree: Mapping[str, Any]) -> str:
    """A key as a person finds it: a table of a list by its name where it has one, else by its number from 1."""
    if len(place) > 1 and isinstance(place[1], int) and isinstance(tree[str(place[0])], list):
        table = tree[str(place[0])][place[1]]
        name = table.get("name") if isinstance(table, Mapping) else None
        first = f"{place[0]} {name!r}" if isinstance(name, str) else f"{place[0]} number {place[1] + 1}"
        place = (first, *place[2:])
    return ".".join(str(part) for part in place)
