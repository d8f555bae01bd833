"""What the parts of all repositories share, and what reads and rebuilds with it."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
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
from repod.signing.opening import OpenSigner


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
    scratch: Callable[[Path], SegmentedRepodata],
    publisher: Callable[[Repodata], Publisher],
    changelogs: int,
    tell: Tell,
) -> Rebuild:
    """What makes documents anew; ``scratch`` opens them in an empty folder, ``publisher`` publishes them."""

    @contextmanager
    def opened() -> Iterator[SegmentedRepodata]:
        with (
            tempfile.TemporaryDirectory(dir=tools.workspace, ignore_cleanup_errors=True) as folder,
            closing(scratch(Path(folder))) as repodata,
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
