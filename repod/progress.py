"""How far a command is: a bar on the terminal, on standard error beside the answer; nothing where there is none."""

import contextlib
import sys
from collections.abc import Callable, Iterator

Tell = Callable[[str, int, int], object]


@contextlib.contextmanager
def progress(first: str) -> Iterator[Tell]:
    """What is to be told what is being done, how many are done, and of how many; ``first``: what is done first."""
    if not sys.stderr.isatty():
        yield lambda _doing, _done, _all: None
        return
    from rich.console import Console  # noqa: PLC0415 - who sees no bar does not wait for it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(first, total=None)
        yield lambda doing, done, count: bar.update(task, description=doing, completed=done, total=count)
