"""How a push gets on: bars on a terminal; elsewhere, as in CI, a plain line for each file when it is done with."""

import contextlib
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import click

from repod.client.pushing import Parcel, Result, Teller
from repod.wording import steerless

_COLOURS = {0: "green", 3: "yellow"}


def text_of(result: Result) -> str:
    """A result as lines for a person; texts of strangers never steer a terminal."""
    generation = f", generation {result.generation}" if result.generation else ""
    first, *rest = [steerless(line) for line in result.text.splitlines()] or [""]
    head = f"{result.state}{generation}: {first}"
    return "\n".join([head, *(f"    {line}" for line in rest)])


class Lines:
    """``Teller`` in plain lines: what went well on standard output, what did not on standard error."""

    def begin(self, parcels: Sequence[Parcel]) -> None:
        """See ``Teller``."""

    def sent(self, parcel: Parcel, count: int) -> None:
        """See ``Teller``."""

    def doing(self, text: str) -> None:
        """See ``Teller``."""

    def done(self, result: Result) -> None:
        """See ``Teller``."""
        click.echo(f"{steerless(result.file)}: {text_of(result)}", err=result.code != 0)


class Silent(Lines):
    """``Teller`` of who prints all that came of it at the end."""

    def done(self, result: Result) -> None:
        """See ``Teller``."""


class Bars:
    """``Teller`` on a terminal: a bar per file and what is being done, on standard error; results above them."""

    def __init__(self) -> None:
        """Nothing is drawn yet."""
        from rich.console import Console  # noqa: PLC0415 - CI, where it is not needed, would wait for it
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
        from rich.text import Text  # noqa: PLC0415

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        self._text = Text
        self._console = Console(stderr=True)
        self._progress = Progress(*columns, console=self._console, transient=True)
        self._status: Any = None
        self._bars: dict[Parcel, Any] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Take away what was drawn."""
        self._progress.stop()
        self._still()

    def begin(self, parcels: Sequence[Parcel]) -> None:
        """See ``Teller``."""
        self._still()
        for parcel in parcels:
            self._bars[parcel] = self._progress.add_task(steerless(parcel.name), total=parcel.size)
        self._progress.start()

    def sent(self, parcel: Parcel, count: int) -> None:
        """See ``Teller``."""
        self._progress.advance(self._bars[parcel], count)

    def doing(self, text: str) -> None:
        """See ``Teller``."""
        self._progress.stop()
        self._still()
        self._status = self._console.status(steerless(text))
        self._status.start()

    def done(self, result: Result) -> None:
        """See ``Teller``."""
        name, text = (
            self._text(steerless(result.file), "bold"),
            self._text(text_of(result), _COLOURS.get(result.code, "red")),
        )
        with self._lock:
            self._console.print(name, text, sep=": ", soft_wrap=True)

    def _still(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


@contextlib.contextmanager
def telling(*, as_json: bool) -> Iterator[Teller]:
    """The one that fits; what it drew is gone at the end."""
    if as_json or not (sys.stderr.isatty() and sys.stdout.isatty()):
        yield Silent() if as_json else Lines()
        return
    bars = Bars()
    try:
        yield bars
    finally:
        bars.close()
