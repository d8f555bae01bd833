"""Changes over HTTP as jobs: they go on without who asked, and are forgotten in time."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from repod.errors import Conflict
from repod.log import open_log
from repod.office import Deed, Far
from repod.web.api.answers import show, trouble
from repod.web.api.jobs import KEPT, KEPT_SECONDS, Job, Jobs
from repod.web.desk import Desk

_DEED = Deed(repository="test", generation=2, rows=[{"package": "hello-1.0-1.noarch"}], text="done so")


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Lab:
    """Jobs on two threads, with a clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.desk = Desk(threads=2, waiting=4)
        self.jobs = Jobs(self.desk, open_log("json", "error"), self.clock)

    def start(self, work: Any = lambda _far: _DEED) -> Job:
        return self.jobs.start("remove", "test", "token ci", work)

    def run(self, story: Coroutine[Any, Any, None]) -> None:
        asyncio.run(story)
        self.desk.close()


def test_a_job_that_ends_tells_what_came_of_it() -> None:
    lab = Lab()

    async def story() -> None:
        job = lab.start()
        assert show(job).state == "running"
        await lab.jobs.wait(job, 60)
        told = show(job)
        assert (told.state, told.result, told.problem) == ("done", _DEED, None)
        assert (told.created, told.ended) == ("1970-01-01T00:16:40Z", "1970-01-01T00:16:40Z")
        assert lab.jobs.find(job.id) is job

    lab.run(story())


def test_a_job_goes_on_when_who_waited_for_it_hung_up_and_tells_how_far_it_is() -> None:
    lab, told, go = Lab(), threading.Event(), threading.Event()

    def work(far: Far) -> Deed:
        far("packages", 3, 7)
        told.set()
        assert go.wait(60)
        return _DEED

    async def story() -> None:
        job = lab.start(work)
        waiting = asyncio.create_task(lab.jobs.wait(job, 60))
        await asyncio.to_thread(told.wait, 60)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        progress = show(job).progress
        assert progress is not None
        assert (progress.what, progress.done, progress.total) == ("packages", 3, 7)
        go.set()
        await lab.jobs.wait(job, 60)
        assert show(job).state == "done"

    lab.run(story())


def test_waiting_ends_after_its_time_and_the_job_does_not() -> None:
    lab, go = Lab(), threading.Event()

    def work(_far: Far) -> Deed:
        assert go.wait(60)
        return _DEED

    async def story() -> None:
        job = lab.start(work)
        await lab.jobs.wait(job, 0)
        assert show(job).state == "running"
        go.set()
        await lab.jobs.wait(job, 60)
        assert show(job).state == "done"

    lab.run(story())


def test_a_job_that_fails_tells_the_problem_of_the_request() -> None:
    lab = Lab()

    def work(_far: Far) -> Deed:
        msg = "test: others were faster"
        raise Conflict(msg)

    async def story() -> None:
        job = lab.start(work)
        await lab.jobs.wait(job, 60)
        told = show(job)
        assert told.state == "failed"
        assert told.result is None
        assert told.problem is not None
        assert (told.problem.status, told.problem.detail) == (409, "test: others were faster")

    lab.run(story())


def test_a_fault_of_repod_itself_is_not_told_to_strangers() -> None:
    lab = Lab()

    def work(_far: Far) -> Deed:
        msg = "/etc/secret/path"
        raise ValueError(msg)

    async def story() -> None:
        job = lab.start(work)
        await lab.jobs.wait(job, 60)
        problem = trouble(job)
        assert problem is not None
        assert problem.status == 500
        assert "secret" not in problem.model_dump_json()

    lab.run(story())


def test_what_a_policy_refuses_is_a_problem_with_every_reason_and_the_deed() -> None:
    lab = Lab()
    rows = [{"refused": ["hello-1.0-1.noarch: no label tested", "hello-1.0-1.noarch: too young"]}]
    deed = Deed(repository="test", generation=None, rows=rows, refused=True, code=3)

    async def story() -> None:
        job = lab.start(lambda _far: deed)
        await lab.jobs.wait(job, 60)
        problem = show(job).problem
        assert problem is not None
        assert (problem.status, problem.refused, list(problem.faults)) == (422, True, rows[0]["refused"])
        assert problem.deed == deed

    lab.run(story())


def test_what_ended_halfway_is_a_problem_with_what_was_done() -> None:
    lab = Lab()
    deed = Deed(repository="test", generation=3, rows=[], code=4, stopped="the store cannot be written now")

    async def story() -> None:
        job = lab.start(lambda _far: deed)
        await lab.jobs.wait(job, 60)
        told = show(job)
        assert told.state == "failed"
        assert told.problem is not None
        assert (told.problem.status, told.problem.detail) == (503, "the store cannot be written now")
        assert told.problem.deed == deed

    lab.run(story())


def test_ended_jobs_are_forgotten_after_an_hour_and_the_oldest_where_there_are_too_many() -> None:
    lab = Lab()

    async def story() -> None:
        first = lab.start()
        await lab.jobs.wait(first, 60)
        for _ in range(KEPT):
            job = lab.start()
            await lab.jobs.wait(job, 60)
        assert lab.jobs.find(first.id) is None
        assert lab.jobs.find(job.id) is job
        lab.clock.now += KEPT_SECONDS + 1
        assert lab.jobs.find(job.id) is None

    lab.run(story())


def test_more_changes_than_there_is_room_for_are_told_to_try_again() -> None:
    lab, go = Lab(), threading.Event()

    def work(_far: Far) -> Deed:
        assert go.wait(60)
        return _DEED

    async def story() -> None:
        started = [lab.start(work) for _ in range(20)]
        await lab.jobs.wait(started[-1], 60)
        problem = trouble(started[-1])
        assert problem is not None
        assert problem.status == 503
        go.set()
        for job in started:
            await lab.jobs.wait(job, 60)
        assert sum(show(job).state == "done" for job in started) >= 4

    lab.run(story())
