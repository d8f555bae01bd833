"""What this client saw of repositories before, a file for each URL: so that none goes back unseen.

Unlike a cache it must not be lost in silence: a file that is damaged or cannot be written is an error.
"""

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from repod import jsontext
from repod.client.verdict import Mark
from repod.errors import Misconfigured
from repod.package import sha256
from repod.statement import Statement


class Watermarks:
    """The marks of one user, in a folder; ``recall`` and ``raise_to`` a URL."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is made when it is first written to."""
        self._folder = folder

    def recall(self, url: str) -> Mark | None:
        """What was seen there before; None: it is the first look. ``Misconfigured`` where it is damaged."""
        path = self._path(url)
        try:
            tree = jsontext.loads(path.read_bytes())
            return Mark(
                repository=str(tree["repository"]),
                generation=int(tree["generation"]),
                record=sha256(tree["record"]),
                issued=int(tree["issued"]),
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            msg = f"{path} cannot be read ({error}): restore it, or remove it to trust {url} anew as it is now"
            raise Misconfigured(msg) from error

    def key_of(self, url: str) -> bytes:
        """The armored keys that were trusted there on first use; nothing where none were."""
        try:
            return self._path(url).with_suffix(".asc").read_bytes()
        except FileNotFoundError:
            return b""

    def pin(self, url: str, keys: bytes) -> None:
        """Trust these keys there from now on."""
        self._write(self._path(url).with_suffix(".asc"), keys)

    def raise_to(self, url: str, statement: Statement, before: Mark | None) -> None:
        """Remember what was seen; never less than before."""
        if before and (before.generation, before.issued) >= (statement.generation, statement.issued):
            return
        mark = Mark(
            repository=statement.repository,
            generation=statement.generation,
            record=statement.record,
            issued=statement.issued,
        )
        self._write(self._path(url), json.dumps({"url": url, **asdict(mark)}, indent=1).encode())

    def _path(self, url: str) -> Path:
        return self._folder / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.json"

    def _write(self, path: Path, data: bytes) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            stage, name = tempfile.mkstemp(dir=self._folder)
            try:
                with os.fdopen(stage, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(path)
            except OSError:
                with suppress(OSError):
                    Path(name).unlink()
                raise
        except OSError as error:
            msg = f"{path} cannot be written ({error.strerror}), so that a rollback would go unseen; see --state"
            raise Misconfigured(msg) from error
