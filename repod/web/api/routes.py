"""The HTTP API, put together."""

from fastapi import APIRouter

from repod.web.api.door import Door
from repod.web.api.problems import PREFIX
from repod.web.api.reports import make_reports
from repod.web.api.repositories import make_repositories


def make_api(door: Door) -> APIRouter:
    """Every route of the API."""
    api = APIRouter(prefix=PREFIX)
    for make in (make_repositories, make_reports):
        api.include_router(make(door))
    return api
