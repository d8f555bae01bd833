"""The HTTP listener: repositories for hosts, metrics for Prometheus, health for systemd and load balancers."""

import errno
import posixpath
from collections.abc import Callable, Mapping
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse

from repod.package import store_path
from repod.served import served


def make_app(
    *, roots: Callable[[], Mapping[str, Path]], page: Callable[[], bytes], health: Callable[[], Mapping[str, str]]
) -> FastAPI:
    """The application: ``roots`` gives each repository's directory, ``page`` the metrics, ``health`` faults."""
    app = FastAPI(title="repod", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/healthz")
    def healthz() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @app.get("/readyz")
    def readyz() -> JSONResponse:
        faults = health()
        return JSONResponse({"ready": not faults, "faults": dict(faults)}, status_code=503 if faults else 200)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.api_route("/repos/{name}/{path:path}", methods=["GET", "HEAD"])
    def repos(name: str, path: str, request: Request) -> Response:
        root = roots().get(name)
        if root is None:
            raise HTTPException(404, f"there is no repository {name!r} here")
        if not path:
            return PlainTextResponse(f"yum repository {name}\nconfiguration for hosts: {request.url}{name}.repo\n")
        return _file(root, path)

    return app


def _file(root: Path, path: str) -> Response:
    missing = HTTPException(404, f"{path} is not here")
    try:
        # Hrefs of frozen views climb to the packages; some clients send them as they are.
        proven = store_path(posixpath.normpath(path))
    except ValueError as error:
        raise missing from error
    target = root / proven
    hidden = any(part.startswith(".") for part in proven.split("/"))
    how = served(proven)
    headers = {"Cache-Control": how.cache}
    try:
        if hidden or target.is_symlink() or not target.is_file():
            raise missing
        if how.immutable:
            return FileResponse(target, media_type=how.type, headers=headers)
        # An index may be replaced at any moment: its length and its bytes come from one open file.
        return Response(target.read_bytes(), media_type=how.type, headers=headers)
    except FileNotFoundError as error:
        raise missing from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise missing from error
        raise HTTPException(503, f"{path} cannot be read now ({error.strerror})") from error
