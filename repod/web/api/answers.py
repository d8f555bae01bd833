"""Answers to changes: the deed where it ended in time, else where to ask for it; and how bodies come in."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import HTTPException, Query, Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message

from repod.errors import Conflict, Unavailable
from repod.times import stamp
from repod.web.api.door import Door
from repod.web.api.jobs import Job, Work, lines_of
from repod.web.api.models import Change, Progress
from repod.web.api.problems import MEDIA, PREFIX, Declined, Met, Problem, Readable, documented, problem, problem_of

LARGEST = 64 << 10
"""Bytes of a body."""

Wait = Annotated[
    int,
    Query(ge=0, le=60, description="Seconds to wait for the end; after them the answer is 202 and where to ask."),
]


class JsonRoute(APIRoute):
    """A route whose body is JSON, says so, and is small."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See ``APIRoute``."""
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            if request.method in {"POST", "PUT"}:
                _check_body(request)
                request = Request(request.scope, _bounded(request))
            return await handle(request)

        return bounded


def _check_body(request: Request) -> None:
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > LARGEST:
        raise _too_large()
    if length == "0" and "transfer-encoding" not in request.headers:
        return
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        found = repr(kind) if kind else "none"
        raise Declined(MEDIA, f"expected a body with Content-Type: application/json, found {found}")


def _bounded(request: Request) -> Callable[[], Coroutine[Any, Any, Message]]:
    taken = 0

    async def receive() -> Message:
        nonlocal taken
        message = await request.receive()
        taken += len(message.get("body", b""))
        if taken > LARGEST:
            raise _too_large()
        return message

    return receive


def _too_large() -> HTTPException:
    # Of all that is raised while a body is read, FastAPI lets this alone through.
    return HTTPException(413, f"expected a body of at most {LARGEST} bytes")


def changing(*names: str) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that changes something; ``names`` as in ``documented``."""
    accepted = {
        "description": "It goes on; ask for it at Location.",
        "model": Change,
        "headers": {"Location": {"description": "Where the job is.", "schema": {"type": "string"}}},
    }
    kinds = ("not-found", "conflict", "too-large", "media-type", *names)
    return {202: accepted, **documented(*kinds)}


async def carry_out(door: Door, job: Job, wait: float) -> Any:
    """The answer to who asked for a change: its deed, 202, or the problem that it met."""
    await door.jobs.wait(job, wait)
    if job.ended is None:
        location = {"Location": f"{PREFIX}/jobs/{job.id}"}
        return Readable(show(job).model_dump(mode="json"), status_code=202, headers=location)
    found = trouble(job)
    if found is not None:
        raise Met(found)
    return job.deed


def begin(door: Door, what: str, repository: str, actor: str, work: Work) -> Job:
    """A job of the door."""
    return door.jobs.start(what, repository, actor, work)


def trouble(job: Job) -> Problem | None:
    """What a job met, if it did not do all that it was asked for."""
    if job.error is not None:
        return problem_of(job.error)
    deed = job.deed
    if deed is None:
        return None
    if deed.refused:
        return problem("refused", *lines_of(deed)).model_copy(update={"deed": deed})
    if deed.stopped or deed.code in {Conflict.exit_code, Unavailable.exit_code}:
        name = "unavailable" if deed.stopped else "conflict"
        return problem(name, deed.stopped or deed.text).model_copy(update={"deed": deed})
    return None


def show(job: Job) -> Change:
    """A job as the API tells it."""
    progress = job.progress
    found = trouble(job) if job.ended is not None else None
    return Change(
        id=job.id,
        what=job.what,
        repository=job.repository,
        actor=job.actor,
        state="running" if job.ended is None else "failed" if found else "done",
        created=stamp(job.created),
        ended=None if job.ended is None else stamp(job.ended),
        progress=Progress(what=progress[0], done=progress[1], total=progress[2]) if progress else None,
        result=job.deed if found is None else None,
        problem=found,
    )
