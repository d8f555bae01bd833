"""One daemon's work on a site: an inbox in memory, intake and turns, with packages that are lines of text."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from repod.acceptance import Rules
from repod.documents import Scales
from repod.errors import Unavailable
from repod.inbox.memory import MemoryInbox
from repod.intake import Intake, Policy
from repod.publish import Publisher
from repod.repodata.listing import plain
from repod.repodata.reader import DocumentReader
from repod.turn import Report, Turns
from tests.lab.fakes import FakeRpms, MacSigner, armor
from tests.lab.faulty import FaultyStore
from tests.lab.inline import inline
from tests.lab.site import URL, Site
from tests.lab.stated import statements


def directly(task: Callable[..., Any], *arguments: Any) -> Any:
    """Do a task here and now."""
    return task(*arguments)


class Desk:
    """A daemon that was started. ``store`` is its own view of the site's store."""

    def __init__(
        self,
        site: Site,
        work: Path,
        *,
        replace: bool = False,
        settle: float = 0,
        trusted: str = "",
        documents: bool = True,
        inbox: MemoryInbox | None = None,
    ) -> None:
        self.site = site
        self.work = work
        self.rpms = FakeRpms()
        self.signer = MacSigner()
        reader = DocumentReader(directly)
        self.inbox = inbox or MemoryInbox(clock=site.clock, wanted=reader.knows)
        self.store: FaultyStore = site.store()
        self.stages: list[str] = []
        self.unusable = ""
        signed_by = [MacSigner(trusted).fingerprint] if trusted else []
        repodata = site.repodata(self.store)
        work.mkdir(exist_ok=True)
        self.intake = Intake(
            store=self.store,
            inbox=self.inbox,
            rpms=self.rpms,
            documents=reader,
            signer=self.signer,
            repodata=repodata,
            policy=Policy(
                rules=Rules(arches=["noarch"], signed_by=signed_by, max_size=10_000, documents=documents),
                replace=replace,
                trusted=MacSigner(trusted).public_key if trusted else b"",
                changelogs=10,
                settle=settle,
            ),
            workspace=work,
            parallel=3,
            observe=lambda stage, *_: self.stages.append(stage),
            threads=inline,
        )
        self.publisher = Publisher(
            store=self.store,
            url=URL,
            repodata=repodata,
            signer=self.signer,
            armor=armor,
            clock=site.clock,
            pause=site.pause,
            statements=statements(self.store, self.signer, site.clock),
            threads=inline,
        )
        self.scales = Scales(plain=partial(plain, self.store), find=repodata.find)
        self.turns = Turns(
            inbox=self.inbox,
            intake=self.intake,
            publisher=self.publisher,
            scales=self.scales,
            clock=site.clock,
            usable=self._usable,
            threads=inline,
        )
        self.publisher.open("desk")

    def put(self, **files: bytes) -> None:
        """Files arrive, one second after the other; ``a_b`` is the name ``a/b.rpm``."""
        for name, data in files.items():
            self.site.clock.now += 1
            self.inbox.put(name.replace("_", "/") + ".rpm", data)

    def turn(self) -> Report:
        """One turn; afterwards no private copy may be left."""
        try:
            return self.turns.turn("inbox")
        finally:
            assert list(self.work.iterdir()) == []

    def _usable(self) -> None:
        if self.unusable:
            raise Unavailable(self.unusable)

    @property
    def left(self) -> set[str]:
        """What still lies in the inbox."""
        return set(self.inbox.files)


@contextmanager
def desk(site: Site, work: Path, **settings: Any) -> Iterator[Desk]:
    """A desk, closed in the end; ``settings`` as in ``Desk``."""
    one = Desk(site, work, **settings)
    try:
        yield one
    finally:
        one.intake.close()


def results(report: Report) -> dict[str, str]:
    """What became of each arrival."""
    return {outcome.arrival.name: outcome.result for outcome in report.outcomes}
