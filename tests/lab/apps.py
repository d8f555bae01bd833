"""The application that the daemon serves, without the daemon."""

from collections.abc import Mapping

from fastapi import FastAPI

from repod.access import METRICS, READ, Rules
from repod.callers.known import Known
from repod.listening import Http
from repod.log import open_log
from repod.web.gate import Access, Gate
from repod.web.serve import make_app
from repod.web.shelves import Shelf
from repod.web.site import Site


def open_app(shelves: Mapping[str, Shelf]) -> FastAPI:
    """It serves these to anyone."""
    access = Access(rules=Rules(open=frozenset({READ, METRICS}), scopes={}), callers=Known(Http()))
    gate = Gate(lambda: access, open_log("json", "error"))
    site = Site(hosts=frozenset({"*"}))
    return make_app(shelves=lambda: shelves, gate=gate, page=lambda: b"", health=dict, site=lambda: site)
