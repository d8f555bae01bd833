"""Advisories: listed, added and removed; what else comes as a document goes through the inbox."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from repod.access import REMOVE, UPLOAD
from repod.office import By, Deed
from repod.web.api.answers import Wait, begin, carry_out, changing
from repod.web.api.bodies import BoundedRoute
from repod.web.api.door import Door, Name
from repod.web.api.models import Advisory, NewAdvisory
from repod.web.api.problems import documented

_ID = r"^[A-Za-z0-9][A-Za-z0-9._:+~-]*$"
_Id = Annotated[str, Path(max_length=200, pattern=_ID, description="The advisory.")]
_Why = Annotated[str, Query(max_length=1000, pattern=r"^[^\x00-\x1f\x7f]*$", description="The reason, for the record.")]


def make_advisories(door: Door) -> APIRouter:
    """The routes about advisories."""
    api = APIRouter(prefix="/repositories/{name}/advisories", tags=["advisories"], route_class=BoundedRoute)
    adds, removes = Depends(door.changes(UPLOAD)), Depends(door.changes(REMOVE))

    @api.get(
        "",
        operation_id="listAdvisories",
        response_model=Sequence[Advisory],
        responses=documented("not-found"),
        dependencies=[Depends(door.reads)],
    )
    async def advisories(name: Name) -> Any:
        """The advisories of a repository, as ``repod advisory list`` shows them."""
        return await door.ask(lambda office: office.looks.advisories(name))

    @api.post("", operation_id="addAdvisory", response_model=Deed, responses=changing())
    async def add(name: Name, body: NewAdvisory, by: Annotated[By, adds], wait: Wait = 30, why: _Why = "") -> Any:
        """Add an advisory, in place of the one with its id. The body is what an advisory file in JSON holds."""
        by = By(actor=by.actor, address=by.address, why=why)
        data = json.dumps(body.model_dump(exclude_unset=True)).encode()
        act = partial(door.office().deeds.advise, name, f"{body.id}.json", data, by)
        return await carry_out(door, begin(door, "advisory", name, by.actor, lambda _: act()), wait)

    @api.delete("/{advisory}", operation_id="removeAdvisory", response_model=Deed, responses=changing())
    async def remove(name: Name, advisory: _Id, by: Annotated[By, removes], wait: Wait = 30, why: _Why = "") -> Any:
        """Remove an advisory."""
        by = By(actor=by.actor, address=by.address, why=why)
        act = partial(door.office().deeds.unadvise, name, [advisory], by)
        return await carry_out(door, begin(door, "advisory", name, by.actor, lambda _: act()), wait)

    return api
