"""Keeps the front page of a repository in step with its generations; any number of daemons may do so."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict

from repod.doors import Expect, Store, Version
from repod.doubt import Doubts
from repod.errors import NotFound, Unavailable
from repod.generation import Generation
from repod.history import History
from repod.office import Catalog
from repod.times import stamp
from repod.welcome import LONGEST, PAGE, Mark, Place, Render, Welcome, mark

_ATTEMPTS = 10

Seen = tuple[Mark | None, Version | Expect]
"""What the page that is there is of, and its version. A page without a mark is somebody else's."""


class Fronting:
    """A step of the follower: the page follows the current generation, and is never moved back."""

    name = "front page"
    rest = 2.0
    """Seconds: it is a big page, and no person looks sooner."""

    def __init__(
        self,
        *,
        store: Store,
        catalog: Catalog,
        place: Place,
        looks: str,
        render: Render,
        tell: Callable[[str], object],
    ) -> None:
        """``looks`` is a digest of what ``render`` makes pages with; ``tell`` hears of a page that is not repod's."""
        self._store = store
        self._history = History(store)
        self._catalog = catalog
        self._facts = json.dumps([looks, asdict(place)], sort_keys=True)
        self._place = place
        self._render = render
        self._tell = tell
        self._left: Seen | None = None

    def follow(self, current: Generation) -> None:
        """See ``Step.follow``. A page that somebody else put there stays."""
        wanted = self._wanted(current)
        page: bytes | None = None
        doubts = Doubts()
        for _ in range(_ATTEMPTS):
            seen, self._left = self._left or self._look(), None
            found, version = seen
            if found is None and version is not Expect.ABSENT:
                self._tell(f"{PAGE} is not repod's, and stays as it is; remove it to get a front page")
                return
            if found and (found == wanted or self._newer(found, current)):
                self._left = seen
                return
            page = page or self._made(wanted, current)
            with doubts:  # where another daemon wrote it, or this one did, it is looked at again
                self._left = wanted, self._store.write(PAGE, page, version)
                return
        msg = f"{PAGE} was written by others {_ATTEMPTS} times meanwhile; it is tried again"
        raise Unavailable(msg)

    def _wanted(self, current: Generation) -> Mark:
        """Of what the page is to be: a generation of another history has another primary."""
        facts = f"{self._facts}\n{current.number} {current.documents[0].checksum}"
        return Mark(generation=current.number, state=hashlib.sha256(facts.encode()).hexdigest())

    def _look(self) -> Seen:
        try:
            blob = self._store.read(PAGE)
        except NotFound:
            return None, Expect.ABSENT
        return mark(blob.data), blob.version

    def _newer(self, found: Mark, current: Generation) -> bool:
        """Whether the page is of a generation after ``current``, one that there is: a store may be put back."""
        return found.generation > current.number and (self._history.pointed() or 0) >= found.generation

    def _made(self, wanted: Mark, current: Generation) -> bytes:
        names = self._catalog.names(LONGEST)
        if names.generation != current.number:
            msg = f"the list of packages is that of generation {names.generation}, expected {current.number}"
            raise Unavailable(msg)
        return self._render(Welcome(place=self._place, mark=wanted, published=stamp(current.time), names=names))
