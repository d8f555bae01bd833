"""The HTTP listener: repositories for hosts, metrics for Prometheus, health for systemd and load balancers."""

import posixpath
from collections.abc import Callable, Iterable, Mapping

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, PlainTextResponse

from repod.access import METRICS, READ
from repod.package import store_path
from repod.web.gate import Challenge, Gate
from repod.web.shelves import Shelf, missing
from repod.welcome import PAGE

_NOT_FOUND = 404
# Whoever can write to a store must not get a script to run where people show their tokens.
_NO_SCRIPTS = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def make_app(
    *,
    shelves: Callable[[], Mapping[str, Shelf]],
    gate: Gate,
    page: Callable[[], bytes],
    health: Callable[[], Mapping[str, str]],
    routers: Iterable[APIRouter] = (),
) -> FastAPI:
    """The application: ``shelves`` gives each repository's files, ``page`` the metrics, ``health`` faults.

    ``routers`` are all else that is served.
    """
    app = FastAPI(title="repod", docs_url=None, redoc_url=None, openapi_url=None)
    app.exception_handler(Challenge)(_challenge)
    _watch(app, gate, page, health)

    @app.api_route("/repos/{name}/{path:path}", methods=["GET", "HEAD"])
    async def repos(name: str, path: str, request: Request) -> Response:
        await gate.admit(request, READ, name)
        shelf = shelves().get(name)
        if shelf is None:
            raise HTTPException(404, f"there is no repository {name!r} here")
        return await (_file(shelf, path, request.method) if path else _front(shelf, name, request.method))

    for router in routers:
        app.include_router(router)
    return app


def _watch(app: FastAPI, gate: Gate, page: Callable[[], bytes], health: Callable[[], Mapping[str, str]]) -> None:
    """What watches repod asks for."""

    @app.get("/healthz")
    def healthz() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @app.get("/readyz")
    async def readyz(request: Request) -> JSONResponse:
        faults = health()
        # A load balancer needs the status alone; the rest tells of what is behind.
        more = {"faults": dict(faults)} if await gate.lets(request, METRICS) else {}
        return JSONResponse({"ready": not faults, **more}, status_code=503 if faults else 200)

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        await gate.admit(request, METRICS)
        text = await run_in_threadpool(page)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


async def _file(shelf: Shelf, path: str, method: str) -> Response:
    try:
        # Hrefs of frozen views climb to the packages; some clients send them as they are.
        proven = store_path(posixpath.normpath(path))
    except ValueError as error:
        raise missing(path) from error
    if any(part.startswith(".") for part in proven.split("/")):
        raise missing(path)
    answer = await shelf.answer(proven, method)
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        answer.headers["Content-Security-Policy"] = _NO_SCRIPTS
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


async def _front(shelf: Shelf, name: str, method: str) -> Response:
    """The front page, or what is known before there is one."""
    try:
        return await _file(shelf, PAGE, method)
    except HTTPException as error:
        if error.status_code != _NOT_FOUND:
            raise
        return PlainTextResponse(f"yum repository {name}\nconfiguration for hosts: {name}.repo\n")


def _challenge(_request: Request, challenge: Exception) -> Response:
    answer = PlainTextResponse(f"{getattr(challenge, 'detail', '')}\n", status_code=401)
    for one in getattr(challenge, "challenges", ()):
        answer.headers.append("WWW-Authenticate", one)
    return answer
