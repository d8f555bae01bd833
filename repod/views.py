"""What clients read of a generation: the live view, its frozen view, and what points at the newest one.

The frozen view of generation N is a repository at a URL of its own that never changes, so that index,
signature and documents always belong together. ``mirrorlist`` and ``metalink.xml`` are each one
small object that names the newest: for clients they do what one pointer does.
"""

import contextlib
import hashlib
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit
from xml.sax.saxutils import escape, quoteattr

from repod.doors import Expect, Store, Version
from repod.errors import Conflict, NotFound, OutcomeUnknown, Unavailable
from repod.generation import Generation
from repod.package import StorePath, store_path

REPOMD = StorePath("repodata/repomd.xml")
SIGNATURE = StorePath("repodata/repomd.xml.asc")
MIRRORLIST = StorePath("mirrorlist")
METALINK = StorePath("metalink.xml")
_ATTEMPTS = 100


def mirrorlist(generation: Generation, url: str) -> bytes:
    """The list of base URLs that yum and dnf choose from: one, the newest frozen view below ``url``."""
    return f"{url}{generation.view}\n".encode()


def metalink(generation: Generation, url: str) -> bytes:
    """Where the newest frozen index lies and what its checksum is, as MirrorManager writes it for dnf.

    Metalink 3.0 (https://www.metalinker.org/), with the timestamp that yum compares.
    """
    repomd = generation.frozen_repomd.encode()
    target = f"{url}{generation.view}{REPOMD}"
    protocol = urlsplit(target).scheme
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<metalink version="3.0" xmlns="http://www.metalinker.org/" type="dynamic"'
        ' xmlns:mm0="http://fedorahosted.org/mirrormanager" generator="repod">\n'
        " <files>\n"
        '  <file name="repomd.xml">\n'
        f"   <mm0:timestamp>{generation.time}</mm0:timestamp>\n"
        f"   <size>{len(repomd)}</size>\n"
        "   <verification>\n"
        f'    <hash type="sha256">{hashlib.sha256(repomd).hexdigest()}</hash>\n'
        "   </verification>\n"
        '   <resources maxconnections="1">\n'
        f'    <url protocol={quoteattr(protocol)} type={quoteattr(protocol)} preference="100">{escape(target)}</url>\n'
        "   </resources>\n"
        "  </file>\n"
        " </files>\n"
        "</metalink>\n"
    ).encode()


def current(generation: Generation, url: str) -> Mapping[StorePath, bytes]:
    """What follows the pointer when it says ``generation``, in the order in which it is written."""
    return {
        REPOMD: generation.repomd.encode(),
        SIGNATURE: generation.signature.encode(),
        MIRRORLIST: mirrorlist(generation, url),
        METALINK: metalink(generation, url),
    }


def frozen(generation: Generation) -> Mapping[StorePath, bytes]:
    """The index of the frozen view and its signature."""
    return {
        store_path(generation.view + REPOMD): generation.frozen_repomd.encode(),
        store_path(generation.view + SIGNATURE): generation.frozen_signature.encode(),
    }


class Views:
    """Brings the views of one repository to what its records and its pointer say."""

    def __init__(self, store: Store, url: str, pause: Callable[[int], None]) -> None:
        """``url``: where hosts find the store, with a slash at its end; ``pause`` as in ``Publisher``."""
        self._store = store
        self._url = url
        self._pause = pause

    def freeze(self, generation: Generation) -> None:
        """Give the frozen view its index, for ever; its documents are stored already."""
        for path, data in frozen(generation).items():
            self._freeze(path, data)

    def _freeze(self, path: StorePath, data: bytes) -> None:
        for attempt in range(_ATTEMPTS):
            present, version = self._seen(path)
            if present == data:
                return
            try:
                self._store.write(path, data, version)
            except (Conflict, OutcomeUnknown):
                self._pause(attempt)  # whoever else writes here does so from the same record
        msg = f"{path} could not be written in {_ATTEMPTS} tries; it is tried again"
        raise Unavailable(msg)

    def follow(self, pointed: Callable[[], Generation | None]) -> None:
        """Make what clients read that of the generation that ``pointed`` tells, without ever moving it back.

        ``Unavailable`` where a hundred tries were not enough.
        """
        for attempt in range(_ATTEMPTS):
            try:
                seen = {path: self._seen(path) for path in (REPOMD, SIGNATURE, MIRRORLIST, METALINK)}
                generation = pointed()
                if generation is None:
                    return
                # The version read before the pointer guards the write: whoever moved the
                # pointer on since has changed the views, or will.
                for path, data in current(generation, self._url).items():
                    present, version = seen[path]
                    if present != data:
                        self._store.write(path, data, version)
            except (Conflict, OutcomeUnknown):
                self._pause(attempt)
                continue
            if pointed() == generation:
                return
        msg = f"{REPOMD} could not be brought to the pointer's generation in {_ATTEMPTS} tries; it is tried again"
        raise Unavailable(msg)

    def _seen(self, path: StorePath) -> tuple[bytes | None, Version | Expect]:
        with contextlib.suppress(NotFound):
            blob = self._store.read(path)
            return blob.data, blob.version
        return None, Expect.ABSENT
