"""What became of what was brought to an inbox."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Request, Response
from pydantic import BaseModel, Field

from repod.access import READ, UPLOAD
from repod.board import Board
from repod.errors import RepodError
from repod.office import Arrival, Waiting
from repod.package import trace
from repod.web.api.door import Door, Name
from repod.web.api.problems import PREFIX, Problem, documented, problem, respond

_LOOK_SECONDS = 2.0  # between two looks whether another daemon took it in

Checksum = Annotated[
    str, Path(pattern="^[0-9a-f]{64}$", description="The SHA-256 of the file as it was uploaded: sha256sum FILE.")
]


class Ticket(BaseModel):
    """What became of an upload, and where to ask again. ``url`` is a path of this API."""

    repository: str
    file: str = Field(description="The name under which it lies in the inbox, or lay there.")
    sha256: str = Field(description="Of the bytes that were uploaded.")
    trace: str = Field(description="The id by which it is followed through log, metrics and events.")
    state: str = Field(description="waiting, published or rejected.")
    url: str = Field(description="Where to ask what became of it.")
    generation: int | None = Field(default=None, description="The generation that lists it.")
    packages: Sequence[str] = Field(default=(), description="NEVRAs of what is published of it.")
    faults: Sequence[dict[str, str]] = Field(default=(), description="Why it was rejected: code, text, remedy.")
    why: str = Field(default="", description="What it waits for, where that is known.")


class Rejection(Problem):
    """A problem document that tells of a rejected arrival."""

    arrival: Ticket


def url_of(repository: str, checksum: str) -> str:
    """Where the API tells of an arrival."""
    return f"{PREFIX}/repositories/{repository}/arrivals/{checksum}"


def ticket(repository: str, arrival: Arrival) -> Ticket:
    """What is told of an arrival."""
    return Ticket(
        repository=repository,
        file=arrival.file,
        sha256=arrival.sha256,
        trace=trace(arrival.sha256),
        state=arrival.state,
        url=url_of(repository, arrival.sha256),
        generation=arrival.generation,
        packages=arrival.packages,
        faults=tuple(dict(fault) for fault in arrival.faults),
        why=arrival.why,
    )


def outcome(repository: str, arrival: Arrival) -> Response:
    """The answer to who uploaded it: 200 where it is live, 422 where it was rejected, else 202."""
    told = ticket(repository, arrival)
    where = {"Location": told.url}
    if arrival.state == "rejected":
        lines = [fault.get("text", "") for fault in arrival.faults] or ["no reason is known"]
        found = problem("rejected", *(f"{arrival.file}: {line}" for line in lines))
        return respond(Rejection(**found.model_dump(), arrival=told), where)
    status = 200 if arrival.state == "published" else 202
    data = told.model_dump_json(indent=1, exclude_defaults=True) + "\n"
    return Response(data, status_code=status, media_type="application/json", headers=where)


class Arrivals:
    """Finds what is known of arrivals: on the board, and beyond it what the office finds."""

    def __init__(self, door: Door, board: Board) -> None:
        """``board``: what this process saw."""
        self._door = door
        self.board = board

    async def find(self, repository: str, checksum: str) -> Arrival:
        """What is known now; ``state`` is ``unknown`` where nothing is."""
        seen = self.board.of(repository, checksum)
        if seen is not None and seen.state != "waiting":
            return seen
        found = await self._door.ask(lambda office: office.looks.arrival(repository, checksum))
        if seen is None or (found.state != "unknown" and not self._lies_there(repository, seen.file)):
            return found
        # The same bytes may have come before: what became of those then is not what becomes of these.
        return seen

    def _lies_there(self, repository: str, file: str) -> bool:
        return any(one.file == file for one in self.board.waiting(repository) or ())

    async def wait(self, repository: str, checksum: str, seconds: float) -> Arrival:
        """The same as soon as it does not wait any more, or after that time, or when the daemon stops."""
        loop = asyncio.get_running_loop()
        news = asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the listener has ended meanwhile
                loop.call_soon_threadsafe(news.set)

        end = time.monotonic() + seconds
        leave = self.board.watch(repository, checksum, wake)
        try:
            while True:
                news.clear()
                found = self.board.of(repository, checksum)
                left = end - time.monotonic()
                if (found and found.state != "waiting") or left <= 0 or self.board.closed:
                    return found or Arrival(sha256=checksum, state="waiting")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), min(left, _LOOK_SECONDS))
                    continue
                # Another daemon may have taken it in, who does not write on this board.
                with contextlib.suppress(RepodError):
                    elsewhere = await self.find(repository, checksum)
                    if elsewhere.state in {"published", "rejected"}:
                        return elsewhere
        finally:
            leave()


def make_arrivals(door: Door, arrivals: Arrivals) -> APIRouter:
    """The routes about arrivals."""
    api = APIRouter(tags=["arrivals"])

    async def asked(request: Request, name: str) -> None:
        # Who may only upload may ask what became of it.
        if not await door.gate.lets(request, UPLOAD, name):
            await door.gate.admit(request, READ, name)
        door.need(name)

    @api.get(
        "/repositories/{name}/arrivals",
        operation_id="listArrivals",
        responses=documented("not-found"),
    )
    async def waiting(request: Request, name: Name) -> Sequence[Waiting]:
        """What waits in the inbox, as the last look at it found it."""
        await asked(request, name)
        return arrivals.board.waiting(name) or ()

    @api.get(
        "/repositories/{name}/arrivals/{sha256}",
        operation_id="findArrival",
        responses=documented("not-found"),
        response_model_exclude_defaults=True,
    )
    async def arrival(request: Request, name: Name, sha256: Checksum) -> Ticket:
        """What became of the file with that SHA-256: waiting, published or rejected."""
        await asked(request, name)
        found = await arrivals.find(name, sha256)
        if found.state == "unknown":
            raise HTTPException(404, f"nothing with SHA-256 {sha256} is known in {name}; was it uploaded there?")
        return ticket(name, found)

    return api
