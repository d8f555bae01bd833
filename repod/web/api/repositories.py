"""Repositories: which there are, and how they are."""

from collections.abc import Sequence

from fastapi import APIRouter, Request

from repod.access import READ
from repod.office import State
from repod.web.api.door import Door
from repod.web.api.problems import documented


def make_repositories(door: Door) -> APIRouter:
    """The routes about repositories as a whole."""
    api = APIRouter(tags=["repositories"])

    @api.get("/repositories", operation_id="listRepositories", responses=documented())
    async def repositories(request: Request) -> Sequence[State]:
        """Every repository that the caller may read."""
        rows = await door.ask(lambda office: office.states())
        seen = [row for row in rows if await door.gate.lets(request, READ, row.repository)]
        if not seen:
            await door.gate.admit(request, READ)
        return seen

    return api
