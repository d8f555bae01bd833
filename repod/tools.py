"""What the parts of all repositories share, and what reads and rebuilds with it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from repod.config import Settings
from repod.confinement.bounds import Bounds
from repod.doors import Repodata, Store
from repod.errors import Misconfigured
from repod.holdings import Holdings, Tell
from repod.processes import Unconfined
from repod.publish import Publisher
from repod.rebuild import Rebuild
from repod.repodata.engine import SegmentedRepodata
from repod.repodata.strictreader import StrictDocuments
from repod.rpmfile.pool import RpmWorkers
from repod.scratch import scratch
from repod.signing.opening import OpenSigner, open_signer

Staff = tuple[OpenSigner, RpmWorkers]
"""Who signs, and the processes that read packages."""

_SIGNATURES = 1 << 20  # bytes by which a package may grow where it is signed


def work_folder(settings: Settings) -> Path:
    """Where private copies lie; all that processes may see that read them. Raises ``Misconfigured``."""
    folder = Path(settings.state_dir, "work")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        msg = f"state_dir {settings.state_dir} cannot be used ({error}); create it and make it writable for repod"
        raise Misconfigured(msg) from error
    return folder


def open_rpms(settings: Settings, *, count: int = 0) -> RpmWorkers:
    """The processes that read packages, begun when they are first needed; close them after use.

    ``count`` 0: as many as the settings say.
    """
    workers = settings.workers
    largest = max((repository.acceptance.max_size for repository in settings.repository), default=0)
    bounds = Bounds(
        writes=[work_folder(settings)],
        largest=largest + _SIGNATURES,
        memory=workers.memory,
        mode=workers.confine,
    )
    return RpmWorkers(count=count or workers.count, timeout=workers.timeout, bounds=bounds)


def refuse_gaps(settings: Settings, rpms: RpmWorkers) -> Sequence[str]:
    """What the kernel does not do of what confines processes, found in one of them.

    Raises ``Misconfigured`` where the settings require it.
    """
    gaps = [] if settings.workers.confine == "off" else rpms.gaps()
    if gaps and settings.workers.confine == "require":
        raise Unconfined(gaps)
    return gaps


def open_staff(settings: Settings, environ: Mapping[str, str], stack: ExitStack, *, signers: int = 2) -> Staff:
    """A signer in ``signers`` processes, and those that read packages; ``stack`` closes them."""
    signer = open_signer(settings.signing, time.time(), environ, processes=signers, confine=settings.workers.confine)
    stack.callback(signer.close)
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
