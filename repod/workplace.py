"""One repository opened to be changed by a command: without its inbox, and beside a daemon that has it open too."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from repod.config import Repository, Settings
from repod.documents import Scales
from repod.doors import Store
from repod.headers import Headers
from repod.ledger import Ledger
from repod.loop import Log
from repod.places import open_writable
from repod.publish import Publisher
from repod.repodata.engine import SegmentedRepodata
from repod.rpmfile.pool import RpmWorkers
from repod.signing.opening import OpenSigner
from repod.tools import Staff, Tools, open_staff
from repod.wiring import (
    open_publisher,
    open_repodata,
    open_scales,
    pause,
    rebuilding,
    refuse_key,
    workspace,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """A repository with all that a change of it needs; processes begin when they are first needed."""

    settings: Settings
    repository: Repository
    store: Store
    ledger: Ledger
    signer: OpenSigner
    rpms: RpmWorkers
    workspace: Path
    repodata: SegmentedRepodata
    publisher: Publisher
    scales: Scales
    headers: Headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Already:
    """What is open already, and stays so: signer and processes; the proven store; another folder for the cache."""

    staff: Staff | None = None
    store: Store | None = None
    cache: Path | None = None


@contextmanager
def open_workplace(
    settings: Settings, name: str, log: Log, environ: Mapping[str, str], already: Already | None = None
) -> Iterator[Workplace]:
    """Everything else opened, for as long as it is needed; nothing of the repository is changed by that."""
    already = already or Already()
    repository = settings.named(name)
    with ExitStack() as stack:
        signer, rpms = already.staff or open_staff(settings, environ, stack)
        signer.refuse_expired(time.time())
        refuse_key(repository, signer)
        folder = stack.enter_context(workspace(settings))
        store = already.store or open_writable(settings, repository)
        repodata = stack.enter_context(closing(open_repodata(settings, repository, store, already.cache)))
        tools = Tools(settings=settings, signer=signer, rpms=rpms, workspace=folder)
        publisher = open_publisher(
            settings,
            repository,
            store=store,
            repodata=repodata,
            signer=signer,
            log=log,
            restore=rebuilding(tools, repository, store).restore,
        )
        yield Workplace(
            settings=settings,
            repository=repository,
            store=store,
            ledger=Ledger(store, pause),
            signer=signer,
            rpms=rpms,
            workspace=folder,
            repodata=repodata,
            publisher=publisher,
            scales=open_scales(store, repodata),
            headers=Headers(store=store, rpms=rpms, changelogs=repository.changelogs, workspace=folder),
        )
