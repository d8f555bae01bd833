"""The OpenAPI document of the API: served, and kept as ``config/openapi.json``."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from repod.reports import HostSays

VERSION = "1"
"""Of the API: what may break clients gets another one, and another prefix."""

_TEXT = (
    "Everything that `repod` says and does with repositories, as its commands do, with the same values and the same "
    "texts. Errors are problem documents (RFC 9457). Reading asks for nothing where the settings say so, else for a "
    "token, name and password, or a client certificate; a change asks for a token that allows it. A change that does "
    "not end in time goes on as a job."
)
_SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "description": "What `repod token add` printed."},
    "password": {"type": "http", "scheme": "basic", "description": "Name and password of a reader; reading only."},
}
_READS: Sequence[Mapping[str, Sequence[str]]] = [{}, {"token": []}, {"password": []}]
_CHANGES: Sequence[Mapping[str, Sequence[str]]] = [{"token": []}]
_TAGS = {
    "repositories": "Which there are, and how they are.",
    "packages": "What they list.",
    "generations": "What became of them.",
    "changes": "What they list, changed.",
    "marks": "Pins and labels of builds.",
    "advisories": "What updates are about.",
    "arrivals": "What comes in, and what became of it.",
    "events": "What happens, as it happens.",
    "reports": "What hosts run, and how they are updated.",
    "about": "Keys, jobs, this daemon.",
}


def serve_document(api: APIRouter) -> None:
    """Serve the document of ``api`` as ``openapi.json`` in it. Anybody may read it."""
    known: list[dict[str, Any]] = []

    @api.get("/openapi.json", include_in_schema=False)
    async def openapi(_request: Request) -> dict[str, Any]:
        if not known:
            known.append(document(api))
        return known[0]


def document(api: APIRouter) -> dict[str, Any]:
    """The OpenAPI document of ``api``."""
    tags = [{"name": name, "description": text} for name, text in _TAGS.items()]
    found = get_openapi(title="repod", version=VERSION, description=_TEXT, routes=api.routes, tags=tags)
    found["components"]["securitySchemes"] = _SCHEMES
    # Read by the route itself, since it takes text too.
    _, models = models_json_schema([(HostSays, "validation")], ref_template="#/components/schemas/{model}")
    found["components"]["schemas"] |= models["$defs"]
    shared: dict[str, Any] = {}
    for method, operation in _operations(found):
        _share(operation["responses"], shared)
        operation["security"] = _READS if method == "get" else _CHANGES
        operation["summary"] = operation["description"].partition("\n")[0].rstrip(".")
    found["components"]["responses"] = dict(sorted(shared.items()))
    return found


def _share(responses: dict[str, Any], shared: dict[str, Any]) -> None:
    """Say the answers that tell of a problem once for all operations."""
    for status, answer in responses.items():
        if status >= "400" and answer == shared.setdefault(status, answer):
            responses[status] = {"$ref": f"#/components/responses/{status}"}


def text_of(found: dict[str, Any]) -> str:
    """The document as the file has it."""
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _operations(found: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in found["paths"].values():
        yield from path.items()
