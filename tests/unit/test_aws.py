"""Clients of boto3: as few as serve all threads that live at one time, whatever number of places they work for."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from repod.aws import Clients
from repod.config import Bucket


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Sequence[Clients]:
    """Twenty places with the same settings."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "a-test")
    bucket = Bucket.model_validate({"endpoint": "http://127.0.0.1:1", "region": "us-east-1"})
    return [Clients(bucket) for _ in range(20)]


@contextmanager
def _living(threads: int, places: Sequence[Clients]) -> Iterator[list[Any]]:
    """The clients of threads that have asked, each for all places, and live while inside."""
    asked, over = threading.Barrier(threads + 1), threading.Event()

    def ask() -> list[Any]:
        found = [place.s3() for place in places]
        asked.wait(60)
        over.wait(60)
        return found

    with ThreadPoolExecutor(threads) as pool:
        waiting = [pool.submit(ask) for _ in range(threads)]
        asked.wait(60)
        over.set()
        yield [client for one in waiting for client in one.result()]


def _number(clients: Sequence[Any]) -> int:
    return len({id(client) for client in clients})


def test_a_thread_has_one_client_for_all_places_of_the_same_settings(places: Sequence[Clients]) -> None:
    assert _number([place.s3() for place in places]) == 1


def test_eight_threads_share_a_client_and_those_that_come_later_take_their_seats(places: Sequence[Clients]) -> None:
    with _living(24, places) as clients:
        assert _number(clients) == 3
    with _living(24, places) as later:
        assert {id(client) for client in later} <= {id(client) for client in clients}


def test_after_credentials_are_read_anew_every_thread_gets_a_new_client(places: Sequence[Clients]) -> None:
    before = places[0].s3()
    places[0].renew()
    assert places[0].s3() is not before
    assert places[1].s3() is places[0].s3()
