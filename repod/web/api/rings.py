"""Rings: which builds hosts in pull mode are to run."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query

from repod.access import RING
from repod.office import By, Deed
from repod.rings import RingChange
from repod.web.api.answers import Wait, begin, carry_out, changing
from repod.web.api.bodies import BoundedRoute
from repod.web.api.door import Door, Name
from repod.web.api.models import NAME_PATTERN, Ring, Rings, SetRing
from repod.web.api.problems import documented

_Ring = Annotated[str, Path(max_length=100, pattern=NAME_PATTERN, description="The name of the ring.")]
_Why = Annotated[str, Query(max_length=1000, pattern=r"^[^\x00-\x1f\x7f]*$", description="The reason, for the record.")]


def make_rings(door: Door) -> APIRouter:
    """The routes about rings."""
    api = APIRouter(prefix="/repositories/{name}/rings", tags=["rings"], route_class=BoundedRoute)
    may = Depends(door.changes(RING))
    reads = [Depends(door.reads)]

    @api.get("", operation_id="listRings", response_model=Rings, responses=documented("not-found"), dependencies=reads)
    async def rings(name: Name) -> Any:
        """The rings of a repository, with serial and times of the signed file that hosts read."""
        return await door.ask(lambda office: office.looks.rings(name))

    @api.get(
        "/{ring}", operation_id="getRing", response_model=Ring, responses=documented("not-found"), dependencies=reads
    )
    async def ring(name: Name, ring: _Ring) -> Any:
        """One ring."""
        found = await door.ask(lambda office: office.looks.rings(name))
        for one in found["rings"]:
            if one["ring"] == ring:
                return one
        raise HTTPException(404, f"there is no ring {ring!r} in {name}")

    @api.put("/{ring}", operation_id="setRing", response_model=Deed, responses=changing())
    async def set_ring(name: Name, ring: _Ring, body: SetRing, by: Annotated[By, may], wait: Wait = 30) -> Any:
        """Make a ring, or change it. What is left out stays as it is."""
        by = By(actor=by.actor, address=by.address, why=body.why)
        change = RingChange(**body.model_dump(exclude={"why"}))
        act = partial(door.office().deeds.ring, name, ring, change, by)
        return await carry_out(door, begin(door, "ring", name, by.actor, lambda _: act()), wait)

    @api.delete("/{ring}", operation_id="removeRing", response_model=Deed, responses=changing())
    async def remove_ring(name: Name, ring: _Ring, by: Annotated[By, may], wait: Wait = 30, why: _Why = "") -> Any:
        """Remove a ring: its hosts stay as they are."""
        by = By(actor=by.actor, address=by.address, why=why)
        act = partial(door.office().deeds.ring, name, ring, None, by)
        return await carry_out(door, begin(door, "ring", name, by.actor, lambda _: act()), wait)

    return api
