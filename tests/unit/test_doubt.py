"""How often a write is tried again: races for long, an outage only a few times."""

import pytest

from repod.doubt import Doubts
from repod.errors import Conflict, OutcomeUnknown


def _tries(*errors: Exception) -> int:
    """How many of these a writer meets before it gives up."""
    doubts, tries = Doubts(), 0
    for error in errors:
        tries += 1
        try:
            with doubts:
                raise error
        except OutcomeUnknown:
            return tries
    return tries


def test_an_outcome_that_is_unknown_five_times_in_a_row_is_the_answer() -> None:
    assert _tries(*[OutcomeUnknown("500")] * 20) == 5


def test_who_loses_races_goes_on() -> None:
    assert _tries(*[Conflict("412")] * 20) == 20
    assert _tries(*[Conflict("412"), OutcomeUnknown("500"), OutcomeUnknown("500")] * 20) == 60


def test_a_write_that_was_done_ends_the_count() -> None:
    doubts = Doubts()
    for _ in range(20):
        doubts.met(OutcomeUnknown("500"))
        doubts.over()


def test_another_error_is_not_its_business() -> None:
    other = ValueError("other")
    with pytest.raises(ValueError, match="other"), Doubts():
        raise other


def test_each_outage_is_given_up_after_five_however_many_there_were_before() -> None:
    doubts = Doubts()
    for _ in range(3):
        for _ in range(4):
            doubts.met(OutcomeUnknown("500"))
        with pytest.raises(OutcomeUnknown):
            doubts.met(OutcomeUnknown("500"))
