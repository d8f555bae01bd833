"""Questions to the daemon and changes of it: lists of many pages, jobs that are waited for, values of answers."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar
from urllib.parse import quote

from repod.client.wire import Wire
from repod.errors import Misconfigured, NotFound, OutcomeUnknown, Unavailable
from repod.office import Deed, Far

LONGEST = 6 * 3600.0
"""Seconds that a change is waited for."""

_FIRST_WAIT, _WAIT = 20, 30
_LOOK = 1  # where how far it is is shown
_ACCEPTED = 202

_Value = TypeVar("_Value")


class Asking:
    """One daemon, asked through ``wire``."""

    def __init__(self, wire: Wire) -> None:
        """``wire`` stays open."""
        self._wire = wire

    def change(
        self,
        method: str,
        repository: str,
        path: str,
        body: Any,
        *,
        params: Mapping[str, Any] | None = None,
        tell: Far | None = None,
    ) -> Deed:
        """What came of a change, whenever it ends; what it met is raised, unless it came to something all the same."""
        wait = _LOOK if tell else _FIRST_WAIT
        answer = self._wire.ask(
            method, at(repository) + path, params={**(params or {}), "wait": wait}, body=body, seconds=wait
        )
        found = answer.body
        if answer.status == _ACCEPTED:
            found = self._ended(repository, found, tell)
        if "deed" not in found:
            return self.made(Deed, found)
        deed = self.made(Deed, found["deed"])
        # Whatever the deed says of itself, a problem is no success.
        return deed if deed.code else replace(deed, code=self._wire.problem(found).exit_code)

    def _ended(self, repository: str, job: Mapping[str, Any], tell: Far | None) -> Mapping[str, Any]:
        """The deed or the problem of a job, when it has ended."""
        end = time.monotonic() + LONGEST
        wait = _LOOK if tell else _WAIT
        try:
            while job["state"] == "running":
                if tell and (progress := job.get("progress")):
                    tell(progress["what"], progress["done"], progress["total"])
                if time.monotonic() > end:
                    msg = f"{repository}: {job['what']} still runs after {LONGEST / 3600:g} hours; it goes on by itself"
                    raise Unavailable(msg)
                job = self._wire.ask("GET", f"/jobs/{job['id']}", params={"wait": wait}, seconds=wait).body
        except NotFound as error:
            msg = f"{repository}: the daemon began anew meanwhile; what came of it: repoctl history {repository}"
            raise OutcomeUnknown(msg) from error
        problem: Mapping[str, Any] | None = job.get("problem")
        if problem is None:
            result: Mapping[str, Any] = job["result"]
            return result
        if "deed" in problem and problem["deed"] is not None:
            return problem
        raise self._wire.problem(problem)

    def pages(self, path: str, params: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Every page of a long answer."""
        after = ""
        while True:
            page = self.one(path, {**params, "after": after or None})
            yield page
            after = page["next"]
            if not after:
                return

    def one(self, path: str, params: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """One thing that is asked for."""
        return self.answered("GET", path, params=params)

    def answered(self, method: str, path: str, **how: Any) -> Mapping[str, Any]:
        """What is answered; ``how`` as in ``Wire.ask``."""
        found: Mapping[str, Any] = self._wire.ask(method, path, **how).body
        return found

    def many(self, path: str, params: Mapping[str, Any] | None = None) -> Sequence[Mapping[str, Any]]:
        """A list that is asked for."""
        found: Sequence[Mapping[str, Any]] = self._wire.ask("GET", path, params=params).body
        return found

    def made(self, kind: type[_Value], found: Mapping[str, Any]) -> _Value:
        """A value of an answer; what a newer daemon tells beyond it is left out."""
        known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
        try:
            return kind(**{key: value for key, value in found.items() if key in known})
        except TypeError as error:
            url = self._wire.server.url
            msg = f"{url} answers as no repod of this version does ({error}); is it older than this repoctl?"
            raise Misconfigured(msg) from error


def at(repository: str) -> str:
    """The path of a repository below the API."""
    return f"/repositories/{word(repository)}"


def word(text: str) -> str:
    """A text as one part of a path: encoded here, exactly once."""
    # A part of dots alone would mean another place.
    return "%2E" * len(text) if text in {".", ".."} else quote(text, safe="")
