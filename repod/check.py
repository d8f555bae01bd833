"""``repod check``: everything that would stop or hurt the daemon, found before it runs."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from repod.checkhooks import check_hooks
from repod.checkhttp import check_listener
from repod.checkkeys import check_secrets
from repod.checks3 import check_inbox, check_store
from repod.config import Repository, Settings, rejected_place
from repod.errors import Misconfigured, RepodError
from repod.history import History
from repod.hostkeys import ending
from repod.hostreports import ReportFolder
from repod.keyring import stand
from repod.places import open_store
from repod.problems import Problem, fault, warning
from repod.signing.opening import OpenSigner, open_signer
from repod.tools import open_rpms
from repod.wiring import key_doubts, refuse_key, trust_doubts

_SKEW = 300.0  # seconds that this clock may be behind the last generation's


def check_all(settings: Settings, now: float, environ: Mapping[str, str]) -> list[Problem]:
    """All problems with what the settings describe; a signature is made and verified."""
    return [
        *_state(settings),
        *_workers(settings),
        *check_listener(settings, now),
        *check_hooks(settings, environ),
        *check_secrets(settings, environ),
        *_key(settings, now, environ),
        *(problem for repository in settings.repository for problem in _repository(settings, repository, now)),
    ]


def _state(settings: Settings) -> Iterator[Problem]:
    folder = Path(settings.state_dir)
    if not folder.is_dir():
        yield fault("state_dir", f"{folder} is not a directory; create it, owned by the user repod runs as")
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield fault("state_dir", f"{folder} is not writable; give it to the user repod runs as")


def _workers(settings: Settings) -> Iterator[Problem]:
    """How well a process is confined that reads packages, found in one."""
    required = settings.workers.confine == "require"
    try:
        with closing(open_rpms(settings, count=1, files=False)) as rpms:
            gaps = rpms.gaps()
    except RepodError as error:
        yield fault("workers", str(error))
        return
    if settings.workers.confine == "off":
        yield warning("workers", 'confine is "off": what a package does to its reader, it does to this machine')
    for gap in gaps:
        text = f"a process that reads packages is not wholly confined: {gap}"
        yield fault("workers", f'{text}; confine is "require"') if required else warning("workers", text)


def _key(settings: Settings, now: float, environ: Mapping[str, str]) -> Iterator[Problem]:
    try:
        signer = open_signer(settings.signing, now, environ, confine=settings.workers.confine)
    except Misconfigured as error:
        yield from (fault("signing", text) for text in error.faults)
        return
    except RepodError as error:
        yield fault("signing", str(error))
        return
    signer.close()
    yield from (fault("signing", text) for key in signer.keys if (text := ending(key, now)))
    for repository in settings.repository:
        try:
            refuse_key(repository, signer)
        except Misconfigured as error:
            yield from (fault("signing", text) for text in error.faults)
        for text in key_doubts(repository, signer):
            yield warning(f"{repository.name}: signing", text)
    for key in signer.keys:
        for text in key.warnings:
            yield warning("signing", text)
    for repository in settings.repository:
        yield from _rotation(settings, signer, repository.name, now)


def _rotation(settings: Settings, signer: OpenSigner, name: str, now: float) -> Iterator[Problem]:
    """Where the keys are ahead of what the hosts of a repository can bear."""
    # A store that cannot be read is told of with the repository.
    with contextlib.suppress(RepodError):
        for standing in stand(settings, signer.keys, [name], now):
            yield from (fault(f"{name}: signing", text) for text in standing.verdict.faults)
            for text in standing.verdict.notes:
                yield warning(f"{name}: signing", text)


def _repository(settings: Settings, repository: Repository, now: float) -> Iterator[Problem]:
    name = repository.name
    yield from check_inbox(settings, repository) if "://" in repository.inbox else _folders(repository)
    if repository.retention.hosts:
        try:
            ReportFolder(Path(repository.retention.hosts)).read()
        except RepodError as error:
            yield fault(f"{name}: retention", f"hosts: {error}")
    found = list(check_store(settings, repository))
    yield from found
    if any(problem.severity == "fault" for problem in found):
        return
    try:
        for text in trust_doubts(repository, now):
            yield warning(name, text)
        generation = History(open_store(settings, repository)).current()
    except RepodError as error:
        yield fault(f"{name}: store", str(error))
        return
    if generation and generation.time > now + _SKEW:
        text = f"this clock is {int(generation.time - now)} s behind generation {generation.number}; set it right"
        yield fault(f"{name}: clock", text)


def _folders(repository: Repository) -> Iterator[Problem]:
    name = repository.name
    inbox, rejected = Path(repository.inbox), Path(rejected_place(repository.inbox))
    if not inbox.is_dir():
        yield fault(f"{name}: inbox", f"{inbox} is not a directory; create it")
    elif not os.access(inbox, os.R_OK | os.W_OK | os.X_OK):
        yield fault(f"{name}: inbox", f"{inbox} cannot be read and written; give it to the user repod runs as")
    place = next(folder for folder in (rejected, *rejected.parents) if folder.exists())
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        yield fault(f"{name}: rejected", f"{place} cannot be written, where rejected packages go ({rejected})")
