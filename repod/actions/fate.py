"""What retention says of single builds, for a person who asks about one."""

import time
from pathlib import Path
from typing import Any

from repod.actions.means import Warn
from repod.actions.story import Place
from repod.config import Settings
from repod.errors import RepodError
from repod.hostbook import HostBook
from repod.past import Build
from repod.repodata.listing import StoredListings
from repod.retaining import open_planner, open_retirement
from repod.wiring import pause

_Fate = dict[str, Any]


class Fates:
    """The verdicts on builds of one repository."""

    def __init__(self, settings: Settings, place: Place, folder: Path, warn: Warn, book: HostBook) -> None:
        """``folder`` is a private one; ``warn`` hears why nothing is said; ``book`` is that of the repository."""
        self._settings = settings
        self._place = place
        self._folder = folder
        self._warn = warn
        self._book = book

    def of(self, build: Build) -> _Fate | None:
        """Whether a build stays, and why; None where that is not known, with a word about it."""
        try:
            return self._listed(build) if build.listed else self._unlisted(build)
        except RepodError as error:
            self._warn(f"what retention says is not shown: {error}")
            return None

    def _listed(self, build: Build) -> _Fate | None:
        place = self._place
        if place.generation is None:
            return None
        retirement = open_retirement(
            self._settings, place.repository, place.store, self._folder, pause, book=self._book
        )
        listed = list(StoredListings(place.store).listed(place.generation))
        decided = retirement.decide(place.generation, listed, lambda: place.past.kept, time.time(), whole=True)
        verdicts = (one for one in decided.decision.verdicts if one.build.package.pkgid == build.pkgid)
        return next(({"kept": one.kept, "why": list(one.why)} for one in verdicts), None)

    def _unlisted(self, build: Build) -> _Fate | None:
        """Of a build that is in the metadata no more: whether its file goes with the next prune."""
        if build.package is None:
            return None
        place = self._place
        planner = open_planner(self._settings, place.repository, place.store, self._folder, pause, book=self._book)
        removals = (one for one in planner.plan(time.time()).removals if one.path == build.package.href)
        going = next(({"kept": False, "why": [one.why]} for one in removals), None)
        if going or not build.ranges:
            return going
        return {"kept": True, "why": [f"generation {build.ranges[0][1]}, which is kept, lists it"]}
