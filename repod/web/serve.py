"""The HTTP listener: repositories for hosts, metrics for Prometheus, health for systemd and load balancers."""

import posixpath
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse

from repod.access import METRICS, READ
from repod.errors import Unavailable
from repod.package import store_path
from repod.web.api.problems import explain
from repod.web.counted import Counts, Marked, count
from repod.web.desk import Desk
from repod.web.entry import Entry
from repod.web.gate import Gate
from repod.web.pages.problem import tell
from repod.web.shelves import Asked, Shelf, missing
from repod.web.site import Site
from repod.welcome import PAGE

Page = Callable[[str], tuple[bytes, str]]
"""The metrics and their media type, for the value of an Accept header."""

_NOT_FOUND = 404
# Whoever can write to a store must not get a script to run where people show their tokens.
_NO_SCRIPTS = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def make_app(
    *,
    shelves: Callable[[], Mapping[str, Shelf]],
    gate: Gate,
    page: Page,
    health: Callable[[], Mapping[str, str]],
    site: Callable[[], Site],
    routers: Sequence[APIRouter] = (),
    counts: Counts | None = None,
) -> FastAPI:
    """The application: ``shelves`` gives each repository's files, ``page`` the metrics, ``health`` faults.

    ``site`` is asked for each request; ``routers`` are all else that is served; ``counts`` is told of each request.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    explain(app, tell)
    app.add_middleware(Marked)  # first, so that it is within all else
    app.add_middleware(Entry, hosts=lambda: site().hosts, tell=tell)
    _watch(app, gate, page, health)

    async def repos(request: Request) -> Response:
        name, path = request.path_params["name"], request.path_params["path"]
        caller = await gate.admit(request, READ, name)
        shelf = shelves().get(name)
        if shelf is None:
            raise HTTPException(404, f"there is no repository {name!r} here")
        asked = _asked(request, site())
        work = _file(shelf, path, asked) if path else _front(shelf, name, site().urls.get(name, ""), asked)
        return _kept_private(await work) if caller else await work

    # Without FastAPI's look at parameters: hosts ask for files far more often than anybody for all else.
    app.add_route("/repos/{name}/{path:path}", repos, methods=["GET", "HEAD"], include_in_schema=False)
    app.add_route("/repos/{name}", _closed, methods=["GET", "HEAD"], include_in_schema=False)
    for router in routers:
        app.include_router(router)
    if counts:
        count(app, counts)  # last, so that it is around all else
    return app


async def _closed(request: Request) -> Response:
    """A repository's URL without the slash at its end, as people type it: there, whether there is one or not."""
    # Relative, so that it holds behind a proxy that has it under another path.
    name = quote(request.path_params["name"], safe="")
    return RedirectResponse(f"{name}/", status_code=301, headers={"Cache-Control": "no-cache"})


def _kept_private(answer: Response) -> Response:
    """What a caller may read is not handed on by a cache that others share."""
    answer.headers["Cache-Control"] = answer.headers.get("Cache-Control", "").replace("public", "private") or "private"
    answer.headers.add_vary_header("Authorization")
    return answer


def _watch(app: FastAPI, gate: Gate, page: Page, health: Callable[[], Mapping[str, str]]) -> None:
    """What watches repod asks for."""
    # A thread of its own: whatever else hangs, this is answered.
    desk = Desk(threads=1, waiting=64)

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> PlainTextResponse:
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
        try:
            text, media_type = await desk.run(partial(page, request.headers.get("accept", "")))
        except Unavailable as error:
            raise HTTPException(503, str(error), headers={"Retry-After": "1"}) from error
        return Response(text, headers={"Content-Type": media_type})


def _asked(request: Request, site: Site) -> Asked:
    # The header is Rack's, which names what the proxy understands; only a proxy of the settings may send it, as a
    # cache before repod would keep the empty answer for everybody.
    wanted = request.headers.get("x-sendfile-type", "").lower() == "x-accel-redirect"
    return Asked(
        method=request.method,
        match=request.headers.get("if-none-match", ""),
        since=request.headers.get("if-modified-since", ""),
        ranged="range" in request.headers,
        handed=wanted and site.trusts(getattr(request.state, "peer", "")),
    )


async def _file(shelf: Shelf, path: str, asked: Asked) -> Response:
    try:
        # Hrefs of frozen views climb to the packages; some clients send them as they are.
        proven = store_path(posixpath.normpath(path))
    except ValueError as error:
        raise missing(path) from error
    if any(part.startswith(".") for part in proven.split("/")):
        raise missing(path)
    answer = await shelf.answer(proven, asked)
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        answer.headers["Content-Security-Policy"] = _NO_SCRIPTS
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


async def _front(shelf: Shelf, name: str, url: str, asked: Asked) -> Response:
    """The front page, or what is known before there is one."""
    try:
        return await _file(shelf, PAGE, asked)
    except HTTPException as error:
        if error.status_code != _NOT_FOUND:
            raise
        return PlainTextResponse(f"yum repository {name}\nconfiguration for hosts: {url}{name}.repo\n")
