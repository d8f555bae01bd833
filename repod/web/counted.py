"""Counts requests, by the templates of their routes: never by paths, of which there is no end."""

import time
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Protocol

from fastapi import FastAPI, routing
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from repod.metrics import UNROUTED

_FOUND = "repod.found"


class Counts(Protocol):
    """What is told of requests."""

    def route(self, path: str, methods: Iterable[str]) -> None:
        """There is a route with this template."""

    def answered(self, path: str, method: str, status: int, seconds: float) -> None:
        """An answer began, after so many seconds."""


class Marked:
    """ASGI middleware, the innermost: notes which endpoint answers, where ``Counted`` finds it.

    What stands between the two hands on copies of the scope.
    """

    def __init__(self, app: ASGIApp) -> None:
        """``app``: the routes."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI 3."""

        def note() -> None:
            if _FOUND in scope:
                scope[_FOUND]["endpoint"] = scope.get("endpoint")

        async def noted(message: Message) -> None:
            note()
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            note()


class Counted:
    """ASGI middleware: tells of each answer as it begins, so that it does not matter how long a stream goes on."""

    def __init__(self, app: ASGIApp, counts: Counts, templates: Mapping[Any, str]) -> None:
        """``app``: what answers; ``templates``: of its routes, by their endpoints."""
        self._app = app
        self._counts = counts
        self._templates = templates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI 3."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        scope[_FOUND] = {}
        told = False

        async def noted(message: Message) -> None:
            nonlocal told
            if message["type"] == "http.response.start" and not told:
                told = True
                self._tell(scope, message["status"], began)
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception:
            if not told:
                self._tell(scope, 500, began)
            raise

    def _tell(self, scope: MutableMapping[str, Any], status: int, began: float) -> None:
        path = self._templates.get(scope[_FOUND].get("endpoint"), UNROUTED)
        self._counts.answered(path, scope["method"], status, time.perf_counter() - began)


def count(app: FastAPI, counts: Counts) -> None:
    """Have every request that ``app`` answers counted; all its routes are there already."""
    # A router that another one includes keeps its own prefix only, where FastAPI does not copy its routes.
    routes: Iterable[Any] = getattr(routing, "iter_route_contexts", iter)(app.routes)
    templates: dict[Any, str] = {}
    for route in routes:
        templates[route.endpoint] = route.path
        counts.route(route.path, sorted(route.methods or ()))
    app.add_middleware(Counted, counts=counts, templates=templates)
