"""The threads of the listener: how much is taken on at once, and when that is over."""

import asyncio
import threading

import pytest

from repod.errors import Unavailable
from repod.web.desk import Desk


def test_as_much_is_taken_on_as_threads_do_and_may_wait_and_no_more() -> None:
    desk, go = Desk(threads=2, waiting=1), threading.Event()

    async def main() -> tuple[list[object], object]:
        # None of the threads has begun when the third comes.
        first = asyncio.gather(*(desk.run(go.wait) for _ in range(4)), return_exceptions=True)
        await asyncio.sleep(0)
        go.set()
        return await first, await desk.run(lambda: "again")

    (*done, refused), again = asyncio.run(main())
    desk.close()
    assert (done, again) == ([True, True, True], "again")
    with pytest.raises(Unavailable, match="1 requests wait already"):
        raise refused


def test_who_goes_away_while_it_waits_makes_room() -> None:
    desk, go = Desk(threads=1, waiting=1), threading.Event()

    async def main() -> object:
        busy = asyncio.create_task(desk.run(go.wait))
        await asyncio.sleep(0)
        gone = asyncio.create_task(desk.run(lambda: "nobody asks"))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait([gone])
        last = asyncio.create_task(desk.run(lambda: "the next"))
        await asyncio.sleep(0)
        go.set()
        return await busy and await last

    assert asyncio.run(main()) == "the next"
    desk.close()
