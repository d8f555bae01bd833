"""Generations: what became of a repository, and what differs between two contents."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response

from repod.access import READ
from repod.web import veil
from repod.web.api.door import Door, Name
from repod.web.api.models import NAME_PATTERN, Comparison, Generation
from repod.web.api.pieces import LINK, Limit, link
from repod.web.api.problems import documented

_LARGEST = 2**31 - 1
Number = Annotated[int, Path(ge=1, le=_LARGEST, description="The number of a generation.")]
_Word = Annotated[str, Query(max_length=300, description="Only what was done to builds of that name.")]


def make_generations(door: Door) -> APIRouter:
    """The routes about generations."""
    api = APIRouter(prefix="/repositories/{name}", tags=["generations"], dependencies=[Depends(door.reads)])
    _past(api, door)

    @api.get("/diff", operation_id="diff", response_model=Comparison, responses=documented("not-found"))
    async def diff(
        request: Request,
        name: Name,
        start: Annotated[int | None, Query(alias="from", ge=1, le=_LARGEST, description="A generation.")] = None,
        to: Annotated[int | None, Query(ge=1, le=_LARGEST, description="Another, of ``other`` if given.")] = None,
        other: Annotated[str, Query(max_length=100, pattern=NAME_PATTERN, description="Another repository.")] = "",
    ) -> Any:
        """What would change for hosts from one content to another.

        A number that is left out is the current generation.
        """
        if other:
            await door.gate.admit(request, READ, other)
            door.need(other)
        return await door.ask(lambda office: office.looks.diff(name, start, other or name, to))

    return api


def _past(api: APIRouter, door: Door) -> None:
    @api.get(
        "/generations",
        operation_id="listGenerations",
        response_model=Sequence[Generation],
        responses={200: {"headers": {"Link": LINK}}, **documented("not-found")},
    )
    async def generations(
        request: Request,
        response: Response,
        name: Name,
        *,
        package: _Word = "",
        before: Annotated[int | None, Query(ge=1, le=_LARGEST, description="Only older ones.")] = None,
        limit: Limit = 20,
    ) -> Any:
        """Generations, newest first: when, by whom, why, what came and went.

        ``Link`` leads to older ones.
        """
        rows = await door.ask(
            lambda office: office.looks.history(name, package=package, before=before or 0, limit=limit)
        )
        if len(rows) == limit and rows[-1]["generation"] > 1:
            response.headers["Link"] = link(request, before=rows[-1]["generation"])
        sees = await door.sight(request)
        return [veil.generation(row, sees) for row in rows]

    @api.get(
        "/generations/{number}",
        operation_id="getGeneration",
        response_model=Generation,
        responses=documented("not-found"),
    )
    async def generation(name: Name, number: Number, request: Request) -> Any:
        """One generation."""
        rows = await door.ask(lambda office: office.looks.history(name, before=number + 1, limit=1))
        if not rows or rows[0]["generation"] != number:
            raise HTTPException(404, f"{name}: no generation {number} is kept")
        return veil.generation(rows[0], await door.sight(request))
