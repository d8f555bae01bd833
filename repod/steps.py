"""Joins what follows the generations of a repository."""

import time
from collections.abc import Callable, Sequence

from repod.board import Board
from repod.catalogs import OpenCatalog
from repod.config import Repository, Settings
from repod.doors import Store
from repod.following import Step
from repod.fronting import Fronting
from repod.happenings import Hear
from repod.hostfiles import key_name
from repod.loop import Log
from repod.profiles import PROFILES
from repod.reporting import on_board
from repod.signing.opening import OpenSigner
from repod.telling import Telling
from repod.welcome import Place, Welcome
from repod.wiring import public_url, repo_text


def open_steps(
    settings: Settings,
    repository: Repository,
    store: Store,
    *,
    catalog: OpenCatalog,
    signer: OpenSigner,
    log: Log,
    stopping: Callable[[], bool],
    hear: Hear,
    board: Board,
    couriers: Sequence[Step] = (),
) -> Sequence[Step]:
    """Everything that is kept in step with the current generation, in this order.

    Where ``stopping`` says so, what takes long is given up.
    """
    name = repository.name
    # Who hears of a generation finds it in the catalog, and need not wait for the page.
    telling = Telling(
        repository=name,
        store=store,
        hear=hear,
        clock=time.time,
        url=public_url(settings, repository),
        also=on_board(board, name),
    )
    front = open_front(settings, repository, store, catalog=catalog, signer=signer, log=log)
    return (catalog.step(stopping), telling, front, *couriers)


def open_front(
    settings: Settings, repository: Repository, store: Store, *, catalog: OpenCatalog, signer: OpenSigner, log: Log
) -> Fronting:
    """What writes the front page of a repository."""
    from repod.frontpage.render import template_digest  # noqa: PLC0415 - most commands write none

    url = public_url(settings, repository)
    place = Place(
        repository=repository.name,
        url=url,
        hosts=PROFILES[repository.profile].hosts,
        config=f"{repository.name}.repo",
        repo=repo_text(repository, url),
        key=key_name(repository.name),
        fingerprints=[key.fingerprint for key in signer.keys],
        restricted=settings.http.access != "open" and not repository.public and not repository.url,
    )
    return Fronting(
        store=store,
        catalog=catalog,
        place=place,
        looks=template_digest(),
        render=_render,
        tell=lambda text: log.warning("front page not written", repository=repository.name, problem=text),
    )


def _render(welcome: Welcome) -> bytes:
    from repod.frontpage.render import render  # noqa: PLC0415 - it brings jinja2

    return render(welcome)
