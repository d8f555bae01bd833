"""The office: what API and pages may ask, joined."""

from functools import partial

from repod.actions.looks import states_or_faults
from repod.config import Settings
from repod.office import Office


def open_office(settings: Settings) -> Office:
    """All that may be asked of ``settings``."""
    names = [repository.name for repository in settings.repository]
    return Office(repositories=names, states=partial(states_or_faults, settings))
