"""An index that is replaced while it is served arrives whole, in one of its states."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi.testclient import TestClient

from repod.web.serve import make_app

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
    app = make_app(roots=lambda: {"r": tmp_path}, page=lambda: b"", health=dict)
    with replaced_all_the_time(tmp_path / "repodata" / "repomd.xml"), TestClient(app) as client:
        for _ in range(500):
            answer = client.get("/repos/r/repodata/repomd.xml")
            assert answer.status_code == 200
            assert answer.content in STATES
            assert int(answer.headers["content-length"]) == len(answer.content)
