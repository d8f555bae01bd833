"""Questions that change nothing."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from repod.actions.arrivals import Arrivals
from repod.actions.back import difference
from repod.actions.changes import summary
from repod.actions.fate import Fates
from repod.actions.keys import keys
from repod.actions.means import Means, Warn
from repod.actions.papers import advisories, streams
from repod.actions.past import history
from repod.actions.prune import plan
from repod.actions.refusals import Refusals
from repod.actions.rings import rings
from repod.actions.running import hosts
from repod.actions.story import Story, builds_of, open_heads, open_place
from repod.builds import Running
from repod.config import Repository, Settings
from repod.errors import RepodError
from repod.generation import Generation
from repod.history import History
from repod.inboxes import held
from repod.office import Arrival, Refusal, State
from repod.places import open_store
from repod.repodata import kinds
from repod.statement import read_end
from repod.times import stamp
from repod.wiring import public_url


class Currents:
    """The current generation of each repository, without what came and went: read anew when the pointer moved.

    The record of one that listed ten thousand builds takes long to read.
    """

    def __init__(self, settings: Settings) -> None:
        """Nothing is read yet."""
        self._settings = settings
        self._known: dict[str, Generation] = {}
        self._sources: dict[str, Sequence[str]] = {}

    def of(self, repository: Repository) -> Generation | None:
        """None where nothing was ever published."""
        history = History(open_store(self._settings, repository))
        number = history.pointed()
        known = self._known.get(repository.name)
        if number is None or (known and known.number == number):
            return known if number else None
        record = history.record(number)
        came = {one.of.rpartition("@")[0] for one in record.origins if one.how == "promotion"}
        self._sources[repository.name] = sorted(came - {""})
        known = replace(record, added=(), removed=(), origins=())
        self._known[repository.name] = known
        return known

    def sources(self, repository: Repository) -> Sequence[str]:
        """From which repositories builds came with it, when it was asked for last."""
        return self._sources.get(repository.name, ())


def states(settings: Settings) -> Sequence[State]:
    """Every repository now; raises where one cannot be read."""
    currents = Currents(settings)
    return [_state(settings, repository, currents) for repository in settings.repository]


def states_or_faults(settings: Settings, currents: Currents) -> Sequence[State]:
    """Every repository now; one that cannot be read says why."""
    return [_state_or_fault(settings, repository, currents) for repository in settings.repository]


def _state_or_fault(settings: Settings, repository: Repository, currents: Currents) -> State:
    try:
        return _state(settings, repository, currents)
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


def _state(settings: Settings, repository: Repository, currents: Currents) -> State:
    generation = currents.of(repository)
    end = read_end(open_store(settings, repository)) if generation else None
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
        sources=currents.sources(repository) if generation else (),
        fresh_until=None if end is None else stamp(end),
    )


def builds(means: Means, name: str, word: str, warn: Warn, *, fate: bool = True) -> list[dict[str, Any]]:
    """All that is known of the builds of a NEVRA; see ``Looks.builds``. ``warn`` hears what cannot be looked at."""
    settings = means.settings
    look = functools.cache(functools.partial(open_place, settings))
    place = look(name)
    found = builds_of(place, word)
    with means.scratch() as folder, means.reader() as rpms:
        ask, fates = open_heads(rpms, folder), Fates(settings, place, folder, warn, means.book(name))
        return [
            Story(settings, place, one, look=look, ask=ask, warn=warn).row()
            | {"retention": fates.of(one) if fate else None}
            for one in found
        ]


class OpenLooks:
    """``Looks`` over what is open already."""

    def __init__(self, means: Means) -> None:
        """``means`` with its processes."""
        self._means = means
        self._currents = Currents(means.settings)
        self._refusals = {one.name: Refusals(means.settings, one) for one in means.settings.repository}
        self._arrivals = {
            one.name: Arrivals(open_store(means.settings, one), self._refusals[one.name])
            for one in means.settings.repository
        }

    def states(self) -> Sequence[State]:
        """See ``Looks.states``."""
        return states_or_faults(self._means.settings, self._currents)

    def history(
        self, repository: str, *, package: str = "", before: int = 0, limit: int = 20
    ) -> Sequence[dict[str, Any]]:
        """See ``Looks.history``."""
        return history(self._means.settings, repository, package=package, before=before, limit=limit)

    def diff(self, repository: str, number: int | None, other: str, other_number: int | None) -> Mapping[str, Any]:
        """See ``Looks.diff``."""
        return summary(difference(self._means.settings, (repository, number), (other, other_number)))

    def builds(self, repository: str, nevra: str, *, fate: bool = True) -> Sequence[Mapping[str, Any]]:
        """See ``Looks.builds``."""
        return builds(self._means, repository, nevra, self._warn(repository), fate=fate)

    def keys(self) -> Sequence[Mapping[str, Any]]:
        """See ``Looks.keys``."""
        return keys(self._means)

    def plan(self, repository: str) -> Sequence[Mapping[str, Any]]:
        """See ``Looks.plan``."""
        return plan(self._means, repository)

    def modules(self, repository: str) -> Mapping[str, Sequence[str]]:
        """See ``Looks.modules``."""
        return streams(self._means.settings, repository)

    def advisories(self, repository: str) -> Sequence[Mapping[str, Any]]:
        """See ``Looks.advisories``."""
        return advisories(self._means.settings, repository)

    def rings(self, repository: str) -> Mapping[str, Any]:
        """See ``Looks.rings``."""
        return rings(self._means.settings, repository)

    def rejected(self, repository: str, *, limit: int = 50, before: str = "") -> Sequence[Refusal]:
        """See ``Looks.rejected``."""
        return self._refusals[self._named(repository)].newest(limit=limit, before=before)

    def arrival(self, repository: str, checksum: str) -> Arrival:
        """See ``Looks.arrival``."""
        return self._arrivals[self._named(repository)].of(checksum)

    def hosts(self, repository: str, nevra: str) -> Running:
        """See ``Looks.hosts``."""
        return hosts(self._means.settings.named(repository), self._means.book(repository), nevra)

    def _named(self, repository: str) -> str:
        """The name, where there is such a repository."""
        return self._means.settings.named(repository).name

    def _warn(self, repository: str) -> Warn:
        return lambda text: self._means.log.warning("looked at in part", repository=repository, problem=text)
