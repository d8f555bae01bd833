"""What each page shows, asked of the office."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, cast

from repod.access import READ
from repod.errors import RepodError
from repod.office import Page, Search, State
from repod.web import veil
from repod.web.api.problems import INVALID, Declined
from repod.web.gate import Challenge
from repod.web.pages.front import Asked
from repod.web.pages.telling import changes
from repod.web.pages.words import verdict
from repod.welcome import ways

_NOTHING_OPEN = "nothing here is for everybody"
_RECENT = 6
_REFUSALS = 50
_TOOLS = {"el7": "yum", "amzn2": "yum", "sles15": "zypper"}
_ORDERS = ("newest", "name")
_LONGEST = 200


Recents = dict[str, tuple[int | None, Sequence[Mapping[str, Any]]]]
"""The newest generations of each repository, and which was current when they were read."""


def overview(asked: Asked, known: Recents) -> Mapping[str, Any]:
    """Every repository, and what happened last; ``known`` is what was read for others before."""
    states = sorted(asked.states(), key=lambda state: not state.fault)
    if not states and asked.hides:
        raise Challenge(_NOTHING_OPEN)
    return {
        "states": states,
        "verdict": verdict(states, asked.now),
        "recent": _recent(asked, [state for state in states if state.generation], known),
    }


def _recent(asked: Asked, states: Sequence[State], known: Recents) -> Sequence[Mapping[str, Any]]:
    """The newest generations of all repositories, read anew where there is a new one."""
    for state in states:
        number, _ = known.get(state.repository, (None, ()))
        if number != state.generation:
            with suppress(RepodError):  # its row says what is wrong with it
                history = asked.office.looks.history(state.repository, limit=_RECENT)
                known[state.repository] = state.generation, [_brief(state.repository, row) for row in history]
    rows = [
        row if all(map(asked.visitor.sees, row["sources"])) else {**row, "why": ""}
        for state in states
        for row in known.get(state.repository, (None, ()))[1]
    ]
    return sorted(rows, key=lambda row: str(row["time"]), reverse=True)[:_RECENT]


def _brief(repository: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
    kept = {key: row[key] for key in ("generation", "time", "actor", "why")}
    return {"repository": repository, "changes": changes(row), "sources": veil.sources([row]), **kept}


def repository(asked: Asked, name: str) -> Mapping[str, Any]:
    """One repository: how hosts get it, what it lists, what is on its way."""
    state = asked.state(name)
    search = _search(asked)
    page, problem = _page(asked, name, search)
    return {
        "state": state,
        "ways": _ways(state, page.rows[0].name if page and page.rows else ""),
        "restricted": not asked.visitor.rules.asks_nobody(READ, name),
        "search": search,
        "arches": _arches(asked, name, search),
        "page": page,
        "problem": problem,
        "waiting": asked.waiting(name) or (),
    }


def _ways(state: State, package: str) -> Sequence[tuple[str, str]]:
    """What to type on a host, that for the repository's own hosts first."""
    first = _TOOLS.get(state.profile, "dnf")
    found = ways(state.url, f"{state.repository}.repo", package)
    return sorted(found, key=lambda way: way[0] != first)


def _search(asked: Asked) -> Search:
    order = asked.query("order") or "newest"
    after, text, arch = (asked.query(key) for key in ("after", "q", "arch"))
    if order not in _ORDERS or max(map(len, (after, text, arch))) > _LONGEST:
        msg = f"expected order newest or name, and texts of at most {_LONGEST} characters"
        raise Declined(INVALID, msg)
    return Search(text=text, arch=arch, order=cast('Literal["newest", "name"]', order), after=after)


def _page(asked: Asked, name: str, search: Search) -> tuple[Page | None, str]:
    """The packages, or why they cannot be shown now: the rest of the page can."""
    try:
        return asked.office.catalogs[name].search(search), ""
    except RepodError as error:
        return None, str(error)


def _arches(asked: Asked, name: str, search: Search) -> Sequence[str]:
    """What the architecture may be chosen from."""
    try:
        known = set(asked.office.catalogs[name].arches())
    except RepodError:
        known = set()
    return sorted(known | ({search.arch} if search.arch else set()))


def rejected(asked: Asked, name: str) -> Mapping[str, Any]:
    """What was not let in, the newest first."""
    before = asked.query("before")
    rows = asked.office.looks.rejected(name, limit=_REFUSALS + 1, before=before)
    return {
        "state": asked.state(name),
        "rows": rows[:_REFUSALS],
        "before": before,
        "older": rows[_REFUSALS - 1].id if len(rows) > _REFUSALS else "",
    }
