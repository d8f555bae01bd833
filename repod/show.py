"""What a command answers: a table for a person, one JSON document for a machine."""

import itertools
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from repod.wording import steerless


def show(rows: Sequence[Mapping[str, Any]], *, as_json: bool, empty: str) -> None:
    """Print ``rows``; all have the same keys. ``empty`` is what a person reads where there are none."""
    if as_json:
        click.echo(json.dumps(list(rows), indent=1))
        return
    if not rows:
        click.echo(empty)
        return
    columns = [column.replace("_", " ") for column in rows[0]]
    cells = [[_cell(value) for value in row.values()] for row in rows]
    if sys.stdout.isatty():
        _draw(columns, cells)
    else:
        click.echo("\n".join(_plain([columns, *cells])))


def card(facts: Mapping[str, Any]) -> None:
    """Print facts about one thing for a person, a line each; a list takes a line for each of its texts."""
    width = max(map(len, facts)) + 1
    for key, value in facts.items():
        first, *rest = (_cell(value) or "-").splitlines()
        click.echo(f"  {key + ':':<{width}} {first}")
        for line in rest:
            click.echo(f"  {'':<{width}} {line}")


def _draw(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """A table as wide as the terminal; long cells are folded."""
    from rich.console import Console  # noqa: PLC0415 - cron and CI, where it is not needed, would wait for it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    Console().print(table)


def _plain(table: Sequence[Sequence[str]]) -> Iterator[str]:
    """The same for a file or a pipe: nothing is folded; a cell of several lines takes several."""
    lines = [line for row in table for line in itertools.zip_longest(*(c.splitlines() for c in row), fillvalue="")]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(map(_cell, value))
    return "-" if value in ("", None) else "\n".join(map(steerless, str(value).split("\n")))
