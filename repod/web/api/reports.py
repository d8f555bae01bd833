"""Reports of hosts: rollouts as they go, and the packages that a host runs."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response

from repod.access import REPORT
from repod.office import By
from repod.reports import LARGEST, HostName, HostNoted, Reported, Rollout, RolloutId, Summary, summary
from repod.web.api.bodies import JSON, BoundedRoute
from repod.web.api.door import Door, Name
from repod.web.api.problems import documented

_Id = Annotated[RolloutId, Path(description="The rollout's id, chosen by who carries it out.")]
_Host = Annotated[HostName, Path(description="The host's name.")]
_Limit = Annotated[int, Query(ge=1, le=200, description="How many at the most.")]
_BODY = {
    "requestBody": {
        "required": True,
        "description": "What `rpm -qa` prints: a line for each package.",
        "content": {"text/plain": {"schema": {"type": "string", "minLength": 1}}},
    }
}
_PROBLEMS = ("not-found", "conflict", "too-large", "media-type")


class _ReportRoute(BoundedRoute):
    """A route of reports: a rollout in JSON, or what a host prints."""

    largest = LARGEST

    def wanted(self) -> str:
        """See ``BoundedRoute``."""
        return "text/plain" if "/hosts/" in self.path else JSON


def make_reports(door: Door) -> APIRouter:
    """The routes about rollouts and hosts of one repository."""
    api = APIRouter(prefix="/repositories/{name}", tags=["reports"], route_class=_ReportRoute)
    admitted = Depends(door.changes(REPORT))
    reads = [Depends(door.reads)]

    @api.get("/rollouts", operation_id="listRollouts", responses=documented("not-found"), dependencies=reads)
    async def rollouts(name: Name, limit: _Limit = 20) -> Sequence[Summary]:
        """Rollouts, those that were reported last first, without their hosts."""
        return await door.ask(lambda office: office.reports.rollouts(name, limit=limit))

    @api.get(
        "/rollouts/{id}",
        operation_id="getRollout",
        responses=documented("not-found"),
        dependencies=reads,
        response_model=Reported,
    )
    async def rollout(name: Name, id: _Id) -> Response:  # noqa: A002 - the name in the path
        """A rollout with all its hosts."""
        text = await door.ask(lambda office: office.reports.rollout(name, id).model_dump_json(by_alias=True))
        return Response(text, media_type="application/json")

    @api.put("/rollouts/{id}", operation_id="reportRollout", responses=documented(*_PROBLEMS))
    async def report(name: Name, id: _Id, body: Rollout, by: By = admitted) -> Summary:  # noqa: A002
        """Report a rollout as it stands, whole; it may be sent again. One that has ended stays as it is."""
        if body.id != id:
            raise HTTPException(422, f"id: expected {id!r}, as in the path, found {body.id!r}")
        return summary(await door.ask(lambda office: office.reports.report(name, body, by)))

    @api.put("/hosts/{host}", operation_id="reportHost", responses=documented(*_PROBLEMS), openapi_extra=_BODY)
    async def host(name: Name, host: _Host, request: Request, by: By = admitted) -> HostNoted:
        """Say what a host runs, so that retention keeps it: the text that `rpm -qa` prints there."""
        data = await request.body()
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise HTTPException(422, "body: expected what rpm -qa prints, in UTF-8") from error
        return await door.ask(lambda office: office.reports.host(name, host, text, by))

    return api
