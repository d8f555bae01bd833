"""Joins settings, adapters and use cases: the only place that knows them all."""

import os
import random
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from repod.acceptance import Rules
from repod.announced import announce
from repod.config import Repository, Settings
from repod.documents import Scales
from repod.doors import Inbox, Repodata, Store
from repod.errors import Misconfigured, Unavailable
from repod.holdings import Tell, silent
from repod.hostbook import HostBook
from repod.hostfiles import repo_file, write_host_files
from repod.hostkeys import COSIGNS, SIGNS
from repod.inboxes import Inboxes, WatchedInbox
from repod.intake import Intake, Observe, Policy
from repod.letterbox import Letterbox
from repod.loop import Log
from repod.outbox import Post
from repod.package import Package
from repod.places import open_writable
from repod.posting import open_post, refusing
from repod.profiles import PROFILES, Answer
from repod.prune import Pruner
from repod.publish import Publisher, Restore
from repod.rebuild import Rebuild
from repod.repodata.engine import SegmentedRepodata
from repod.repodata.listing import plain
from repod.repodata.reader import DocumentReader
from repod.retaining import open_planner, open_pruner
from repod.ringing import Rings
from repod.scratch import scratch
from repod.sealing import Seal
from repod.signing.opening import OpenSigner, open_signer
from repod.signing.openpgp import armor
from repod.signing.verify import untrusted, verify_detached
from repod.stating import Statements
from repod.tools import Tools, open_rebuild, open_rpms, work_folder
from repod.turn import Turns
from repod.values import S3Place


def public_url(settings: Settings, repository: Repository) -> str:
    """Where hosts find a repository; always with a slash at its end."""
    if repository.url:
        return repository.url.rstrip("/") + "/"
    host = settings.http.host
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - a question, not a bind  # nosec B104
        host = socket.getfqdn()
    shown = f"[{host}]" if ":" in host else host
    return f"{settings.http.scheme}://{shown}:{settings.http.port}/repos/{repository.name}/"


def repo_text(repository: Repository, url: str) -> str:
    """The ``.repo`` file of a repository, in the form that its hosts read best."""
    metalink = PROFILES[repository.profile].metalink.answer is Answer.YES
    return repo_file(repository.name, url, metalink=metalink)


def write_for_hosts(repository: Repository, url: str, store: Store, signer: OpenSigner) -> None:
    """Put the ``.repo`` file and the public keys into the store, and note since when they are there."""
    write_host_files(store, repository.name, repo_text(repository, url), signer.published)
    announce(store, signer.keys, time.time())


def open_repodata(
    settings: Settings, repository: Repository, store: Store, folder: Path | None = None
) -> SegmentedRepodata:
    """The documents of a repository, with their cache in ``folder`` (None: in the state directory)."""
    return SegmentedRepodata(
        store,
        folder or Path(settings.state_dir) / "cache" / repository.name,
        compression=repository.compression,
        single_stream=repository.single_stream,
        form=lambda kind: PROFILES[repository.profile].form(kind, repository.compression),
    )


def rules_of(repository: Repository) -> Rules:
    """What a repository lets in."""
    rules = repository.acceptance
    return Rules(
        arches=repository.arches,
        names=rules.names,
        signed_by=rules.signed_by,
        max_size=rules.max_size,
        profile=repository.profile,
        file_digest=rules.file_digest,
        documents=rules.documents,
    )


def trusted_keys(repository: Repository) -> bytes:
    """The certificates that arrivals of a repository may be signed with, armored."""
    rules = repository.acceptance
    if not rules.keys:
        if rules.signed_by:
            msg = f"repository {repository.name}: signed_by needs [repository.acceptance] keys, a file with those keys"
            raise Misconfigured(msg)
        return b""
    try:
        return Path(rules.keys).read_bytes()
    except OSError as error:
        msg = f"repository {repository.name}: [repository.acceptance] keys {rules.keys} cannot be read ({error})"
        raise Misconfigured(msg) from error


def trust_doubts(repository: Repository, now: float) -> list[str]:
    """Why packages are refused that keys of ``signed_by`` have signed."""
    doubts = untrusted(trusted_keys(repository), repository.acceptance.signed_by, now)
    return [f"[repository.acceptance] keys: {doubt}" for doubt in doubts]


def refuse_key(repository: Repository, signer: OpenSigner) -> None:
    """Raise ``Misconfigured`` where the hosts of a repository cannot verify what the signer signs."""
    subkey = signer.signing_key != signer.fingerprint
    faults = PROFILES[repository.profile].key_faults(signer.report.algorithm, subkey=subkey)
    lines = [f"repository {repository.name}: profile {repository.profile}: {fault}" for fault in faults]
    if lines:
        raise Misconfigured(*lines)


def key_doubts(repository: Repository, signer: OpenSigner) -> list[str]:
    """Why the hosts of a repository perhaps cannot verify what the signer signs."""
    return [
        f"profile {repository.profile}: {doubt}"
        for doubt in PROFILES[repository.profile].key_doubts(signer.report.algorithm)
    ]


def pause(attempt: int, unit: float = 0.01) -> None:
    """See ``Pause``: up to 10 ms at first, up to 2 s or four units after many attempts."""
    longest = min(max(2.0, 4 * unit), unit * 1.5**attempt)
    time.sleep(random.uniform(0, longest))  # noqa: S311 - spreads writers, guards nothing  # nosec B311


@contextmanager
def workspace(settings: Settings) -> Iterator[Path]:
    """A private folder for copies; what stopped processes left behind is removed first."""
    work, stack = work_folder(settings), ExitStack()
    try:
        for left_over in work.glob("*-*"):
            if not Path("/proc", left_over.name.partition("-")[0]).exists():
                shutil.rmtree(left_over, ignore_errors=True)
        folder = stack.enter_context(scratch(work, f"{os.getpid()}-"))
    except (OSError, Unavailable) as error:
        msg = f"state_dir {settings.state_dir} cannot be used ({error}); create it and make it writable for repod"
        raise Misconfigured(msg) from error
    with stack:
        yield folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired:
    """One repository with its parts."""

    settings: Repository
    post: Post
    url: str
    store: Store
    repodata: SegmentedRepodata
    publisher: Publisher
    inbox: WatchedInbox
    letterbox: Letterbox
    turns: Turns
    pruner: Pruner

    def write_host_files(self, signer: OpenSigner) -> None:
        """See ``write_for_hosts``."""
        write_for_hosts(self.settings, self.url, self.store, signer)


def open_publisher(
    settings: Settings,
    repository: Repository,
    *,
    store: Store,
    repodata: Repodata,
    signer: OpenSigner,
    log: Log | None = None,
    raced: Callable[[], object] = lambda: None,
    restore: Restore | None = None,
) -> Publisher:
    """What publishes a repository; ``log`` hears of what was made anew, the others as in ``Publisher``."""

    def warn(text: str) -> None:
        if log:
            log.warning("repodata mended", repository=repository.name, problem=text)

    return Publisher(
        store=store,
        url=public_url(settings, repository),
        repodata=repodata,
        signer=signer,
        armor=armor,
        clock=time.time,
        pause=pause,
        warn=warn,
        raced=raced,
        restore=restore,
        statements=open_statements(repository, store, signer),
    )


def _seal(repository: Repository, signer: OpenSigner, valid: float) -> Seal:
    """What the signed documents of a repository share; ``valid``: seconds that one is good."""
    return Seal(
        repository=repository.name,
        signer=signer,
        keys=[key.fingerprint for key in signer.keys if key.role in {SIGNS, COSIGNS}],
        armor=armor,
        proves=verify_detached,
        valid=valid,
        clock=time.time,
    )


def open_statements(repository: Repository, store: Store, signer: OpenSigner) -> Statements:
    """What is said of the current generation of a repository, signed."""
    return Statements(_seal(repository, signer, repository.freshness.valid), store)


def open_rings(repository: Repository, store: Store, signer: OpenSigner) -> Rings:
    """What changes the rings of a repository, and keeps their file fresh."""
    return Rings(_seal(repository, signer, repository.rings.valid), store, pause)


def rebuilding(tools: Tools, repository: Repository, store: Store, tell: Tell = silent) -> Rebuild:
    """What makes the documents of a repository anew from its packages."""
    return open_rebuild(
        tools,
        store,
        documents=partial(open_repodata, tools.settings, repository, store),
        publisher=lambda repodata: open_publisher(
            tools.settings, repository, store=store, repodata=repodata, signer=tools.signer
        ),
        changelogs=repository.changelogs,
        tell=tell,
    )


def open_scales(store: Store, repodata: SegmentedRepodata) -> Scales:
    """What weighs edits of the documents of a repository."""
    return Scales(plain=partial(plain, store), find=repodata.find)


class System:
    """Everything that the settings describe, opened. Use it as a context or close it."""

    def __init__(
        self,
        settings: Settings,
        *,
        log: Log,
        observe: Observe,
        environ: Mapping[str, str],
        count: Callable[[str], None] = lambda _: None,
        raced: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Raises ``Misconfigured`` with what is wrong; nothing stays open then. ``count``: see ``Inboxes``.

        ``raced`` is told the repository of each publish that another writer was faster than.
        """
        self.settings = settings
        self.environ = environ
        self._log = log
        self._observe = observe
        self._raced = raced
        self.books: dict[str, HostBook] = {}
        with ExitStack() as stack:
            self._stack = stack
            self.workspace = stack.enter_context(workspace(settings))
            workers = settings.workers
            self.signer: OpenSigner = open_signer(
                settings.signing,
                time.time(),
                environ,
                processes=workers.count or os.cpu_count() or 1,
                confine=workers.confine,
            )
            stack.callback(self.signer.close)
            self.rpms = open_rpms(settings)
            stack.callback(self.rpms.close)
            self.documents = DocumentReader(self.rpms.run_document)
            self._inboxes = Inboxes(
                settings, log=log, wanted=self.documents.knows, count=count, workspace=self.workspace
            )
            stack.callback(self._inboxes.close)
            self.repositories = {r.name: self._wire(r) for r in settings.repository}
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Let go of everything, the last opened first."""
        self._stack.close()

    def __enter__(self) -> Self:
        """The system itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _wire(self, repository: Repository) -> Wired:
        self._check_key(repository)
        store = open_writable(self.settings, repository)
        repodata = open_repodata(self.settings, repository, store)
        self._stack.callback(repodata.close)
        tools = Tools(settings=self.settings, signer=self.signer, rpms=self.rpms, workspace=self.workspace)
        publisher = open_publisher(
            self.settings,
            repository,
            store=store,
            repodata=repodata,
            signer=self.signer,
            log=self._log,
            raced=partial(self._raced, repository.name),
            restore=rebuilding(tools, repository, store).restore,
        )
        opened, post = self._inboxes.open(repository), open_post(self.settings, repository.name, store)
        intake = self._intake(repository, store, opened.inbox, repodata)
        turns = Turns(
            inbox=opened.inbox,
            intake=intake,
            publisher=publisher,
            scales=open_scales(store, repodata),
            clock=time.time,
            usable=lambda: self.signer.refuse_expired(time.time()),
            refusing=refusing(repository, post),
        )
        return Wired(
            settings=repository,
            post=post,
            url=public_url(self.settings, repository),
            store=store,
            repodata=repodata,
            publisher=publisher,
            inbox=opened.inbox,
            letterbox=opened.letterbox,
            turns=turns,
            pruner=self._pruner(repository, store, repodata, publisher),
        )

    def _check_key(self, repository: Repository) -> None:
        refuse_key(repository, self.signer)
        for doubt in key_doubts(repository, self.signer):
            self._log.warning("signing key", repository=repository.name, problem=doubt)
        for doubt in trust_doubts(repository, time.time()):
            self._log.warning("keys of arrivals", repository=repository.name, problem=doubt)

    def _intake(self, repository: Repository, store: Store, inbox: Inbox, repodata: SegmentedRepodata) -> Intake:
        intake = Intake(
            store=store,
            inbox=inbox,
            rpms=self.rpms,
            documents=self.documents,
            signer=self.signer,
            repodata=repodata,
            policy=self._policy(repository),
            workspace=self.workspace,
            parallel=2 * self.rpms.count,
            observe=self._observe,
        )
        self._stack.callback(intake.close)
        return intake

    def _pruner(
        self, repository: Repository, store: Store, repodata: SegmentedRepodata, publisher: Publisher
    ) -> Pruner:
        def find(name: str) -> Iterator[Package]:
            publisher.refresh()
            return repodata.packages(name)

        book = self.books[repository.name] = HostBook(store)
        planner = open_planner(self.settings, repository, store, self.workspace, pause, find=find, book=book)
        return open_pruner(planner, store, publisher, pause)

    def _policy(self, repository: Repository) -> Policy:
        return Policy(
            rules=rules_of(repository),
            replace=repository.duplicates == "replace",
            trusted=trusted_keys(repository),
            changelogs=repository.changelogs,
            # An object in a bucket is whole: if it looks damaged, it is.
            settle=0.0 if S3Place.parse(repository.inbox) else self.settings.inbox.settle,
        )
