"""The HTTP API, put together."""

from fastapi import APIRouter

from repod.web.api.about import make_about
from repod.web.api.advisories import make_advisories
from repod.web.api.audit import make_audit
from repod.web.api.changes import make_changes, make_marks
from repod.web.api.document import serve_document
from repod.web.api.door import Door
from repod.web.api.generations import make_generations
from repod.web.api.packages import make_packages
from repod.web.api.problems import PREFIX, Readable
from repod.web.api.reports import make_reports
from repod.web.api.repositories import make_repositories
from repod.web.api.rings import make_rings


def make_api(door: Door, live: APIRouter) -> APIRouter:
    """Every route of the API; ``live`` are those that live with the daemon."""
    api = APIRouter(prefix=PREFIX, default_response_class=Readable)
    for make in (
        make_repositories,
        make_packages,
        make_generations,
        make_changes,
        make_marks,
        make_advisories,
        make_about,
        make_audit,
        make_reports,
        make_rings,
    ):
        api.include_router(make(door))
    api.include_router(live)
    serve_document(api)
    return api
