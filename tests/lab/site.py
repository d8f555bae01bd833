"""One repository on a store in memory, and any number of publishers on it, as in different processes."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from repod.beside import Threads
from repod.doors import Change
from repod.generation import Generation
from repod.history import History
from repod.publish import Publisher
from repod.repodata.engine import SegmentedRepodata
from repod.store.memory import MemoryStore
from tests.lab import validity
from tests.lab.entries import Made
from tests.lab.fakes import Clock, MacSigner, armor
from tests.lab.faulty import FaultyStore, Plan, nothing
from tests.lab.inline import inline
from tests.lab.stated import statements

URL = "http://repod.test/repo/"


class Site:
    """``inner`` is the store itself. Every store handed out checks the repository after each write."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.inner = MemoryStore(self.clock)
        self.signer = MacSigner()
        self.pauses: list[int] = []
        self.warnings: list[str] = []
        self.highest = [0, 0, 0, 0, 0]
        self._folder = folder
        self._names = itertools.count()
        self._open = ExitStack()

    def store(self, plan: Plan = nothing) -> FaultyStore:
        """A view of the store: watched, then ``plan``."""
        return FaultyStore(self.inner, validity.watching(self.inner, self.highest, plan))

    def plan(self, store: FaultyStore, plan: Plan = nothing) -> None:
        """From now on, with steps counted anew, ``plan`` holds."""
        store.steps.clear()
        store.plan = validity.watching(self.inner, self.highest, plan)

    def repodata(self, store: FaultyStore, cache: str = "") -> SegmentedRepodata:
        """The engine of a process of its own; ``cache`` names one that was used before."""
        engine = SegmentedRepodata(store, self._folder / (cache or f"cache{next(self._names)}"), threads=inline)
        self._open.callback(engine.close)
        return engine

    def publisher(
        self,
        store: FaultyStore | None = None,
        cache: str = "",
        repodata: SegmentedRepodata | None = None,
        threads: Threads = inline,
    ) -> Publisher:
        """A publisher of a process of its own; ``repodata``: what others in that process use too."""
        store = store or self.store()
        return Publisher(
            store=store,
            url=URL,
            repodata=repodata or self.repodata(store, cache),
            signer=self.signer,
            armor=armor,
            clock=self.clock,
            pause=self.pause,
            warn=self.warnings.append,
            statements=statements(store, self.signer, self.clock),
            threads=threads,
        )

    def pause(self, attempt: int, unit: float = 0.01) -> None:
        """See ``Pause``; it takes no time, and only the numbers are noted."""
        assert unit >= 0
        self.pauses.append(attempt)

    def opened(self, store: FaultyStore | None = None, cache: str = "") -> Publisher:
        """A publisher that stands on the current generation."""
        publisher = self.publisher(store, cache)
        publisher.open("test")
        return publisher

    def put(self, *packages: Made) -> None:
        """Store the files of packages, as intake does before their metadata are published."""
        for one in packages:
            self.inner.add(one.package.href, [one.file], one.package.pkgid)

    def publish(self, publisher: Publisher, *packages: Made, replace: bool = False) -> Generation:
        """Store and publish."""
        self.put(*packages)
        entries = [one.entry for one in packages]
        return publisher.publish(Change(entries=entries), actor="test", why="test", replace=replace)

    @property
    def listed(self) -> dict[str, str]:
        """What a client sees: place to checksum."""
        return validity.listed(self.inner)

    @property
    def generations(self) -> list[Generation]:
        """All of them, newest first."""
        return list(History(self.inner).back())

    def assert_settled(self) -> None:
        """The live view is the pointer's, and the generations have no gap."""
        validity.assert_settled(self.inner, self.signer.public_key)

    def dump(self) -> dict[str, bytes]:
        """Everything in the store."""
        return {stored.path: self.inner.read(stored.path).data for stored in self.inner.list("")}

    def close(self) -> None:
        """Close all engines."""
        self._open.close()


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """A site, closed in the end."""
    one = Site(folder)
    try:
        yield one
    finally:
        one.close()


def seen(*packages: Made) -> dict[str, str]:
    """What a client sees of these packages."""
    return {one.package.href: one.package.pkgid for one in packages}
