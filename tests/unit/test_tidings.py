"""Events by their ids: what happened twice is two, however soon it was; what is told twice is one."""

from collections.abc import Callable

import pytest

from repod import tidings
from repod.happenings import Event


def _pruned(time: float) -> Event:
    return tidings.pruned("test", builds=1, objects=0, size=0, time=time)


def _failing(time: float) -> Event:
    return tidings.failing("test", problem="the store is full", time=time)


def _recovered(time: float) -> Event:
    return tidings.recovered("test", problem="the store is full", time=time)


def _waiting(time: float) -> Event:
    return tidings.waiting("test", file="app.rpm", checksum="0" * 64, why="no key", time=time)


def _missed(time: float) -> Event:
    return tidings.missed("test", 2, 3, time)


@pytest.mark.parametrize("tell", [_pruned, _failing, _recovered, _waiting, _missed])
def test_the_same_again_within_a_second_is_another_event(tell: Callable[[float], Event]) -> None:
    first, again = tell(1000.1), tell(1000.6)
    assert first.id != again.id
    assert first.id == tell(1000.1).id
