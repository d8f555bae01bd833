"""Joins what looks after one repository, beside a daemon or without: audit, repair, rebuild."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial

from repod.audit import Audit, Known
from repod.config import Repository, Settings
from repod.doors import Store
from repod.holdings import Tell
from repod.hostfiles import host_files
from repod.places import open_store
from repod.rebuild import Rebuild
from repod.repair import Repair
from repod.repodata.engine import SegmentedRepodata
from repod.repodata.strictreader import StrictDocuments
from repod.signing.verify import verify_detached
from repod.tools import Staff, Tools, open_holdings, open_staff
from repod.views import Views
from repod.wiring import (
    open_repodata,
    open_statements,
    pause,
    public_url,
    rebuilding,
    repo_text,
    workspace,
    write_for_hosts,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Care:
    """The use cases over one repository."""

    audit: Audit
    repair: Repair
    rebuild: Rebuild
    write_host_files: Callable[[], object]


@contextmanager
def open_care(
    settings: Settings, name: str, environ: Mapping[str, str], tell: Tell, *, staff: Staff | None = None
) -> Iterator[Care]:
    """Everything opened, for as long as it is needed; nothing of the repository is changed by that.

    ``staff``: signer and processes that are open already, and stay so.
    """
    repository = settings.named(name)
    with ExitStack() as stack:
        folder = stack.enter_context(workspace(settings))
        signer, rpms = staff or open_staff(settings, environ, stack, signers=1)
        tools = Tools(settings=settings, signer=signer, rpms=rpms, workspace=folder)
        yield _joined(tools, repository, open_store(settings, repository), tell)


def _joined(tools: Tools, repository: Repository, store: Store, tell: Tell) -> Care:
    url, key = public_url(tools.settings, repository), tools.signer.published
    repo = repo_text(repository, url)
    documents = StrictDocuments(store)
    write = partial(write_for_hosts, repository, url, store, tools.signer)
    rebuild = rebuilding(tools, repository, store, tell)

    @contextmanager
    def cached() -> Iterator[SegmentedRepodata]:
        with closing(open_repodata(tools.settings, repository, store)) as repodata:
            yield repodata

    statements = open_statements(repository, store, tools.signer)
    audit = Audit(
        store=store,
        documents=documents,
        holdings=open_holdings(tools, store),
        known=Known(
            url=url,
            host_files=host_files(repository.name, repo, key),
            verify_signature=partial(verify_detached, key),
            statements=statements,
        ),
        clock=time.time,
        pause=pause,
        tell=tell,
    )
    repair = Repair(
        store=store,
        views=Views(store, url, pause, statements=statements),
        cached=cached,
        rebuild=rebuild,
        write_host_files=write,
    )
    return Care(audit=audit, repair=repair, rebuild=rebuild, write_host_files=write)
