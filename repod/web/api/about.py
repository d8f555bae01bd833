"""What belongs to no single repository: keys, jobs, the version, and what problems mean."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query, Request

from repod import __version__
from repod.access import READ
from repod.web.api.answers import show
from repod.web.api.document import VERSION
from repod.web.api.door import Door
from repod.web.api.jobs import Job
from repod.web.api.models import Change, Key, Known, Meaning, Version
from repod.web.api.problems import KINDS, documented


def make_about(door: Door) -> APIRouter:
    """The routes about repod itself."""
    api = APIRouter(tags=["about"])

    @api.get("/version", operation_id="getVersion", responses=documented())
    async def version(request: Request) -> Version:
        """Which repod answers. Any caller that may read anything may ask, so it tells whether a token is good."""
        await door.gate.admit(request, READ)
        return Version(version=__version__, api=VERSION)

    @api.get("/caller", operation_id="getCaller", responses=documented())
    async def caller(request: Request) -> Known:
        """Who the caller is, by what was sent. It is asked for also where anybody may read, so it proves a token."""
        found = await door.gate.who(request)
        return Known(
            caller=str(found), verbs=sorted(found.verbs), repositories=sorted(found.repositories or ()), how=found.how
        )

    @api.get("/keys", operation_id="listKeys", response_model=Sequence[Key], responses=documented())
    async def keys(request: Request) -> Any:
        """Every key that hosts get, and what each signed in repositories that the caller may read."""
        await door.gate.admit(request, READ)
        rows = await door.ask(lambda office: office.looks.keys())
        seen = {name for name in door.names() if await door.gate.lets(request, READ, name)}
        return [{**row, "repositories": _of(seen, row["repositories"])} for row in rows]

    _jobs(api, door)
    return api


def _jobs(api: APIRouter, door: Door) -> None:
    @api.get("/jobs/{job}", operation_id="getJob", responses=documented("not-found"))
    async def jobs(
        request: Request,
        job: Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="As the answer to a change named it.")],
        wait: Annotated[int, Query(ge=0, le=60, description="Seconds to wait for its end.")] = 0,
    ) -> Change:
        """A change, running or ended within the last hour.

        For who asked for it, and for who may read its repository.
        """
        found = door.jobs.find(job)
        if found is None or not await _may_see(door, request, found):
            raise HTTPException(404, f"there is no job {job} any more, or it is another caller's")
        await door.jobs.wait(found, wait)
        return show(found)

    @api.get("/problems/{kind}", operation_id="getProblemKind", responses=documented("not-found"))
    async def problems(
        kind: Annotated[str, Path(max_length=40, pattern=r"^[a-z-]+$", description="The last part of a ``type``.")],
    ) -> Meaning:
        """What a kind of problem means."""
        known = KINDS.get(kind)
        if known is None:
            raise HTTPException(404, f"{kind!r} is no kind of problem; there are: {', '.join(KINDS)}")
        return Meaning(name=kind, status=known.status, title=known.title, meaning=known.meaning)


def _of(names: set[str], rows: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row for name, row in rows.items() if name in names}


async def _may_see(door: Door, request: Request, job: Job) -> bool:
    if await door.gate.lets(request, READ, job.repository):
        return True
    caller = await door.gate.known(request)
    return caller is not None and str(caller) == job.actor
