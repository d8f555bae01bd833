"""The gateway where S3 is away, slow, or does not take the credentials."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from repod.config import Bucket
from repod.values import S3Place
from repod.web.bucket import BucketShelf
from repod.web.desk import Desk
from tests.lab.apps import open_app
from tests.lab.seaweed import Seaweed

_HASHED = f"repodata/{'0' * 64}-primary.xml.gz"


@contextmanager
def shelf(place: S3Place, endpoint: str, *, threads: int = 8, waiting: int = 64, **own: Any) -> Iterator[BucketShelf]:
    desk = Desk(threads=threads, waiting=waiting)
    try:
        yield BucketShelf(place, Bucket(endpoint=endpoint, region="us-east-1", **own), links=60, desk=desk)
    finally:
        desk.close()


def ask(one: BucketShelf, *paths: str) -> Sequence[httpx.Response]:
    """Ask for all at once."""

    async def together(client: httpx.AsyncClient) -> list[httpx.Response]:
        return await asyncio.gather(*(client.get(path) for path in paths))

    return asking(one, together)


def asking(
    one: BucketShelf, talk: Callable[[httpx.AsyncClient], Awaitable[Sequence[httpx.Response]]]
) -> Sequence[httpx.Response]:
    async def main() -> Sequence[httpx.Response]:
        transport = httpx.ASGITransport(app=open_app({"r": one}))
        async with httpx.AsyncClient(transport=transport, base_url="http://repod", timeout=60) as client:
            return await talk(client)

    return asyncio.run(main())


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch, s3: Seaweed) -> Seaweed:
    for name, value in s3.environ.items():
        monkeypatch.setenv(name, value)
    return s3


@pytest.fixture
def closed() -> str:
    """A URL at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def silent() -> Iterator[str]:
    """A URL at which somebody listens and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


_PLACE = S3Place(bucket="none", prefix="x/")


def test_where_s3_is_down_hosts_are_told_to_come_again(environ: Seaweed, closed: str) -> None:
    with shelf(_PLACE, closed) as one:
        (answer,) = ask(one, "/repos/r/repodata/repomd.xml")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "s3://none/x/repodata/repomd.xml cannot be read now" in answer.text
    assert "\n" not in answer.json()["detail"]


@pytest.mark.parametrize(("name", "value"), [("AWS_ACCESS_KEY_ID", "AKNOBODY"), ("AWS_SECRET_ACCESS_KEY", "wrong")])
def test_refused_credentials_are_503_with_the_remedy_and_without_the_secret(
    name: str, value: str, environ: Seaweed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    place = S3Place(bucket=environ.bucket(), prefix="x/")
    with shelf(place, environ.endpoint) as one:
        (answer,) = ask(one, "/repos/r/repodata/repomd.xml")
    assert answer.status_code == 503
    assert "config/iam" in answer.text
    assert environ.secret_key not in answer.text


def test_without_credentials_there_is_no_link(environ: Seaweed, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    with shelf(_PLACE, environ.endpoint) as one:
        (answer,) = ask(one, f"/repos/r/{_HASHED}")
    assert answer.status_code == 503
    assert "no credentials" in answer.text


def test_links_and_what_cannot_be_there_ask_nothing_of_s3(environ: Seaweed, closed: str) -> None:
    """Nobody listens where S3 should: what is answered was answered without it."""
    with shelf(_PLACE, closed) as one:
        link, *others = ask(
            one, f"/repos/r/{_HASHED}", *(f"/repos/r/{path}" for path in ("media.1/media", "x", ".env"))
        )
    assert link.status_code == 302
    assert [answer.status_code for answer in others] == [404, 404, 404]


def test_an_s3_that_does_not_answer_keeps_nobody_else_waiting(environ: Seaweed, silent: str) -> None:
    async def talk(client: httpx.AsyncClient) -> list[httpx.Response]:
        waiting = [asyncio.create_task(client.get("/repos/r/mirrorlist")) for _ in range(6)]
        done, _ = await asyncio.wait(waiting, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        assert done
        async with asyncio.timeout(60):
            health, metrics = await client.get("/healthz"), await client.get("/metrics")
        assert sum(not task.done() for task in waiting) >= 2, "S3 is still silent"
        for task in waiting:
            task.cancel()
        found = [task.result() for task in waiting if task.done() and not task.cancelled()]
        return [health, metrics, *found]

    with shelf(_PLACE, silent, threads=2, waiting=2, timeout=120) as one:
        health, metrics, *refused = asking(one, talk)
    assert (health.status_code, metrics.status_code) == (200, 200)
    assert {answer.status_code for answer in refused} == {503}
    assert "wait already" in refused[0].text
