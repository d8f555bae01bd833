"""``repod check``: everything that would stop or hurt the daemon, found before it runs."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from repod.config import Repository, Settings
from repod.errors import Misconfigured, RepodError
from repod.history import History
from repod.hostkeys import ending
from repod.hostreports import ReportFolder
from repod.inboxes import faults
from repod.keyring import stand
from repod.places import open_store
from repod.signing.opening import OpenSigner, open_signer
from repod.wiring import key_doubts, refuse_key, trusted_keys

_SKEW = 300.0  # seconds that this clock may be behind the last generation's


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """``severity``: ``fault`` (repod cannot work so) or ``warning``."""

    severity: str
    where: str
    text: str


def check_all(settings: Settings, now: float, environ: Mapping[str, str]) -> list[Problem]:
    """All problems with what the settings describe; a signature is made and verified."""
    return [
        *_state(settings),
        *_listener(settings),
        *_key(settings, now, environ),
        *(problem for repository in settings.repository for problem in _repository(settings, repository, now)),
    ]


def _fault(where: str, text: str) -> Problem:
    return Problem(severity="fault", where=where, text=text)


def _state(settings: Settings) -> Iterator[Problem]:
    folder = Path(settings.state_dir)
    if not folder.is_dir():
        yield _fault("state_dir", f"{folder} is not a directory; create it, owned by the user repod runs as")
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield _fault("state_dir", f"{folder} is not writable; give it to the user repod runs as")


def _listener(settings: Settings) -> Iterator[Problem]:
    if settings.http.host in {"0.0.0.0", "::"} or not settings.http.host.startswith(("127.", "localhost", "::1")):  # noqa: S104
        text = f"{settings.http.listen} is not a loopback address: it serves plain HTTP without access control"
        yield Problem(severity="warning", where="http.listen", text=text)


def _key(settings: Settings, now: float, environ: Mapping[str, str]) -> Iterator[Problem]:
    try:
        signer = open_signer(settings.signing, now, environ)
    except Misconfigured as error:
        yield from (_fault("signing", text) for text in error.faults)
        return
    except RepodError as error:
        yield _fault("signing", str(error))
        return
    signer.close()
    yield from (_fault("signing", text) for key in signer.keys if (text := ending(key, now)))
    for repository in settings.repository:
        try:
            refuse_key(repository, signer)
        except Misconfigured as error:
            yield from (_fault("signing", text) for text in error.faults)
        for text in key_doubts(repository, signer):
            yield Problem(severity="warning", where=f"{repository.name}: signing", text=text)
    for key in signer.keys:
        for text in key.warnings:
            yield Problem(severity="warning", where="signing", text=text)
    for repository in settings.repository:
        yield from _rotation(settings, signer, repository.name, now)


def _rotation(settings: Settings, signer: OpenSigner, name: str, now: float) -> Iterator[Problem]:
    """Where the keys are ahead of what the hosts of a repository can bear."""
    # A store that cannot be read is told of with the repository.
    with contextlib.suppress(RepodError):
        for standing in stand(settings, signer.keys, [name], now):
            yield from (_fault(f"{name}: signing", text) for text in standing.verdict.faults)
            for text in standing.verdict.notes:
                yield Problem(severity="warning", where=f"{name}: signing", text=text)


def _repository(settings: Settings, repository: Repository, now: float) -> Iterator[Problem]:
    name = repository.name
    yield from (_fault(f"{name}: {where}", text) for where, text in faults(settings, repository))
    if repository.retention.hosts:
        try:
            ReportFolder(Path(repository.retention.hosts)).read()
        except RepodError as error:
            yield _fault(f"{name}: retention", f"hosts: {error}")
    try:
        trusted_keys(repository)
        generation = History(open_store(settings, repository)).current()
    except RepodError as error:
        yield _fault(f"{name}: store", str(error))
        return
    if generation and generation.time > now + _SKEW:
        text = f"this clock is {int(generation.time - now)} s behind generation {generation.number}; set it right"
        yield _fault(f"{name}: clock", text)
