"""The last record of the audit log, for who keeps it elsewhere."""

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, Field

from repod.access import METRICS
from repod.web.api.door import Door
from repod.web.api.problems import documented


class AuditHead(BaseModel):
    """The last record. An audit log that does not have it any more was cut off or made anew."""

    n: int = Field(description="Its number; 0 where there is none yet.")
    hash: str = Field(description="Its hash, SHA-256 in hex; zeros where there is none yet.")
    head: str = Field(description="Both, as repod audit verify --head takes them.")


def make_audit(door: Door) -> APIRouter:
    """The route about the audit log."""
    api = APIRouter(tags=["about"])

    @api.get("/audit/head", operation_id="getAuditHead", responses=documented("not-found"))
    async def head(request: Request) -> AuditHead:
        """The last record of the audit log. For who may read ``/metrics``."""
        await door.gate.admit(request, METRICS)
        text = await door.ask(lambda office: office.record.head())
        number, _, digest = text.partition(":")
        if not digest:
            raise HTTPException(404, "there is no audit log here; the settings name none: [audit] file")
        return AuditHead(n=int(number), hash=digest, head=text)

    return api
