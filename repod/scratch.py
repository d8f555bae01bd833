"""Folders and files for work in hand: private, gone at the end, and never the news themselves."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from repod.errors import Unavailable


@contextmanager
def scratch(within: Path | None = None, prefix: str = "") -> Iterator[Path]:
    """A new folder in ``within`` (None: where temporary files lie), for its owner only; it goes with all it holds.

    Where it cannot be removed it stays, and nothing is raised: what ended the work is the news, and hidden by
    an error of the cleaning up. Raises ``Unavailable`` where it cannot be made.
    """
    with writing(within or "the folder for temporary files (TMPDIR)"):
        folder = Path(tempfile.mkdtemp(dir=within, prefix=prefix))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def writing(place: Path | str) -> Iterator[None]:
    """While something is put into ``place``; ``Unavailable`` where that cannot be done."""
    try:
        yield
    except FileNotFoundError as error:
        msg = f"{place} is not there any more; make it again, or start repod again"
        raise Unavailable(msg) from error
    except OSError as error:
        msg = f"{place} cannot be used ({error.strerror}); it needs room, and repod must be allowed to write there"
        raise Unavailable(msg) from error


def discard(path: Path) -> None:
    """Remove a file of work in hand, if it is there; one that cannot be removed goes with its folder, or later."""
    with suppress(OSError):
        path.unlink()
