"""Clients that hold on to the daemon, by the hundred: it still answers, and lets go of nothing but them."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from repod.web.api.events import OF_ONE, STREAMS
from tests.lab.daemon import Repod
from tests.lab.rpms import quick
from tests.lab.uploads import TOKENS, Curl, Wire, token
from tests.lab.wait import until

IDLE, SLOWLORIS, SLOW_UPLOADS = 500, 200, 20
LETS_GO = 40.0  # four times what a head may take


@pytest.fixture(scope="module")
def repod(tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]) -> Iterator[Repod]:
    with Repod(tmp_path_factory.mktemp("abuse"), key_file, settings=TOKENS) as found:
        long_lived.add(found.pid)
        # The first package starts the workers, which have descriptors of their own.
        quick(found.inbox(), "first")
        until(lambda: found.find_events("published"), 30, "the first package to be live")
        yield found


def _descriptors(repod: Repod) -> int:
    return len(list(Path(f"/proc/{repod.pid}/fd").iterdir()))


def _is_over(wire: Wire) -> bool:
    """Whether the other end has closed it."""
    wire.socket.settimeout(0)
    try:
        return wire.socket.recv(65536) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


@contextlib.contextmanager
def _dripping(wires: list[Wire], drop: bytes) -> Iterator[None]:
    """Another byte on each of them, again and again, while inside."""
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.5):
            for wire in wires:
                with contextlib.suppress(OSError):
                    wire.send(drop)

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _assert_answers(repod: Repod) -> None:
    for path in ("/metrics", "/healthz", "/readyz", "/repos/test/repodata/repomd.xml"):
        assert repod.get(path)[0] == 200, path


def test_hundreds_that_hold_on_do_not_keep_the_others_out_and_are_gone_afterwards(repod: Repod, tmp_path: Path) -> None:
    secret = token(repod)
    before = _descriptors(repod)
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(Wire(repod)) for _ in range(IDLE)]
        loris = [stack.enter_context(Wire(repod)) for _ in range(SLOWLORIS)]
        uploads = [stack.enter_context(Wire(repod)) for _ in range(SLOW_UPLOADS)]
        for wire in loris:
            wire.send("GET /metrics HTTP/1.1\r\nX-")
        for number, wire in enumerate(uploads):
            path = f"/api/v1/repositories/test/inbox/slow{number}.rpm"
            wire.head(f"PUT {path}", f"Authorization: Bearer {secret}", "Content-Length: 100000")
        with _dripping(loris, b"a"), _dripping(uploads, b"x"):
            until(lambda: _descriptors(repod) >= before + IDLE, 60, "the connections to be there")
            _assert_answers(repod)
            file = quick(tmp_path, "beside")
            assert Curl(repod, secret).put(file, "-H", "Prefer: wait=60").status == 200
            until(lambda: all(map(_is_over, [*idle, *loris])), LETS_GO, "those that only hold on to be let go")
            _assert_answers(repod)
            assert not any(map(_is_over, uploads)), "an upload is slow, and it moves"
    until(lambda: _descriptors(repod) <= before + 2, 60, "the descriptors to be closed")
    until(lambda: list(repod.inbox().iterdir()) == [], 20, "the inbox to be empty")
    assert repod.noise() == []


def test_uploads_of_one_caller_leave_room_for_another(repod: Repod, tmp_path: Path) -> None:
    greedy, other = token(repod, name="greedy"), token(repod, name="other")
    file = quick(tmp_path, "room")
    with contextlib.ExitStack() as stack:
        for number in range(32):
            wire = stack.enter_context(Wire(repod))
            path = f"/api/v1/repositories/test/inbox/greedy{number}.rpm"
            wire.head(
                f"PUT {path}", f"Authorization: Bearer {greedy}", "Content-Length: 100000", "Expect: 100-continue"
            )
            assert b"100 Continue" in wire.read_until(lambda found: b"\r\n\r\n" in found)
        refused = Curl(repod, greedy).put(file)
        assert refused.status == 503
        assert "32 uploads are under way" in refused.body["detail"]
        assert Curl(repod, other).put(file, "-H", "Prefer: wait=60").status == 200
    until(lambda: Curl(repod, greedy).put(file).status == 202, 60, "room for the first again")


def test_streams_of_events_beyond_the_bounds_are_told_to_come_back(repod: Repod) -> None:
    before = _descriptors(repod)
    with contextlib.ExitStack() as stack:

        def opened(source: str) -> bytes:
            wire = stack.enter_context(Wire(repod, source=source))
            wire.head("GET /api/v1/events")
            return wire.read_until(lambda found: b"\r\n\r\n" in found)[9:12]

        # One address takes its share only, and all of them together no more than there is.
        shares = [[opened(f"127.0.1.{n}") for _ in range(OF_ONE + 1)] for n in range(STREAMS // OF_ONE)]
        assert shares == [[b"200"] * OF_ONE + [b"503"]] * (STREAMS // OF_ONE)
        assert opened("127.0.1.100") == b"503"
        _assert_answers(repod)
    until(lambda: _descriptors(repod) <= before + 2, 60, "the streams to be closed")
    until(lambda: Curl(repod, "").run("-m", "3", f"{repod.url}/api/v1/events").status == 200, 60, "room for a stream")
