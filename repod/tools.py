"""What the parts of all repositories share, and what reads and rebuilds with it."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from repod.config import Settings
from repod.doors import Repodata, Store
from repod.holdings import Holdings, Tell
from repod.publish import Publisher
from repod.rebuild import Rebuild
from repod.repodata.engine import SegmentedRepodata
from repod.repodata.strictreader import StrictDocuments
from repod.rpmfile.pool import RpmWorkers
from repod.scratch import scratch
from repod.signing.opening import OpenSigner, open_signer

Staff = tuple[OpenSigner, RpmWorkers]
"""Who signs, and the processes that read packages."""


def open_rpms(settings: Settings) -> RpmWorkers:
    """The processes that read packages, begun when they are first needed; close them after use."""
    workers = settings.workers
    return RpmWorkers(count=workers.count or os.cpu_count() or 1, timeout=workers.timeout, memory=workers.memory)


def open_staff(settings: Settings, environ: Mapping[str, str], stack: ExitStack, *, signers: int = 2) -> Staff:
    """A signer in ``signers`` processes, and those that read packages; ``stack`` closes them."""
    signer = stack.enter_context(closing(open_signer(settings.signing, time.time(), environ, processes=signers)))
    return signer, stack.enter_context(closing(open_rpms(settings)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The signer, the processes that read packages, and a private folder."""

    settings: Settings
    signer: OpenSigner
    rpms: RpmWorkers
    workspace: Path


def open_holdings(tools: Tools, store: Store) -> Holdings:
    """What reads the packages of a store."""
    return Holdings(
        store=store,
        rpms=tools.rpms,
        published=tools.signer.published,
        workspace=tools.workspace,
        parallel=2 * tools.rpms.count,
    )


def open_rebuild(
    tools: Tools,
    store: Store,
    *,
    documents: Callable[[Path], SegmentedRepodata],
    publisher: Callable[[Repodata], Publisher],
    changelogs: int,
    tell: Tell,
) -> Rebuild:
    """What makes documents anew; ``documents`` opens them in an empty folder, ``publisher`` publishes them."""

    @contextmanager
    def opened() -> Iterator[SegmentedRepodata]:
        with (
            scratch(tools.workspace) as folder,
            closing(documents(folder)) as repodata,
        ):
            yield repodata

    return Rebuild(
        store=store,
        documents=StrictDocuments(store),
        rpms=tools.rpms,
        holdings=open_holdings(tools, store),
        scratch=opened,
        publisher=publisher,
        changelogs=changelogs,
        tell=tell,
    )
