"""Streams of events."""

import asyncio

import pytest
from fastapi import HTTPException

from repod.bus import Bus
from repod.happenings import Event, Kind
from repod.web.api.events import Streams


def test_who_may_not_hear_any_more_hears_nothing_more_however_much_there_is_to_tell() -> None:
    bus = Bus()

    async def refused() -> bool:
        return False

    async def hear() -> list[str]:
        heard: list[str] = []
        lines = Streams(bus, heartbeat=0.05).answer("::1", lambda _: True, None, refused).body_iterator
        async for text in lines:
            heard.append(str(text))
            number = len(heard)
            bus(Event(kind=Kind.TEST, repository="r", id=str(number), time=0.0, data={}))
            await asyncio.sleep(0.005)
        return heard

    heard = asyncio.run(asyncio.wait_for(hear(), 30))
    assert len(heard) > 2
    assert heard[-1] == ": these credentials are good no more\n\n"


def test_one_address_leaves_streams_for_others() -> None:
    async def fine() -> bool:
        return True

    async def ask() -> None:
        streams = Streams(Bus(), most=3, of_one=2)
        opened = []
        for address in ("10.0.0.1", "10.0.0.1", "10.0.0.2"):
            lines = aiter(streams.answer(address, lambda _: True, None, fine).body_iterator)
            await anext(lines)
            opened.append(lines)
            if len(opened) == 2:
                with pytest.raises(HTTPException):
                    streams.answer("10.0.0.1", lambda _: True, None, fine)
        with pytest.raises(HTTPException):
            streams.answer("10.0.0.3", lambda _: True, None, fine)
        for lines in opened:
            await lines.aclose()  # type: ignore[attr-defined]
        streams.answer("10.0.0.1", lambda _: True, None, fine)

    asyncio.run(ask())
