"""Refused tries of changes in the audit log."""

from collections import Counter
from collections.abc import Sequence

from repod.accounting import Accounting
from repod.log import open_log
from repod.office import By, Noted, Unrecorded


class _Kept(Unrecorded):
    """Keeps what is to be written."""

    def __init__(self) -> None:
        self.noted: list[Noted] = []

    def append(self, noted: Sequence[Noted]) -> None:
        self.noted += noted


def test_a_flood_of_refused_tries_from_one_address_leaves_room_for_those_of_others() -> None:
    now, kept = [1000.0], _Kept()
    accounting = Accounting(kept, open_log("json", "error"), failed=lambda: None, clock=lambda: now[0])
    for number in range(500):
        accounting.attempt(By(actor="unknown", address="10.0.0.1"), "remove", f"r{number}", "not known")
    accounting.attempt(By(actor="token ci", address="10.0.0.2"), "remove", "prod", "token ci may not remove prod")
    now[0] += 61
    accounting.attempt(By(actor="token ci", address="10.0.0.2"), "remove", "prod", "token ci may not remove prod")
    accounting.flush()
    assert Counter(one.by.address for one in kept.noted) == {"10.0.0.1": 30, "10.0.0.2": 2, "": 1}
    assert [one.details for one in kept.noted if one.what == "attempts"] == [{"more": 470}]
