"""A process of repod at work on one repository: its real use cases over a wire, each made when it is first used."""

import random
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from repod.acceptance import Rules
from repod.documents import Scales
from repod.doors import Change, Store
from repod.errors import NotFound
from repod.generation import RETENTION, Document, Generation
from repod.headers import Headers
from repod.history import History
from repod.inbox.memory import MemoryInbox
from repod.intake import Intake, Policy
from repod.ledger import Ledger
from repod.package import Nevra
from repod.promote import Giver, Promotion, Taker
from repod.promotion import Gates
from repod.prune import Planner, Pruner
from repod.publish import Publisher
from repod.remove import Removing
from repod.repodata.engine import SegmentedRepodata
from repod.repodata.listing import StoredListings, entries, plain
from repod.repodata.reader import DocumentReader
from repod.repodata.strictreader import StrictDocuments
from repod.repodata.taken import TakenDocuments
from repod.resign import Resigning
from repod.retention import Policy as Keeping
from repod.retire import Retirement
from repod.rollback import Rollback
from repod.sealing import Seal
from repod.signatures import Signatures
from repod.stating import Statements
from repod.turn import Turns
from tests.histories.scheduler import Scheduler
from tests.histories.shuffled import shuffled
from tests.histories.wire import Wire
from tests.lab.desk import directly
from tests.lab.fakes import FakeRpms, Forgetful, MacSigner, armor, dearmor, signers_of, verifies
from tests.lab.pruners import Related, Remembered
from tests.lab.site import URL

GRACE = 60.0
GENERATIONS = 2
KEEP = 2
SIGNER = MacSigner("ours")
EARLIER = MacSigner("old")


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a process is given."""

    wire: Wire
    scheduler: Scheduler
    draw: random.Random
    cache: Path
    inbox: MemoryInbox | None = None


class Process:
    """One process. It ends when its wire is dead, and is closed."""

    def __init__(self, means: Means) -> None:
        self.means = means
        self.wire = means.wire
        self.clock = means.scheduler.clock
        self.signer = MacSigner("ours", others=[EARLIER])
        self.rpms = FakeRpms()
        self.threads = shuffled(means.draw)
        self.ledger = Ledger(self.wire, self.pause)
        self.memory = Remembered()
        means.cache.mkdir(parents=True, exist_ok=True)

    def pause(self, attempt: int, unit: float = 0.01) -> None:
        """See ``Pause``: of real time it takes none, and what a try took in real time does not count."""
        del unit
        self.wire.alive("pauses")
        self.wire.truth.counts["races"] += 1
        self.means.scheduler.sleep(self.means.draw.uniform(0, 0.05 * 1.5 ** min(attempt, 12)))

    def close(self) -> None:
        """Let go of the cache."""
        repodata = vars(self).pop("repodata", None)
        if repodata:
            repodata.close()

    @cached_property
    def repodata(self) -> SegmentedRepodata:
        return SegmentedRepodata(self.wire, self.means.cache / "repodata", threads=self.threads)

    @cached_property
    def publisher(self) -> Publisher:
        return Publisher(
            store=self.wire,
            url=URL,
            repodata=self.repodata,
            signer=self.signer,
            armor=armor,
            clock=self.clock,
            pause=self.pause,
            statements=self._statements(),
            threads=self.threads,
        )

    def _statements(self) -> Statements:
        seal = Seal(
            repository=self.wire.truth.name,
            signer=self.signer,
            keys=[self.signer.fingerprint],
            armor=armor,
            proves=lambda keys, data, signature: any(
                verifies(key, data, dearmor(signature)) for key in keys.splitlines()
            ),
            valid=86400.0,
            clock=self.clock,
        )
        return Statements(seal, self.wire)

    @cached_property
    def headers(self) -> Headers:
        return Headers(store=self.wire, rpms=self.rpms, changelogs=10, workspace=self.means.cache)

    @cached_property
    def turns(self) -> Turns:
        assert self.means.inbox
        intake = Intake(
            store=self.wire,
            inbox=self.means.inbox,
            rpms=self.rpms,
            documents=DocumentReader(directly),
            signer=self.signer,
            repodata=self.repodata,
            policy=Policy(rules=Rules(arches=["noarch"]), replace=False, trusted=b"", changelogs=10, settle=0),
            workspace=self.means.cache,
            parallel=2,
            observe=lambda *_: None,
            threads=self.threads,
        )
        return Turns(
            inbox=self.means.inbox,
            intake=intake,
            publisher=self.publisher,
            scales=Scales(plain=partial(plain, self.wire), find=self.repodata.find),
            clock=self.clock,
            usable=lambda: None,
            threads=self.threads,
        )

    def pruner(self, operation: str) -> Pruner:
        """What prunes; the generation that it makes says in its reason which operation it was."""
        builds = StoredListings(self.wire)

        def publish(going: Sequence[Nevra], why: str, on: int) -> Generation:
            text = f"{why} [{operation}]"
            return self.publisher.publish(Change(removed=going), actor=RETENTION, why=text, on=on)

        retirement = Retirement(
            policy=Keeping(keep=KEEP),
            builds=builds,
            ledger=self.ledger,
            relations=lambda: nullcontext(Related(lambda _on, _going: ())),
            reports=None,
            max_age=0,
        )
        planner = Planner(
            store=self.wire,
            builds=builds,
            retirement=retirement,
            generations=GENERATIONS,
            grace=GRACE,
            since=lambda: 0.0,
            memory=self.memory,
        )
        return Pruner(
            planner=planner, store=self.wire, ledger=self.ledger, publish=publish, settle=self.publisher.refresh
        )

    @cached_property
    def removing(self) -> Removing:
        return Removing(
            repository="prod",
            repodata=self.repodata,
            publisher=self.publisher,
            ledger=self.ledger,
            pause=self.pause,
        )

    @cached_property
    def rollback(self) -> Rollback:
        return Rollback(
            store=self.wire,
            documents=StrictDocuments(self.wire),
            repodata=self.repodata,
            publisher=self.publisher,
            ledger=self.ledger,
            plain=partial(_plain, self.wire),
            entries=partial(entries, self.wire),
            describe=self.headers.entry,
            pause=self.pause,
            threads=self.threads,
        )

    def promotion(self, giver: "Process") -> Promotion:
        """What takes builds from the repository of ``giver``."""
        return Promotion(
            giver=Giver(
                name="dev",
                store=giver.wire,
                history=History(giver.wire),
                builds=StoredListings(giver.wire),
                ledger=giver.ledger,
                headers=giver.headers,
                plain=partial(_plain, giver.wire),
            ),
            taker=Taker(
                name="prod",
                store=self.wire,
                repodata=self.repodata,
                publisher=self.publisher,
                headers=self.headers,
                rules=Rules(arches=["noarch"]),
                gates=Gates(sources=["dev"]),
                published=self.signer.public_key,
                relations=Related(lambda _on, _going: ()),
                plain=partial(_plain, self.wire),
            ),
            papers=TakenDocuments(),
            clock=self.clock,
            pause=self.pause,
            threads=self.threads,
        )

    @cached_property
    def resigning(self) -> Resigning:
        """What signs anew all that another key signed."""
        return Resigning(
            store=self.wire,
            repodata=self.repodata,
            publisher=self.publisher,
            ledger=self.ledger,
            rpms=self.rpms,
            signer=self.signer,
            signing_key=self.signer.fingerprint,
            signatures=Signatures(store=self.wire, read=signers_of, seen=Forgetful(), parallel=1, threads=self.threads),
            index_issuers=lambda _signature: [self.signer.fingerprint],
            workspace=self.means.cache,
            changelogs=10,
            parallel=2,
            pause=self.pause,
            threads=self.threads,
        )


def _plain(store: Store, document: Document, view: str) -> bytes:
    try:
        return plain(store, document)
    except NotFound:
        return plain(store, document, view)
