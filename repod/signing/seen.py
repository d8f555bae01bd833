"""Who signed which package, remembered in a file of the state directory; it may be deleted at any time."""

from collections.abc import Mapping
from pathlib import Path

from repod.memo import recall, remember
from repod.package import Sha256, sha256


class SeenFile:
    """``signatures.Seen`` in one file. Of several writers, the last one's counts."""

    def __init__(self, path: Path) -> None:
        """``path``: its folder is made when it is first written."""
        self._path = path

    def load(self) -> Mapping[Sha256, frozenset[str]]:
        """See ``Seen.load``; nothing where it cannot be read."""
        try:
            return {sha256(pkgid): frozenset(names) for names, pkgids in recall(self._path) for pkgid in pkgids}
        except (ValueError, TypeError):
            return {}

    def save(self, known: Mapping[Sha256, frozenset[str]]) -> None:
        """See ``Seen.save``; where it cannot be written, the next time takes longer."""
        by_names: dict[frozenset[str], list[Sha256]] = {}
        for pkgid, names in known.items():
            by_names.setdefault(names, []).append(pkgid)
        remember(self._path, [[sorted(names), pkgids] for names, pkgids in by_names.items()])
