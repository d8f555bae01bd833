"""Streams of events."""

import asyncio

from repod.bus import Bus
from repod.happenings import Event, Kind
from repod.web.api.events import Streams


def test_who_may_not_hear_any_more_hears_nothing_more_however_much_there_is_to_tell() -> None:
    bus = Bus()

    async def refused() -> bool:
        return False

    async def hear() -> list[str]:
        heard: list[str] = []
        lines = Streams(bus, heartbeat=0.05).answer(lambda _: True, None, refused).body_iterator
        async for text in lines:
            heard.append(str(text))
            number = len(heard)
            bus(Event(kind=Kind.TEST, repository="r", id=str(number), time=0.0, data={}))
            await asyncio.sleep(0.005)
        return heard

    heard = asyncio.run(asyncio.wait_for(hear(), 30))
    assert len(heard) > 2
    assert heard[-1] == ": these credentials are good no more\n\n"
