"""Who signed which package, remembered in a file of the state directory; it may be deleted at any time."""

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from repod.package import Sha256, sha256


class SeenFile:
    """``signatures.Seen`` in one file. Of several writers, the last one's counts."""

    def __init__(self, path: Path) -> None:
        """``path``: its folder is made when it is first written."""
        self._path = path

    def load(self) -> Mapping[Sha256, frozenset[str]]:
        """See ``Seen.load``; nothing where it cannot be read."""
        try:
            rows = json.loads(self._path.read_bytes())
            return {sha256(pkgid): frozenset(names) for names, pkgids in rows for pkgid in pkgids}
        except (OSError, ValueError, TypeError):
            return {}

    def save(self, known: Mapping[Sha256, frozenset[str]]) -> None:
        """See ``Seen.save``; where it cannot be written, the next time takes longer."""
        by_names: dict[frozenset[str], list[Sha256]] = {}
        for pkgid, names in known.items():
            by_names.setdefault(names, []).append(pkgid)
        data = json.dumps([[sorted(names), pkgids] for names, pkgids in by_names.items()]).encode()
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._path.parent, prefix=self._path.name, delete=False) as file:
                file.write(data)
            os.replace(file.name, self._path)  # noqa: PTH105 - the name is a text
