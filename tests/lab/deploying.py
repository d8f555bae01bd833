"""One host, one repository, and what ``bring`` and ``restore`` make of them."""

from collections.abc import Sequence
from typing import Any

from repod.client.bring import Note, Record, bring, restore, unrecorded
from repod.client.fleet import Action, Aim, Connection, Installed, Outcome, Wanted
from repod.client.talk import Patience, silent
from tests.lab.published import Published

PATIENCE = Patience(limit=120, lock=20, follow=5, lost=60, reboot=60)


def aim(site: Published, action: Action, *builds: Wanted, pinned: bool = True, **more: Any) -> Aim:
    """An aim at that repository; ``pinned``: with its key, which may be imported."""
    keys = {"keys": [site.key.fingerprint], "key_file": site.key.public} if pinned else {}
    return Aim(action=action, repository=site.id, builds=builds, generation=1, **(keys | more))


def brought(
    host: Connection,
    wanted: Aim,
    *,
    run: str = "r1",
    patience: Patience = PATIENCE,
    note: Note = silent,
    record: Record = unrecorded,
) -> Outcome:
    """What came of it."""
    return bring(host, wanted, run_id=run, patience=patience, note=note, record=record)


def restored(host: Connection, wanted: Aim, before: Sequence[Installed], run: str = "r1") -> Outcome:
    """What came of the way back."""
    return restore(host, wanted, before, run_id=run, patience=PATIENCE)


def nevras(installed: Sequence[Installed]) -> list[str]:
    """Their NEVRAs, sorted."""
    return sorted(str(one.nevra) for one in installed)
