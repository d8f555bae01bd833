"""From values to an answer: templates, and the files beside them."""

import hashlib
import mimetypes
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from repod import __version__
from repod.happenings import Kind
from repod.web.pages import telling, words

_HERE = Path(__file__).parent
_HEADERS = {
    # Not no-referrer: browsers then send Origin: null with forms, and whose form it is cannot be told.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_YEAR = 365 * 86400


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"segment": words.segment, "path": words.path, "size": words.size, "span": words.span}
    made.globals |= {"count": words.count, "query": words.query, "is_web": words.is_web}
    made.globals |= {"changes": telling.changes, "sources": telling.sources, "came": telling.came}
    made.globals |= {
        "ranges": telling.ranges,
        "is_among": telling.is_among,
        "steps": telling.steps,
        "total": telling.total,
    }
    made.globals |= {"version": __version__, "asset": _asset_name, "kinds": " ".join(Kind)}
    return made


def page(template: str, path: str, values: Mapping[str, Any], *, now: float, status: int = 200) -> Response:
    """A page. ``path`` is that of the request, raw: links are relative to it, so that a proxy may add a prefix."""
    text = (
        _environment()
        .get_template(template)
        .render(
            about=getattr(values.get("state"), "repository", ""),
            root="../" * (path.count("/") - 1) or "./",
            when=lambda stamp: words.moment(stamp, now),
            now=datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            **values,
        )
    )
    return HTMLResponse(text, status_code=status, headers=_HEADERS)


@cache
def _assets() -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in (_HERE / "static").iterdir()}


@cache
def _asset_name(name: str) -> str:
    """The link of a file beside the pages: it changes with its content, so that browsers may keep it."""
    return f"static/{name}?{hashlib.sha256(_assets()[name]).hexdigest()[:12]}"


def asset(name: str) -> Response | None:
    """A file beside the pages, None where there is none of that name."""
    data = _assets().get(name)
    if data is None:
        return None
    kind, _ = mimetypes.guess_type(name)
    headers = {"Cache-Control": f"public, max-age={_YEAR}, immutable"}
    return Response(data, media_type=kind, headers=headers)


def raw_path(request: Request) -> str:
    """The path as it stood in the request: encoded slashes are no parts of it."""
    raw: bytes = request.scope.get("raw_path") or b"/"
    return raw.decode("ascii", "replace")
