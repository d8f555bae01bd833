"""The office: what API and pages may ask, joined."""

from collections.abc import Callable

from repod.actions.deeds import RecordedDeeds
from repod.actions.looks import OpenLooks
from repod.actions.means import Means
from repod.actions.work import Work
from repod.office import Office
from repod.recording import open_record

__all__ = ["open_office", "open_record"]


def open_office(means: Means, work: Work, done: Callable[[str], None]) -> Office:
    """All that may be asked of the settings of ``means``.

    Changes are known to ``work``; ``done`` hears the name of a repository that may have changed.
    """
    record = open_record(means.settings, means.log)
    deeds = RecordedDeeds(means, record, work=work, done=done)
    return Office(looks=OpenLooks(means), deeds=deeds, record=record)
