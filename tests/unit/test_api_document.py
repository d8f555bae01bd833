"""The OpenAPI document: kept as a file, whole, and the same as what is served."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from repod.web.api.__main__ import written
from repod.web.api.problems import KINDS, MEDIA_TYPE
from tests.lab.apps import open_app

_FILE = Path(__file__).parents[2] / "config/openapi.json"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_FILE.read_text())
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_the_file_is_what_the_routes_say() -> None:
    assert _FILE.read_text() == written(), "write it anew with: python -m repod.web.api"


def test_the_document_is_served_to_anyone(document: dict[str, Any]) -> None:
    async def asked() -> object:
        transport = httpx.ASGITransport(open_app({}))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return (await client.get("/api/v1/openapi.json")).json()

    assert asyncio.run(asked()) == document


def test_every_operation_has_a_name_a_summary_and_a_tag(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    for path, method, operation in operations(document):
        assert operation["summary"], f"{method} {path}"
        assert len(operation["tags"]) == 1, f"{method} {path}"


def test_every_parameter_is_bounded_and_described(document: dict[str, Any]) -> None:
    bounds = {"maxLength", "maximum", "enum", "pattern", "const"}
    for path, method, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            where = f"{method} {path}: {parameter['name']}"
            assert parameter.get("description"), where
            kinds = parameter["schema"].get("anyOf", [parameter["schema"]])
            assert all(kind["type"] == "null" or bounds & kind.keys() for kind in kinds), where


def test_every_problem_is_documented_as_a_problem_document(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                told = document["components"]["responses"][status] if "$ref" in answer else answer
                assert set(told["content"]) == {MEDIA_TYPE}, f"{method} {path} {status}"
        assert {"400", "401", "403", "422", "503"} <= operation["responses"].keys()


def test_a_change_asks_for_a_token_alone_and_a_look_may_ask_for_nothing(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        wanted = [{}, {"token": []}, {"password": []}] if method == "get" else [{"token": []}]
        assert operation["security"] == wanted, path


def test_what_each_kind_of_problem_means_is_told() -> None:
    assert all(kind.title and kind.meaning.endswith(".") for kind in KINDS.values())
