"""Folders for work in hand: private, gone at the end, and never the news themselves."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch(within: Path | None = None, prefix: str = "") -> Iterator[Path]:
    """A new folder in ``within`` (None: where temporary files lie), for its owner only; it goes with all it holds.

    Where it cannot be removed it stays, and nothing is raised: what ended the work is the news, and hidden by
    an error of the cleaning up. Raises ``OSError`` where it cannot be made.
    """
    folder = Path(tempfile.mkdtemp(dir=within, prefix=prefix))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
