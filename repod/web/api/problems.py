"""What goes wrong, as the API tells it: problem documents (RFC 9457), with the same lines as the command line.

``type`` is a path of this API where a problem of that kind is explained; what a program goes by is its last part.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.routing import Match

from repod.errors import Conflict, Corrupt, Misconfigured, NoRoom, NotFound, Refused, RepodError, Unavailable, Unfit
from repod.office import Deed
from repod.web.gate import Challenge

INVALID, MEDIA = "invalid", "media-type"
"""Names of kinds."""

MEDIA_TYPE = "application/problem+json"
PREFIX = "/api/v1"
RETRY_SECONDS = 5
_SHOWN = 120  # characters of what was found


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of problem: its status, and what it means in words."""

    status: int
    title: str
    meaning: str


KINDS: Mapping[str, Kind] = {
    "malformed": Kind(
        status=400,
        title="The request is not well formed",
        meaning="The target, the Host header or the body breaks the rules of HTTP, URLs or JSON.",
    ),
    "credentials": Kind(
        status=401,
        title="Credentials are needed",
        meaning="None were sent, or they are not known or have expired. Changes take a token, as Bearer.",
    ),
    "forbidden": Kind(
        status=403,
        title="The caller may not do this",
        meaning="It is known who calls, and the token or the settings do not allow it.",
    ),
    "not-found": Kind(status=404, title="It is not there", meaning="What was asked for is certainly not there."),
    "method": Kind(
        status=405,
        title="The method is not allowed here",
        meaning="The header Allow says which methods there are.",
    ),
    "conflict": Kind(
        status=409,
        title="Somebody else was faster",
        meaning="Another writer changed it meanwhile. Read again, and try again.",
    ),
    "too-large": Kind(status=413, title="The body is too large", meaning="The limit stands in the detail."),
    "too-long": Kind(status=414, title="The target is too long", meaning="The limit stands in the detail."),
    "media-type": Kind(
        status=415,
        title="The body has another type",
        meaning="Bodies are JSON and say so: Content-Type: application/json.",
    ),
    "no-arrival": Kind(
        status=415,
        title="An inbox takes no such file",
        meaning="It takes packages (NAME.rpm) and documents (comps, modules, updateinfo, advisories), as they are.",
    ),
    "misdirected": Kind(
        status=421,
        title="This host name is not known here",
        meaning="The Host header is no name of this daemon. Further ones stand in the settings: [http] hosts.",
    ),
    "invalid": Kind(
        status=422,
        title="The request asks for nothing that can be done",
        meaning="A parameter or a part of the body is not as expected. All faults are listed.",
    ),
    "refused": Kind(
        status=422,
        title="A policy says no",
        meaning="Asking again changes nothing. Every reason is listed. Commands answer 3 here.",
    ),
    "unfit": Kind(
        status=422,
        title="The change does not fit what is there",
        meaning="Nothing was changed. Ask for another one.",
    ),
    "mismatch": Kind(
        status=422,
        title="These are other bytes",
        meaning="The body has not the checksum that the request says. Nothing of it was kept: send it again.",
    ),
    "rejected": Kind(
        status=422,
        title="The file was rejected",
        meaning="It was uploaded, and is not let in. All reasons are listed; it lies among the rejected.",
    ),
    "throttled": Kind(
        status=429,
        title="Too many failures",
        meaning="Wrong credentials came from this address too often. The header Retry-After says how long to wait.",
    ),
    "failed": Kind(
        status=500,
        title="It failed",
        meaning="A fault of the repository, of the settings or of repod itself; the log of repod says more.",
    ),
    "unavailable": Kind(
        status=503,
        title="Not now",
        meaning="It cannot be read or written now. Try again after the time in the header Retry-After.",
    ),
    "no-room": Kind(
        status=507,
        title="There is no room for it",
        meaning="The disk is full, or would be nearly full. Nothing of it was kept.",
    ),
}
"""Every kind, by the last part of its ``type``."""


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(description="Where a problem of this kind is explained; the last part is its name.")
    title: str = Field(description="What kind of problem it is, in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What went wrong, as a command of repod says it in one line.")
    faults: Sequence[str] = Field(default=(), description="A line each, where there is more than one.")
    refused: bool = Field(default=False, description="Whether a policy says no: asking again changes nothing.")
    deed: Deed | None = Field(default=None, description="What a change came to nevertheless, or would have.")


_BY_STATUS = {kind.status: name for name, kind in reversed(list(KINDS.items()))}
_BY_ERROR: Sequence[tuple[type[RepodError], str]] = (
    (NotFound, "not-found"),
    (Unfit, "unfit"),
    (Conflict, "conflict"),
    (NoRoom, "no-room"),
    (Unavailable, "unavailable"),
    (Misconfigured, "failed"),
    (Corrupt, "failed"),
)


class Declined(RepodError):
    """A request that is answered with a problem of that kind."""

    def __init__(self, name: str, *lines: str) -> None:
        """``name``: of ``KINDS``; ``lines``: what is wrong, each in one."""
        super().__init__("\n".join(lines))
        self.name = name


class Met(RepodError):
    """A change met this problem."""

    def __init__(self, found: Problem) -> None:
        """``found``: as it is answered."""
        super().__init__(found.detail)
        self.problem = found


@contextmanager
def asked() -> Iterator[None]:
    """Around what may find that a parameter is not as expected: ``Misconfigured`` is the caller's fault here."""
    try:
        yield
    except Misconfigured as error:
        raise Declined(INVALID, *error.faults) from error


def problem(name: str, *lines: str) -> Problem:
    """A problem of a kind; many lines are its faults."""
    kind = KINDS[name]
    return Problem(
        type=f"{PREFIX}/problems/{name}",
        title=kind.title,
        status=kind.status,
        detail="; ".join(lines),
        faults=lines if len(lines) > 1 else (),
        refused=name == "refused",
    )


def problem_of(error: BaseException) -> Problem:
    """What an error is to who asked; of one that repod did not raise on purpose only that it happened."""
    if isinstance(error, Met):
        return error.problem
    if isinstance(error, Declined):
        return problem(error.name, *str(error).splitlines())
    if isinstance(error, RepodError):
        by_policy = "refused" if error.exit_code == Refused.exit_code else "failed"
        name = next((name for kind, name in _BY_ERROR if isinstance(error, kind)), by_policy)
        return problem(name, *str(error).splitlines())
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, AnyHTTPException):
        return _of_status(error)
    return problem("failed", "repod failed at this; its log says more")


def respond(found: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that tells of it."""
    more = {"Retry-After": str(RETRY_SECONDS)} if found.status == KINDS["unavailable"].status else {}
    body = found.model_dump(exclude_defaults=True)
    return Response(
        readable(body), status_code=found.status, media_type=MEDIA_TYPE, headers={**more, **(headers or {})}
    )


def readable(body: object) -> bytes:
    """JSON for persons too: a line for each value."""
    return json.dumps(body, ensure_ascii=False, indent=1).encode(errors="backslashreplace") + b"\n"


class Readable(JSONResponse):
    """An answer in such JSON."""

    def render(self, content: object) -> bytes:
        """See ``JSONResponse``."""
        return readable(content)


def documented(*names: str) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route: those of every route, and problems of the kinds ``names``."""
    always = ("malformed", "credentials", "forbidden", "method", "too-long", "misdirected", "invalid", "throttled")
    return {KINDS[name].status: _described(name) for name in (*always, "failed", "unavailable", *names)}


def _described(name: str) -> dict[str, Any]:
    status = KINDS[name].status
    texts = [f"{kind.title}. {kind.meaning}" for kind in KINDS.values() if kind.status == status]
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": " Or: ".join(texts), "content": content}


Tell = Callable[[Problem, Request], Response | None]
"""A page that tells a person of a problem; None where it is no person who asks."""


def explain(app: FastAPI, tell: Tell) -> None:
    """Have ``app`` answer with problem documents below ``/api``; elsewhere by ``tell``, or with a line of text."""
    on_error, on_http = partial(_on_error, tell), partial(_on_http, tell)
    app.exception_handler(RepodError)(on_error)
    app.exception_handler(RequestValidationError)(on_error)
    app.exception_handler(AnyHTTPException)(on_http)
    app.exception_handler(Exception)(on_error)


def is_api(path: str) -> bool:
    """Whether a path is one of the API."""
    return path == "/api" or path.startswith("/api/")


async def _on_error(tell: Tell, request: Request, error: Exception) -> Response:
    found = problem_of(error)
    if is_api(request.url.path):
        return respond(found)
    text = f"{found.detail}\n".encode(errors="backslashreplace")
    answer = tell(found, request) or PlainTextResponse(text, status_code=found.status)
    if found.status == KINDS["unavailable"].status:
        answer.headers["Retry-After"] = str(RETRY_SECONDS)
    return answer


async def _on_http(tell: Tell, request: Request, error: Exception) -> Response:
    if not isinstance(error, AnyHTTPException):
        raise TypeError
    headers = dict(error.headers or {})
    if error.status_code == KINDS["method"].status:
        headers["Allow"] = ", ".join(_allowed(request))
    if is_api(request.url.path):
        answer = respond(_of_status(error, request), headers)
    elif page := tell(_of_status(error, request), request):
        answer = page
        answer.headers.update(headers)
    elif isinstance(error, Challenge):
        answer = PlainTextResponse(f"{error.detail}\n", status_code=error.status_code)
    else:
        error.headers = headers
        answer = await http_exception_handler(request, error)
    for challenge in getattr(error, "challenges", ()):
        answer.headers.append("WWW-Authenticate", challenge)
    return answer


def _allowed(request: Request) -> Sequence[str]:
    """The methods of all routes with this path; each alone names its own only."""

    def takes(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] == Match.FULL for route in request.app.router.routes)

    found = [method for method in ("DELETE", "GET", "PATCH", "POST", "PUT") if takes(method)]
    return sorted([*found, "HEAD"] if "GET" in found else found)


def _of_status(error: AnyHTTPException, request: Request | None = None) -> Problem:
    name = _BY_STATUS.get(error.status_code)
    if name is None:
        name = "invalid" if error.status_code < KINDS["failed"].status else "failed"
    text = str(error.detail)
    # What is told where no route fits names nothing.
    if request is not None and text == "Not Found":
        text = f"there is nothing at {_short(request.url.path)}"
    elif request is not None and text == "Method Not Allowed":
        text = f"expected {' or '.join(_allowed(request))}, found {request.method[:20]}"
    return problem(name, text)


def _short(found: object) -> str:
    text = repr(found)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _invalid(error: RequestValidationError) -> Problem:
    faults = list(error.errors())
    if any(fault["type"] == "json_invalid" for fault in faults):
        reason = faults[0].get("ctx", {}).get("error", "")
        return problem("malformed", f"the body is not JSON ({reason} at character {faults[0]['loc'][-1]})")
    return problem("invalid", *map(_line, faults))


def _line(fault: Mapping[str, Any]) -> str:
    """A fault as one line: which part, what was expected, what was found."""
    place, *inner = map(str, fault["loc"])
    what = f"{place}: {'.'.join(inner)}" if inner else place
    if fault["type"] == "missing":
        return f"{what}: is required and missing"
    text = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        text = "is not known here"
    return f"{what}: {text[:1].lower()}{text[1:]}, found {_short(fault.get('input'))}"
