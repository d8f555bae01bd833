"""The office: what API and pages may ask, joined."""

from collections.abc import Callable

from repod.actions.deeds import RecordedDeeds
from repod.actions.looks import OpenLooks
from repod.actions.means import Means
from repod.actions.work import Work
from repod.config import Settings
from repod.office import Office, Record, unrecorded


def open_record(_settings: Settings) -> Record:
    """The audit log that the settings name."""
    return unrecorded


def open_office(means: Means, work: Work, done: Callable[[str], None]) -> Office:
    """All that may be asked of the settings of ``means``.

    Changes are known to ``work``; ``done`` hears the name of a repository that may have changed.
    """
    deeds = RecordedDeeds(means, open_record(means.settings), work=work, done=done)
    return Office(looks=OpenLooks(means), deeds=deeds)
