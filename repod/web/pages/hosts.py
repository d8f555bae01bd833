"""The page of the hosts of a repository: what each runs, as it reports."""

from collections.abc import Mapping
from typing import Any

from repod.web.pages.front import Asked

_PAGE = 50
_LONGEST = 200
_BUILDS = 8


def hosts(asked: Asked, name: str) -> Mapping[str, Any]:
    """Those that report, by name; those that run a package where one is asked for. Strangers see how many."""
    state = asked.state(name)
    package, after = asked.query("package")[:_LONGEST], asked.query("after")[:_LONGEST]
    page = asked.office.reports.hosts(name, package=package, after=after, limit=_PAGE)
    named = asked.visitor.names_hosts(name)
    if not named:
        page = page.model_copy(update={"hosts": (), "next": "", "warnings": ()})
    return {"named": named, "state": state, "page": page, "package": package, "after": after, "shown": _BUILDS}
