"""Reports of hosts: rollouts as they go, and the packages that a host runs."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from repod.access import PRUNE, REPORT
from repod.office import By, Office
from repod.reports import (
    LARGEST,
    HostName,
    HostNoted,
    HostPage,
    HostSays,
    Reported,
    Rollout,
    RolloutId,
    Summary,
    read_lines,
    summary,
)
from repod.web import veil
from repod.web.api.bodies import JSON, BoundedRoute, media_type
from repod.web.api.door import Door, Name
from repod.web.api.pieces import LINK, TEXT, Limit, link
from repod.web.api.problems import documented

_Id = Annotated[RolloutId, Path(description="The rollout's id, chosen by who carries it out.")]
_Host = Annotated[HostName, Path(description="The host's name.")]
_Limit = Annotated[int, Query(ge=1, le=200, description="How many at the most.")]
_Word = Annotated[str, Query(max_length=200, pattern=TEXT, description="Only hosts that run a build of that name.")]
_After = Annotated[str, Query(max_length=253, pattern=TEXT, description="``next`` of the page before.")]
_BODY = {
    "requestBody": {
        "required": True,
        "description": "All packages with the digests of their headers; or, as text, what `rpm -qa` prints.",
        "content": {
            JSON: {"schema": {"$ref": "#/components/schemas/HostSays"}},
            "text/plain": {"schema": {"type": "string", "minLength": 1}},
        },
    }
}
_PROBLEMS = ("not-found", "conflict", "too-large", "media-type")


class _ReportRoute(BoundedRoute):
    """A route of reports: a rollout in JSON, or what a host prints."""

    largest = LARGEST

    def wanted(self) -> Sequence[str]:
        """See ``BoundedRoute``."""
        return (JSON, "text/plain") if "/hosts/" in self.path else (JSON,)


def make_reports(door: Door) -> APIRouter:
    """The routes about rollouts and hosts of one repository."""
    api = APIRouter(prefix="/repositories/{name}", tags=["reports"], route_class=_ReportRoute)
    admitted = Depends(door.changes(REPORT))
    reads = [Depends(door.reads)]

    @api.get("/rollouts", operation_id="listRollouts", responses=documented("not-found"), dependencies=reads)
    async def rollouts(name: Name, request: Request, limit: _Limit = 20) -> Sequence[Summary]:
        """Rollouts, those that were reported last first, without their hosts."""
        rows = await door.ask(lambda office: office.reports.rollouts(name, limit=limit))
        return rows if await door.gate.names_hosts(request, name) else list(map(veil.summary, rows))

    @api.get(
        "/rollouts/{id}",
        operation_id="getRollout",
        responses=documented("not-found"),
        dependencies=reads,
        response_model=Reported,
    )
    async def rollout(name: Name, id: _Id, request: Request) -> Response:  # noqa: A002 - the name in the path
        """A rollout with all its hosts; their names are for callers that are known."""
        hosts = await door.gate.names_hosts(request, name)

        def made(office: Office) -> str:
            found = office.reports.rollout(name, id)
            return (found if hosts else veil.reported(found)).model_dump_json(by_alias=True)

        return Response(await door.ask(made), media_type="application/json")

    @api.put("/rollouts/{id}", operation_id="reportRollout", responses=documented(*_PROBLEMS))
    async def report(name: Name, id: _Id, body: Rollout, by: By = admitted) -> Summary:  # noqa: A002
        """Report a rollout as it stands, whole; it may be sent again. One that has ended stays as it is."""
        if body.id != id:
            raise HTTPException(422, f"id: expected {id!r}, as in the path, found {body.id!r}")
        return summary(await door.ask(lambda office: office.reports.report(name, body, by)))

    _hosts(api, door)
    return api


def _hosts(api: APIRouter, door: Door) -> None:
    admitted, forgets = Depends(door.changes(REPORT)), Depends(door.changes(PRUNE))

    @api.get(
        "/hosts",
        operation_id="listHosts",
        responses={200: {"headers": {"Link": LINK}}, **documented("not-found")},
        dependencies=[Depends(door.reads)],
    )
    async def hosts(
        request: Request, response: Response, name: Name, *, package: _Word = "", after: _After = "", limit: Limit = 50
    ) -> HostPage:
        """Hosts that report, by name: when, and which builds each runs of what is listed.

        Names of hosts are for callers that are known. `next`, and `Link`, lead to more.
        """
        await door.gate.admit_names(request, name)
        page = await door.ask(lambda office: office.reports.hosts(name, package=package, after=after, limit=limit))
        if page.next:
            response.headers["Link"] = link(request, after=page.next)
        return page

    @api.put("/hosts/{host}", operation_id="reportHost", responses=documented(*_PROBLEMS), openapi_extra=_BODY)
    async def host(name: Name, host: _Host, request: Request, by: By = admitted) -> HostNoted:
        """Say what a host runs, and would be downgraded to, so that retention keeps it."""
        said = _said(media_type(request), await request.body())
        return await door.ask(lambda office: office.reports.host(name, host, said, by))

    @api.delete("/hosts/{host}", operation_id="forgetHost", status_code=204, responses=documented("not-found"))
    async def forget(name: Name, host: _Host, by: By = forgets) -> None:
        """Remove the report of a host that is gone: what it ran may be pruned then, so the verb is `prune`."""
        await door.ask(lambda office: office.reports.forget(name, host, by))


def _said(kind: str, data: bytes) -> HostSays:
    try:
        if kind == JSON:
            return HostSays.model_validate_json(data)
        return read_lines(data.decode())
    except UnicodeDecodeError as error:
        raise HTTPException(422, "body: expected what rpm -qa prints, in UTF-8") from error
    except ValidationError as error:
        raise RequestValidationError(
            [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_url=False)]
        ) from error
    except ValueError as error:
        raise HTTPException(422, f"body: {error}") from error
