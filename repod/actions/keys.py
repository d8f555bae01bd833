"""The keys that hosts are given, and what each signed."""

import time
from collections.abc import Sequence
from typing import Any

from repod.actions.means import Means
from repod.holdings import silent
from repod.hostkeys import HostKey
from repod.keyring import Standing, stand
from repod.office import Far
from repod.times import stamp


def keys(means: Means, tell: Far = silent) -> Sequence[dict[str, Any]]:
    """A row for each key; see ``Looks.keys``."""
    names = [repository.name for repository in means.settings.repository]
    with means.signer() as signer:
        rpms = means.staff[1] if means.staff else None
        standings = stand(means.settings, signer.keys, names, time.time(), tell, rpms=rpms)
        return [key_row(key, standings) for key in signer.keys]


def key_row(key: HostKey, standings: Sequence[Standing]) -> dict[str, Any]:
    """What a key is, and what of each repository is signed by it."""
    return {
        "role": key.role,
        "fingerprint": key.fingerprint,
        "algorithm": key.algorithm,
        "created": stamp(key.created),
        "expires": "never" if key.expires is None else stamp(key.expires),
        "repositories": {standing.shown.repository: in_repository(key, standing) for standing in standings},
    }


def in_repository(key: HostKey, standing: Standing) -> dict[str, Any]:
    """``packages``: how many are signed by the key; ``since``: when the key file of hosts first had it."""
    known = standing.shown.announced.get(key.fingerprint)
    served = key.fingerprint in standing.shown.served
    return {"packages": standing.shown.count(key), "since": stamp(known.since) if known and served else None}
