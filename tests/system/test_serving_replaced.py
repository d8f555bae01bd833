"""An index that is replaced while it is served arrives whole, in one of its states."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from repod.web.shelves import LocalShelf
from tests.lab.apps import open_app

STATES = (b"<old/>" * 100, b"<new-and-longer/>" * 300)


@contextmanager
def replaced_all_the_time(path: Path) -> Iterator[None]:
    over = threading.Event()

    def replace() -> None:
        turn = 0
        while not over.is_set():
            turn += 1
            stage = path.with_name("stage")
            stage.write_bytes(STATES[turn % 2])
            stage.replace(path)

    path.write_bytes(STATES[0])
    thread = threading.Thread(target=replace)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_an_index_that_is_replaced_while_it_is_read_arrives_whole(tmp_path: Path) -> None:
    (tmp_path / "repodata").mkdir()
    app = open_app({"r": LocalShelf(tmp_path)})

    async def read() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://repod") as client:
            answers: list[httpx.Response] = []
            # On a busy machine the other thread may get no turn in 500 requests.
            while len(answers) < 500 or {answer.content for answer in answers[-500:]} != set(STATES):
                answers.append(await client.get("/repos/r/repodata/repomd.xml"))
            return answers

    with replaced_all_the_time(tmp_path / "repodata" / "repomd.xml"):
        answers = asyncio.run(read())
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.content for answer in answers} == set(STATES)
    assert all(int(answer.headers["content-length"]) == len(answer.content) for answer in answers)
