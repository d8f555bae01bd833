"""Repositories: which there are, how they are, what was refused, and what a prune would let go."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response

from repod.access import READ
from repod.office import Refusal, State
from repod.web import veil
from repod.web.api.door import Door, Name
from repod.web.api.models import Going, Modular
from repod.web.api.pieces import LINK, TEXT, Limit, link
from repod.web.api.problems import asked, documented

_Before = Annotated[str, Query(max_length=1000, pattern=TEXT, description="Only those before the one with that id.")]


def make_repositories(door: Door) -> APIRouter:
    """The routes about repositories as a whole."""
    api = APIRouter(tags=["repositories"])

    @api.get("/repositories", operation_id="listRepositories", responses=documented())
    async def repositories(request: Request) -> Sequence[State]:
        """Every repository that the caller may read."""
        rows = await door.ask(lambda office: office.looks.states())
        seen = [row for row in rows if await door.gate.lets(request, READ, row.repository)]
        if not seen:
            await door.gate.admit(request, READ)
        sees = await door.sight(request)
        return [veil.state(row, sees) for row in seen]

    api.include_router(_one(door))
    return api


def _one(door: Door) -> APIRouter:
    one = APIRouter(prefix="/repositories/{name}", dependencies=[Depends(door.reads)])

    @one.get("", operation_id="getRepository", responses=documented("not-found"))
    async def repository(name: Name, request: Request) -> State:
        """A repository now: its generation, packages and inbox."""
        rows = await door.ask(lambda office: office.looks.states())
        for row in rows:
            if row.repository == name:
                return veil.state(row, await door.sight(request))
        raise HTTPException(404, f"there is no repository {name!r} here")

    _rejected(one, door)

    @one.get("/modules", operation_id="listModules", responses=documented("not-found"))
    async def modules(name: Name) -> Modular:
        """The module streams of listed builds that have one."""
        return Modular(streams=await door.ask(lambda office: office.looks.modules(name)))

    @one.get("/prune", operation_id="planPrune", response_model=Sequence[Going], responses=documented("not-found"))
    async def plan(name: Name, request: Request) -> object:
        """What a prune would let go now, with the reasons."""
        rows = await door.ask(lambda office: office.looks.plan(name))
        hosts = await door.gate.names_hosts(request, name)
        return veil.plan(rows, await door.sight(request), hosts=hosts)

    return one


def _rejected(one: APIRouter, door: Door) -> None:
    @one.get(
        "/rejected",
        operation_id="listRejected",
        responses={200: {"headers": {"Link": LINK}}, **documented("not-found")},
    )
    async def rejected(
        request: Request, response: Response, name: Name, limit: Limit = 50, before: _Before = ""
    ) -> Sequence[Refusal]:
        """Arrivals that were refused, newest first, with every reason and what to do.

        ``Link`` leads to older ones.
        """
        with asked():
            rows = await door.ask(lambda office: office.looks.rejected(name, limit=limit, before=before))
        if len(rows) == limit:
            response.headers["Link"] = link(request, before=rows[-1].id)
        return rows
