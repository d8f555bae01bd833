"""Questions that change nothing."""

from collections.abc import Sequence

from repod.config import Repository, Settings
from repod.errors import RepodError
from repod.history import History
from repod.inboxes import held
from repod.office import State
from repod.places import open_store
from repod.repodata import kinds
from repod.times import stamp
from repod.wiring import public_url


def states(settings: Settings) -> Sequence[State]:
    """Every repository now; raises where one cannot be read."""
    return [_state(settings, repository) for repository in settings.repository]


def states_or_faults(settings: Settings) -> Sequence[State]:
    """Every repository now; one that cannot be read says why."""
    return [_state_or_fault(settings, repository) for repository in settings.repository]


def _state_or_fault(settings: Settings, repository: Repository) -> State:
    try:
        return _state(settings, repository)
    except RepodError as error:
        return State(
            repository=repository.name,
            generation=None,
            packages=None,
            published=None,
            inbox=None,
            rejected=None,
            url=public_url(settings, repository),
            profile=repository.profile,
            fault=str(error),
        )


def _state(settings: Settings, repository: Repository) -> State:
    generation = History(open_store(settings, repository)).current()
    inbox, rejected = held(settings, repository, lambda name: bool(kinds.kind(name)))
    return State(
        repository=repository.name,
        generation=generation.number if generation else None,
        packages=generation.packages if generation else None,
        published=stamp(generation.time) if generation else None,
        inbox=inbox,
        rejected=rejected,
        url=public_url(settings, repository),
        profile=repository.profile,
        actor=generation.actor if generation else "",
        why=generation.why if generation else "",
    )
