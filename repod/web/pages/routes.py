"""The routes of the status pages."""

import time
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Request, Response
from fastapi.responses import RedirectResponse

from repod.web.api.door import Door
from repod.web.gate import Challenge
from repod.web.pages import builds, gather, hosts, past, render, rollouts, words
from repod.web.pages.front import Front, Waits
from repod.web.pages.rollback import Rollbacks

_SIGN_IN = "there is more here for who signs in"


def make_pages(door: Door, waiting: Waits, clock: Callable[[], float] = time.time) -> APIRouter:
    """Every page; ``waiting`` says what is in the inbox of a repository, ``clock`` gives seconds since 1970."""
    front = Front(door, waiting, clock)
    pages = APIRouter(include_in_schema=False)
    _general(pages, front)
    _of_repositories(pages, front)
    _of_generations(pages, front)
    _of_rollouts(pages, front)
    return pages


def _general(pages: APIRouter, front: Front) -> None:
    recents: gather.Recents = {}

    @pages.get("/static/{name}")
    async def static(name: str) -> Response:
        found = render.asset(name)
        if found is None:
            raise HTTPException(404)
        return found

    @pages.get("/")
    async def start(request: Request) -> Response:
        return await front.show(request, "overview.html", lambda asked: gather.overview(asked, recents))

    @pages.get("/sign-in")
    async def sign_in(request: Request) -> Response:
        asked = await front.asked(request)
        if asked.hides:
            raise Challenge(_SIGN_IN)
        return RedirectResponse("./", status_code=303)


def _of_rollouts(pages: APIRouter, front: Front) -> None:
    @pages.get("/rollouts")
    async def all_(request: Request) -> Response:
        return await front.show(request, "rollouts.html", rollouts.rollouts)

    @pages.get("/rollouts/{rollout}")
    async def somewhere(rollout: str, request: Request) -> Response:
        asked = await front.asked(request)
        name = await front.door.desk.run(lambda: rollouts.place_of(asked, rollout))
        return RedirectResponse(f"../r/{words.segment(name)}/rollouts/{words.segment(rollout)}", status_code=307)

    @pages.get("/r/{name}/rollouts/{rollout}")
    async def one(name: str, rollout: str, request: Request) -> Response:
        return await front.show(request, "rollout.html", lambda asked: rollouts.rollout(asked, name, rollout), name)


def _of_repositories(pages: APIRouter, front: Front) -> None:
    @pages.get("/r/{name}")
    async def slashless(name: str) -> Response:
        return RedirectResponse(f"{words.segment(name)}/", status_code=308)

    @pages.get("/r/{name}/")
    async def repository(name: str, request: Request) -> Response:
        return await front.show(request, "repository.html", lambda asked: gather.repository(asked, name), name)

    @pages.get("/r/{name}/rejected")
    async def rejected(name: str, request: Request) -> Response:
        return await front.show(request, "rejected.html", lambda asked: gather.rejected(asked, name), name)

    @pages.get("/r/{name}/hosts")
    async def of_hosts(name: str, request: Request) -> Response:
        return await front.show(request, "hosts.html", lambda asked: hosts.hosts(asked, name), name)

    @pages.get("/r/{name}/p/{package}")
    async def build(name: str, package: str, request: Request) -> Response:
        return await front.show(request, "package.html", lambda asked: builds.build(asked, name, package), name)

    @pages.get("/r/{name}/n/{package}")
    async def named(name: str, package: str, request: Request) -> Response:
        return await front.show(request, "name.html", lambda asked: builds.named(asked, name, package), name)


_Number = Annotated[int, Path(ge=0, lt=10**15)]


def _of_generations(pages: APIRouter, front: Front) -> None:
    rollbacks = Rollbacks(front)

    @pages.get("/r/{name}/generations")
    async def generations(name: str, request: Request) -> Response:
        return await front.show(request, "generations.html", lambda asked: past.timeline(asked, name), name)

    @pages.get("/r/{name}/compare")
    async def compare(name: str, request: Request) -> Response:
        return await front.show(request, "compare.html", lambda asked: past.compared(asked, name), name)

    @pages.get("/r/{name}/generations/{number}")
    async def generation(name: str, number: _Number, request: Request) -> Response:
        return await front.show(request, "generation.html", lambda asked: past.one(asked, name, number), name)

    @pages.post("/r/{name}/generations/{number}")
    async def rollback(name: str, number: _Number, request: Request) -> Response:
        return await rollbacks.answer(request, name, number)
