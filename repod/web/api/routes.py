"""The routes of the HTTP API."""

from collections.abc import Callable, Sequence

from fastapi import APIRouter, Request

from repod.access import READ
from repod.office import Office, State
from repod.web.desk import Desk
from repod.web.gate import Gate


def make_api(office: Callable[[], Office], gate: Gate, desk: Desk) -> APIRouter:
    """The router; ``office`` is asked for each request, ``desk`` has the threads that look and change."""
    api = APIRouter(prefix="/api/v1")

    @api.get("/repositories")
    async def repositories(request: Request) -> Sequence[State]:
        """Every repository that the caller may read."""
        rows = await desk.run(office().looks.states)
        return [row for row in rows if await gate.lets(request, READ, row.repository)]

    return api
