"""All keys that the settings name, and how far each repository is with them."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from repod.config import Repository, Settings
from repod.doors import Store
from repod.holdings import silent
from repod.hostkeys import HostKey
from repod.places import open_store
from repod.repodata.listing import packages
from repod.rotation import Shown, Verdict, judge
from repod.rpmfile.issuers import issuers
from repod.rpmfile.pool import RpmWorkers
from repod.showing import Showing
from repod.signatures import Signatures, Tell
from repod.signing.opening import OpenSigner, open_signer
from repod.signing.openpgp import certificates
from repod.signing.published import split_keys
from repod.signing.seen import SeenFile
from repod.signing.verify import signature_issuers
from repod.tools import open_rpms


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A repository as it was looked at, and what is to be said of it."""

    shown: Shown
    verdict: Verdict


@contextmanager
def opened_keys(settings: Settings, environ: Mapping[str, str]) -> Iterator[OpenSigner]:
    """The signer with all keys, for commands that only ask for them; it is proven by a signature."""
    signer = open_signer(settings.signing, time.time(), environ, processes=1, confine=settings.workers.confine)
    with closing(signer):
        yield signer


def stand(
    settings: Settings,
    keys: Sequence[HostKey],
    names: Collection[str],
    now: float,
    tell: Tell = silent,
    *,
    rpms: RpmWorkers | None = None,
) -> list[Standing]:
    """How far each of the repositories ``names`` is; nothing is changed. ``Corrupt`` where one is not sound.

    ``rpms``: processes that are open already, and stay so.
    """
    found = []
    with nullcontext(rpms) if rpms else closing(open_rpms(settings)) as readers:
        for repository in settings.repository:
            if repository.name in names:
                shown = _showing(settings, repository, readers, tell).look()
                verdict = judge(keys, shown, now=now, window=settings.signing.window)
                found.append(Standing(shown=shown, verdict=verdict))
    return found


def open_signatures(
    settings: Settings, repository: Repository, store: Store, rpms: RpmWorkers, tell: Tell = silent
) -> Signatures:
    """What tells who signed the packages of a repository."""
    return Signatures(
        store=store,
        read=partial(rpms.run, issuers),
        seen=SeenFile(Path(settings.state_dir) / "signatures" / f"{repository.name}.json"),
        parallel=2 * rpms.count,
        tell=tell,
    )


def _showing(settings: Settings, repository: Repository, rpms: RpmWorkers, tell: Tell) -> Showing:
    store = open_store(settings, repository)
    return Showing(
        name=repository.name,
        store=store,
        signatures=open_signatures(settings, repository, store, rpms, tell),
        listing=packages,
        issuers=signature_issuers,
        fingerprints=_fingerprints,
        grace=repository.retention.grace,
    )


def _fingerprints(data: bytes) -> Collection[str]:
    return [certificates(key)[0][0].fingerprint for key in split_keys("the key file for hosts", data)]
