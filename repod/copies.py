"""Private copies of stored packages, for whoever hands them to a worker process."""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from repod.doors import Store
from repod.package import StorePath
from repod.scratch import discard, writing


@contextmanager
def private_copy(store: Store, path: StorePath, workspace: Path) -> Iterator[tuple[Path, str]]:
    """A copy of a stored object in the private folder ``workspace``, gone afterwards, and its SHA-256.

    ``NotFound`` where the object is not there.
    """
    copy, digest = workspace / f"{secrets.token_hex(16)}.rpm", hashlib.sha256()
    try:
        with writing(workspace), copy.open("xb") as file:
            for piece in store.stream(path):
                digest.update(piece)
                file.write(piece)
        yield copy, digest.hexdigest()
    finally:
        discard(copy)
