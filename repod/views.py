"""What clients read of a generation: the live view, its frozen view, and what points at the newest one.

The frozen view of generation N is a repository at a URL of its own that never changes, so that index,
signature and documents always belong together. ``mirrorlist`` and ``metalink.xml`` are each one
small object that names the newest: for clients they do what one pointer does.
"""

import contextlib
import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from functools import partial
from urllib.parse import urlsplit
from xml.sax.saxutils import escape, quoteattr

from repod.beside import beside
from repod.beside import threads as own_threads
from repod.doors import Expect, Store, Version
from repod.doubt import Doubts
from repod.errors import Conflict, Corrupt, NotFound, OutcomeUnknown, Unavailable
from repod.generation import Generation, record_path
from repod.package import StorePath, store_path
from repod.signed import Kept
from repod.statement import STATEMENT
from repod.stating import Statements

REPOMD = StorePath("repodata/repomd.xml")
SIGNATURE = StorePath("repodata/repomd.xml.asc")
MIRRORLIST = StorePath("mirrorlist")
METALINK = StorePath("metalink.xml")
_ATTEMPTS = 100
_CURRENT = (METALINK, MIRRORLIST, REPOMD, SIGNATURE)

_Seen = tuple[bytes | None, Version | Expect]
"""What an object holds, None where it is not there, and what to expect of it when it is written."""


def mirrorlist(generation: Generation, url: str) -> bytes:
    """The list of base URLs that yum and dnf choose from: one, the newest frozen view below ``url``."""
    return f"{url}{generation.view}\n".encode()


def metalink(generation: Generation, live: Iterable[bytes], url: str) -> bytes:
    """Where the newest frozen index lies and what its checksum is, as MirrorManager writes it for dnf.

    Metalink 3.0 (https://www.metalinker.org/), with the timestamp that yum compares. librepo looks
    at this file also where a host reads the store as a directory (``baseurl=file:…``), so the indexes
    that may lie in the live view, ``live``, stand in it as alternates.
    """
    target = f"{url}{generation.view}{REPOMD}"
    protocol = quoteattr(urlsplit(target).scheme)
    alternates = "".join(
        f"    <mm0:alternate>\n{_verified(repomd, generation.time, 5)}    </mm0:alternate>\n" for repomd in live
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<metalink version="3.0" xmlns="http://www.metalinker.org/" type="dynamic"'
        ' xmlns:mm0="http://fedorahosted.org/mirrormanager" generator="repod">\n'
        " <files>\n"
        '  <file name="repomd.xml">\n'
        f"{_verified(generation.frozen_repomd.encode(), generation.time, 3)}"
        f"   <mm0:alternates>\n{alternates}   </mm0:alternates>\n"
        '   <resources maxconnections="1">\n'
        f'    <url protocol={protocol} type={protocol} preference="100">{escape(target)}</url>\n'
        "   </resources>\n"
        "  </file>\n"
        " </files>\n"
        "</metalink>\n"
    ).encode()


def _verified(data: bytes, time: int, indent: int) -> str:
    """What a metalink says of one index."""
    lines = (
        f"<mm0:timestamp>{time}</mm0:timestamp>",
        f"<size>{len(data)}</size>",
        f'<verification><hash type="sha256">{hashlib.sha256(data).hexdigest()}</hash></verification>',
    )
    return "".join(f"{' ' * indent}{line}\n" for line in lines)


def current(
    generation: Generation, parent: Generation | None, url: str, seen: bytes | None = None
) -> Mapping[StorePath, bytes]:
    """What follows the pointer when it says ``generation``: mirrorlist and metalink, then the index, its signature.

    ``parent`` is the generation before, where its record is still there; ``seen`` is the live index
    that was found. The metalink comes first, since it must know the live index that lies beside it,
    old or new.
    """
    own = generation.repomd.encode()
    live = dict.fromkeys(one for one in (own, parent.repomd.encode() if parent else None, seen) if one)
    return {
        METALINK: metalink(generation, live, url),
        MIRRORLIST: mirrorlist(generation, url),
        REPOMD: generation.repomd.encode(),
        SIGNATURE: generation.signature.encode(),
    }


def frozen(generation: Generation) -> Mapping[StorePath, bytes]:
    """The index of the frozen view and its signature."""
    return {
        store_path(generation.view + REPOMD): generation.frozen_repomd.encode(),
        store_path(generation.view + SIGNATURE): generation.frozen_signature.encode(),
    }


def shown_since(store: Store, generation: Generation) -> float:
    """Since when, at the latest, clients see ``generation``, the current one; endless where they do not all yet."""
    seen = dict.fromkeys(_CURRENT, b"")
    for path in _CURRENT:
        with contextlib.suppress(NotFound):
            seen[path] = store.read(path).data
    view = f"/{generation.view}".encode()
    if (
        (seen[REPOMD], seen[SIGNATURE]) != (generation.repomd.encode(), generation.signature.encode())
        or not seen[MIRRORLIST].endswith(view + b"\n")
        or view + REPOMD.encode() + b"</url>" not in seen[METALINK]
    ):
        return math.inf
    # Listed after they were read: so they were written before.
    return max(stored.modified for path in _CURRENT for stored in store.list(path) if stored.path == path)


class Views:
    """Brings the views of one repository to what its records and its pointer say."""

    def __init__(
        self,
        store: Store,
        url: str,
        pause: Callable[[int], None],
        threads: Executor | None = None,
        *,
        statements: Statements | None = None,
    ) -> None:
        """``url``: where hosts find the store, with a slash at its end; ``pause`` as in ``Publisher``.

        ``threads``: what asks the store beside each other; own ones where there are none. ``statements``: what is
        said of the current generation; None: nothing is.
        """
        self._store = store
        self._url = url
        self._pause = pause
        self._threads = threads or own_threads(len(_CURRENT), "views")
        self._statements = statements
        self._places = (*_CURRENT, STATEMENT) if statements else _CURRENT
        self._left: Mapping[StorePath, _Seen] = {}

    def freeze(self, generation: Generation) -> None:
        """Give the frozen view its index, for ever; its documents are stored already."""
        # In no order: nothing that clients read names the view yet.
        beside(self._threads, *(partial(self._freeze, path, data) for path, data in frozen(generation).items()))

    def _freeze(self, path: StorePath, data: bytes) -> None:
        version: Version | Expect = Expect.ABSENT
        doubts = Doubts()
        for attempt in range(_ATTEMPTS):
            with doubts:
                self._store.write(path, data, version)
                return
            present, version = self._seen(path)
            if present == data:
                return
            self._pause(attempt)  # whoever else writes here does so from the same record
        msg = f"{path} could not be written in {_ATTEMPTS} tries; it is tried again"
        raise Unavailable(msg)

    def advance(
        self,
        generation: Generation,
        parent: Generation | None,
        pointed: Callable[[], Generation | None],
        statement: Callable[[], bytes | None],
    ) -> Generation | None:
        """``follow``, by who has just moved the pointer from ``parent`` to ``generation``.

        ``statement`` gives that of ``generation``, which may be made meanwhile; None: it stays as it is. What clients
        read is not asked for where it is as this process left it: the versions that it was left with are older than
        the pointer, and guard the writes as well.
        """
        seen = self._left
        index = seen[REPOMD][0] if seen else None
        if parent and index == parent.repomd.encode():
            with contextlib.suppress(Conflict, OutcomeUnknown):
                self._write(current(generation, parent, self._url), seen, statement)
                if pointed() == generation:
                    return generation
        return self.follow(pointed)

    def follow(self, pointed: Callable[[], Generation | None]) -> Generation | None:
        """Make what clients read that of the generation that ``pointed`` tells, without ever moving it back.

        That generation, which clients see then, or a newer one. ``Unavailable`` where a hundred tries were not enough.
        """
        doubts = Doubts()
        for attempt in range(_ATTEMPTS):
            try:
                found = beside(self._threads, *(partial(self._seen, path) for path in self._places))
                seen = dict(zip(self._places, found, strict=True))
                generation = pointed()
                if generation is None:
                    return None  # the first one is still to come
                # The version read before the pointer guards the write: whoever moved the
                # pointer on since has changed the views, or will.
                parent = self._parent(generation)
                wanted = current(generation, parent, self._url, seen[REPOMD][0])
                self._write(wanted, seen, partial(self._state, generation, seen))
            except (Conflict, OutcomeUnknown) as error:
                doubts.met(error)
                self._pause(attempt)
                continue
            # Once more where the metalink spoke of a live index of long ago, which is gone now.
            if pointed() == generation and wanted == current(generation, parent, self._url):
                return generation
        msg = f"{REPOMD} could not be brought to the pointer's generation in {_ATTEMPTS} tries; it is tried again"
        raise Unavailable(msg)

    def renew(self, pointed: Callable[[], Generation | None]) -> Kept | None:
        """Sign the statement anew where that is due; None where there is none.

        ``Corrupt`` where what the store holds must not be stated.
        """
        if self._statements is None:
            return None
        present, _ = self._seen(STATEMENT)
        generation = pointed()
        if generation is None:
            return None
        made, kept = self._statements.kept(generation, present)
        if made != present:
            self.follow(pointed)
        return kept

    def _state(self, generation: Generation, seen: Mapping[StorePath, _Seen]) -> bytes | None:
        """The statement of the current generation; None where none may be made, which ``renew`` tells."""
        with contextlib.suppress(Corrupt):
            return self._statements.kept(generation, seen[STATEMENT][0])[0] if self._statements else None
        return None

    def _write(
        self,
        wanted: Mapping[StorePath, bytes],
        seen: Mapping[StorePath, _Seen],
        statement: Callable[[], bytes | None],
    ) -> None:
        """Write what is not as ``wanted``, where it is as it was ``seen``, and the statement, where there is one.

        That comes last: it must not speak of what nobody can read yet, and it is by the statement that whoever looks
        later, as ``renew`` does, knows that all the rest was written.
        """
        self._left = {}
        left = dict(seen)

        def write(path: StorePath, data: bytes) -> None:
            present, version = seen[path]
            if present != data:
                left[path] = data, self._store.write(path, data, version)

        beside(self._threads, *(partial(write, path, wanted[path]) for path in (METALINK, MIRRORLIST)))
        write(REPOMD, wanted[REPOMD])
        _, said = beside(self._threads, partial(write, SIGNATURE, wanted[SIGNATURE]), statement)
        if said:
            write(STATEMENT, said)
        self._left = left

    def _parent(self, generation: Generation) -> Generation | None:
        with contextlib.suppress(NotFound):
            return Generation.from_json(self._store.read(record_path(generation.parent)).data)
        return None

    def _seen(self, path: StorePath) -> _Seen:
        with contextlib.suppress(NotFound):
            blob = self._store.read(path)
            return blob.data, blob.version
        return None, Expect.ABSENT
