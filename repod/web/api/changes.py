"""Changes of what a repository lists: each behind its verb, each a job."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Request

from repod.access import MARK, PROMOTE, PRUNE, READ, REMOVE, ROLLBACK, VERIFY
from repod.office import By, Deed
from repod.promote import Wanted
from repod.web.api.answers import Wait, begin, carry_out, changing
from repod.web.api.bodies import BoundedRoute
from repod.web.api.door import Door, Name
from repod.web.api.models import NAME_PATTERN, NEVRA_PATTERN, Promote, Reason, Remove, Rollback, Verify
from repod.web.api.problems import INVALID, Declined

Nevra = Annotated[str, Path(max_length=300, pattern=NEVRA_PATTERN, description="NAME-[EPOCH:]VERSION-RELEASE.ARCH.")]
Label = Annotated[str, Path(max_length=100, pattern=NAME_PATTERN, description="What is said of the build.")]


def make_changes(door: Door) -> APIRouter:
    """The routes that change what is listed."""
    api = APIRouter(prefix="/repositories/{name}", tags=["changes"], route_class=BoundedRoute)
    _promotions(api, door)
    _others(api, door)
    return api


def _promotions(api: APIRouter, door: Door) -> None:
    may = door.changes(PROMOTE)

    @api.post("/promotions", operation_id="promote", response_model=Deed, responses=changing())
    async def promotions(
        request: Request, name: Name, body: Promote, by: Annotated[By, Depends(may)], wait: Wait = 30
    ) -> Any:
        """Add builds of another repository.

        The token must allow it here, and reading there. ``422`` with ``refused`` and every reason where a gate of
        this repository or its acceptance says no.
        """
        if body.source == name:
            raise Declined(INVALID, f"body: from is {name} itself; expected another repository")
        await door.gate.admit_change(request, READ, body.source)
        door.need(body.source)
        wanted = Wanted(
            names=body.names, advisories=body.advisories, generation=body.generation, siblings=body.siblings
        )
        by = replace(by, why=body.why)
        deeds = door.office().deeds
        act = partial(deeds.promote, body.source, name, wanted, by, force=body.force, dry_run=body.dry_run)
        return await carry_out(door, begin(door, "promote", name, by.actor, lambda _: act()), wait)


def _others(api: APIRouter, door: Door) -> None:
    back, remove, prune, verify = map(door.changes, (ROLLBACK, REMOVE, PRUNE, VERIFY))

    @api.post("/rollbacks", operation_id="rollback", response_model=Deed, responses=changing())
    async def rollbacks(name: Name, body: Rollback, by: Annotated[By, Depends(back)], wait: Wait = 30) -> Any:
        """Publish what an earlier generation listed again, as a new generation."""
        by = replace(by, why=body.why)
        act = partial(door.office().deeds.rollback, name, body.to, by, dry_run=body.dry_run)
        return await carry_out(door, begin(door, "rollback", name, by.actor, lambda _: act()), wait)

    @api.post("/removals", operation_id="remove", response_model=Deed, responses=changing())
    async def removals(name: Name, body: Remove, by: Annotated[By, Depends(remove)], wait: Wait = 30) -> Any:
        """Take builds out of the metadata: all of them, or none.

        Their files stay until they are pruned, for hosts that still ask for them.
        """
        by = replace(by, why=body.why)
        act = partial(door.office().deeds.remove, name, body.nevras, by, dry_run=body.dry_run)
        return await carry_out(door, begin(door, "remove", name, by.actor, lambda _: act()), wait)

    @api.post("/prunes", operation_id="prune", response_model=Deed, responses=changing())
    async def prunes(name: Name, by: Annotated[By, Depends(prune)], wait: Wait = 30) -> Any:
        """Let go of what retention does not keep, as its plan says."""
        act = partial(door.office().deeds.prune, name, by)
        return await carry_out(door, begin(door, "prune", name, by.actor, act), wait)

    @api.post("/verifications", operation_id="verify", response_model=Deed, responses=changing())
    async def verifications(
        name: Name, by: Annotated[By, Depends(verify)], body: Annotated[Verify | None, Body()] = None, wait: Wait = 30
    ) -> Any:
        """Prove that the repository holds what it shows.

        It reads everything. ``rows`` are what was found; ``code`` is 1 where a fault is left.
        """
        repair = body.repair if body else False
        act = partial(door.office().deeds.verify, name, by, repair=repair)
        return await carry_out(door, begin(door, "verify", name, by.actor, act), wait)


def make_marks(door: Door) -> APIRouter:
    """The routes that pin and label builds."""
    api = APIRouter(prefix="/repositories/{name}/packages/{nevra}", tags=["marks"], route_class=BoundedRoute)
    may = Depends(door.changes(MARK))
    _pins(api, door, may)
    _labels(api, door, may)
    return api


async def _mark(door: Door, what: str, name: str, nevra: str, by: By, *, wait: float, **how: Any) -> Any:
    act = partial(door.office().deeds.mark, name, [nevra], by, **how)
    return await carry_out(door, begin(door, what, name, by.actor, lambda _: act()), wait)


def _pins(api: APIRouter, door: Door, may: Any) -> None:
    @api.put("/pin", operation_id="pin", response_model=Deed, responses=changing())
    async def pin(
        name: Name,
        nevra: Nevra,
        by: Annotated[By, may],
        body: Annotated[Reason | None, Body()] = None,
        wait: Wait = 30,
    ) -> Any:
        """Never let retention take a build that is listed now."""
        return await _mark(door, "pin", name, nevra, _why(by, body), wait=wait)

    @api.delete("/pin", operation_id="unpin", response_model=Deed, responses=changing())
    async def unpin(name: Name, nevra: Nevra, by: Annotated[By, may], wait: Wait = 30) -> Any:
        """Let retention decide on a build again."""
        return await _mark(door, "unpin", name, nevra, by, wait=wait, off=True)


def _labels(api: APIRouter, door: Door, may: Any) -> None:
    @api.put("/labels/{label}", operation_id="label", response_model=Deed, responses=changing())
    async def label(
        name: Name,
        nevra: Nevra,
        label: Label,
        by: Annotated[By, may],
        *,
        body: Annotated[Reason | None, Body()] = None,
        wait: Wait = 30,
    ) -> Any:
        """Put a label on a build that is listed now, such as what a test of it said."""
        return await _mark(door, "label", name, nevra, _why(by, body), wait=wait, label=label)

    @api.delete("/labels/{label}", operation_id="unlabel", response_model=Deed, responses=changing())
    async def unlabel(name: Name, nevra: Nevra, label: Label, by: Annotated[By, may], wait: Wait = 30) -> Any:
        """Take a label off a build."""
        return await _mark(door, "unlabel", name, nevra, by, wait=wait, label=label, off=True)


def _why(by: By, body: Reason | None) -> By:
    return replace(by, why=body.why if body else "")
