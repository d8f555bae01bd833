"""Answers to changes: the deed where it ended in time, else where to ask for it."""

from typing import Annotated, Any

from fastapi import Query

from repod.errors import Conflict, Unavailable
from repod.times import stamp
from repod.web.api.door import Door
from repod.web.api.jobs import Job, Work, lines_of
from repod.web.api.models import Change, Progress
from repod.web.api.problems import PREFIX, Met, Problem, Readable, documented, problem, problem_of

Wait = Annotated[
    int,
    Query(ge=0, le=60, description="Seconds to wait for the end; after them the answer is 202 and where to ask."),
]


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
