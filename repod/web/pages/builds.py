"""The pages of builds: of one, and of all that have a name."""

from collections.abc import Mapping, Sequence
from typing import Any

from repod.errors import NotFound, RepodError
from repod.office import Details, Row
from repod.package import Nevra
from repod.web import veil
from repod.web.pages.front import Asked

_SHOWN = 500
_FEW = 1000
_KINDS = (
    ("Requires", "requires"),
    ("Provides", "provides"),
    ("Recommends", "recommends"),
    ("Suggests", "suggests"),
    ("Supplements", "supplements"),
    ("Enhances", "enhances"),
    ("Conflicts", "conflicts"),
    ("Obsoletes", "obsoletes"),
)


def build(asked: Asked, name: str, word: str) -> Mapping[str, Any]:
    """All that is known of one build: what it says of itself, and what became of it."""
    state = asked.state(name)
    try:
        nevra = Nevra.parse(word)
    except ValueError as error:
        raise NotFound(str(error)) from error
    details = _details(asked, name, nevra)
    # What retention says takes a look at everything that is listed.
    fate = (state.packages or 0) <= _FEW or asked.query("retention") == "ask"
    known, problem = _known(asked, name, str(nevra), fate=fate)
    running = asked.office.looks.hosts(name, str(nevra))
    if details is None and known is None and not problem:
        msg = f"nothing is known of {nevra} in {name}"
        raise NotFound(msg)
    return {
        "state": state,
        "package": str(nevra),
        "nevra": nevra,
        "details": details,
        "relations": [(title, getattr(details, kind)) for title, kind in _KINDS if details and getattr(details, kind)],
        "files": max(details.file_count, len(details.files)) if details else 0,
        "limit": _SHOWN,
        "build": known,
        "problem": problem,
        "fate": fate,
        "running": running if asked.visitor.names_hosts(name) else veil.running(running),
    }


def _details(asked: Asked, name: str, nevra: Nevra) -> Details | None:
    """What its header says; None where it is not listed, or that cannot be told now."""
    try:
        return asked.office.catalogs[name].details(nevra)
    except RepodError:
        return None


def _known(asked: Asked, name: str, package: str, *, fate: bool) -> tuple[Mapping[str, Any] | None, str]:
    """What became of it, without what this visitor may not see; or why that cannot be told now."""
    try:
        found = asked.office.looks.builds(name, package, fate=fate)[0]
    except NotFound:
        return None, ""
    except RepodError as error:
        return None, str(error)
    return veil.veiled(found, asked.visitor.sees, hosts=asked.visitor.names_hosts(name)), ""


def named(asked: Asked, name: str, package: str) -> Mapping[str, Any]:
    """The builds of one name, here and in the other repositories."""
    state = asked.state(name)
    others = [other.repository for other in asked.states() if other.repository != name]
    places = [_place(asked, name, package), *(_place(asked, other, package) for other in others)]
    history = asked.history(name, package=package, limit=20)
    if not history and not any(rows or problem for _, rows, problem in places):
        msg = f"nothing is known of {package} here"
        raise NotFound(msg)
    rows = [row for _, found, _ in places for row in found]
    return {
        "state": state,
        "name": package,
        "summary": rows[0].summary if rows else "",
        "places": [place for number, place in enumerate(places) if number == 0 or place[1] or place[2]],
        "history": history,
        "shown": 6,
    }


def _place(asked: Asked, name: str, package: str) -> tuple[str, Sequence[Row], str]:
    try:
        return name, asked.office.catalogs[name].builds_of(package), ""
    except RepodError as error:
        return name, (), str(error)
