"""Which hooks hear of a repository, and what makes sure that they do."""

from collections.abc import Callable, Sequence

from repod import tidings
from repod.config import Repository, Settings, rejected_place
from repod.doors import Store
from repod.hooking import Hook
from repod.intake import Outcome
from repod.outbox import Outbox, Post


def hooks_of(settings: Settings, repository: str) -> Sequence[Hook]:
    """The hooks that are told of a repository."""
    return [hook for hook in settings.hook if hook.hears(repository)]


def open_post(settings: Settings, repository: str, store: Store) -> Post:
    """What writes to the outboxes of the hooks of a repository."""
    return Post(store, [(hook.wants, Outbox(hook.name, store)) for hook in hooks_of(settings, repository)])


def refusing(repository: Repository, post: Post) -> Callable[[Outcome, float], None]:
    """What puts into the outboxes that an arrival is about to be rejected; raises where it cannot."""
    place = rejected_place(repository.inbox)

    def tell(outcome: Outcome, now: float) -> None:
        event = tidings.rejected(
            repository.name,
            file=outcome.arrival.name,
            mark=outcome.arrival.mark,
            checksum=outcome.checksum,
            package=str(outcome.nevra or ""),
            faults=outcome.faults,
            place=place,
            time=now,
        )
        post(event)

    return tell
