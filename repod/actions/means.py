"""What actions work with: settings, and the signer and processes that are open already, where they are."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from repod.care import Care, open_care
from repod.config import Settings
from repod.doors import Store
from repod.holdings import Tell
from repod.hostbook import HostBook
from repod.keyring import opened_keys
from repod.loop import Log
from repod.places import open_store
from repod.prune import Pruned
from repod.rpmfile.pool import RpmWorkers
from repod.signing.opening import OpenSigner
from repod.tools import Staff, open_rpms
from repod.wiring import workspace
from repod.workplace import Already, Workplace, open_workplace

Warn = Callable[[str], None]
"""Hears, in a line, of what could not be told or is better known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """All that an action may need. Without ``staff`` each opens a signer and processes of its own.

    ``stores`` are those of repositories that are open and proven, by name; ``books`` what their hosts report.
    ``pruned`` hears of each prune of a repository.
    """

    settings: Settings
    environ: Mapping[str, str]
    log: Log
    staff: Staff | None = None
    stores: Mapping[str, Store] = field(default_factory=dict)
    books: Mapping[str, HostBook] = field(default_factory=dict)
    pruned: Callable[[str, Pruned], object] = lambda _name, _run: None

    def book(self, name: str) -> HostBook:
        """What hosts report to the repository of that name."""
        known = self.books.get(name)
        return known or HostBook(open_store(self.settings, self.settings.named(name)))

    def workplace(self, name: str) -> AbstractContextManager[Workplace]:
        """The repository of that name, opened to be changed."""
        # The loop of this process has the usual cache; a second one that is kept needs no cold start each time.
        cache = Path(self.settings.state_dir) / "office" / name if self.staff else None
        already = Already(staff=self.staff, store=self.stores.get(name), cache=cache)
        return open_workplace(self.settings, name, self.log, self.environ, already)

    def care(self, name: str, tell: Tell) -> AbstractContextManager[Care]:
        """What proves and mends the repository of that name."""
        return open_care(self.settings, name, self.environ, tell, staff=self.staff)

    @contextmanager
    def signer(self) -> Iterator[OpenSigner]:
        """The signer with all keys, to be asked for them."""
        if self.staff:
            yield self.staff[0]
        else:
            with opened_keys(self.settings, self.environ) as signer:
                yield signer

    @contextmanager
    def reader(self) -> Iterator[RpmWorkers]:
        """A process at least that reads packages, one after the other."""
        if self.staff:
            yield self.staff[1]
        else:
            with closing(open_rpms(self.settings, count=1)) as rpms:
                yield rpms

    def scratch(self) -> AbstractContextManager[Path]:
        """A private folder."""
        return workspace(self.settings)
