"""The HTTP listener: repositories for hosts, metrics for Prometheus, health for systemd and load balancers."""

import posixpath
from collections.abc import Callable, Iterable, Mapping

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, PlainTextResponse

from repod.access import METRICS, READ
from repod.package import store_path
from repod.web.api.problems import explain
from repod.web.entry import Entry
from repod.web.gate import Gate
from repod.web.shelves import Shelf, missing
from repod.web.site import Site


def make_app(
    *,
    shelves: Callable[[], Mapping[str, Shelf]],
    gate: Gate,
    page: Callable[[], bytes],
    health: Callable[[], Mapping[str, str]],
    site: Callable[[], Site],
    routers: Iterable[APIRouter] = (),
) -> FastAPI:
    """The application: ``shelves`` gives each repository's files, ``page`` the metrics, ``health`` faults.

    ``site`` is asked for each request, ``routers`` are all else that is served.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    explain(app)
    app.add_middleware(Entry, hosts=lambda: site().hosts)
    _watch(app, gate, page, health)

    @app.api_route("/repos/{name}/{path:path}", methods=["GET", "HEAD"], include_in_schema=False)
    async def repos(name: str, path: str, request: Request) -> Response:
        await gate.admit(request, READ, name)
        shelf = shelves().get(name)
        if shelf is None:
            raise HTTPException(404, f"there is no repository {name!r} here")
        if not path:
            return PlainTextResponse(
                f"yum repository {name}\nconfiguration for hosts: {site().urls[name]}{name}.repo\n"
            )
        return await _file(shelf, path, request.method)

    for router in routers:
        app.include_router(router)
    return app


def _watch(app: FastAPI, gate: Gate, page: Callable[[], bytes], health: Callable[[], Mapping[str, str]]) -> None:
    """What watches repod asks for."""

    @app.get("/healthz", include_in_schema=False)
    def healthz() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @app.get("/readyz", include_in_schema=False)
    async def readyz(request: Request) -> JSONResponse:
        faults = health()
        # A load balancer needs the status alone; the rest tells of what is behind.
        more = {"faults": dict(faults)} if await gate.lets(request, METRICS) else {}
        return JSONResponse({"ready": not faults, **more}, status_code=503 if faults else 200)

    @app.get("/metrics", include_in_schema=False)
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
    return await shelf.answer(proven, method)
