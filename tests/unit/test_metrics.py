"""The page of metrics: both its forms, exemplars, room on file systems, requests that are counted."""

import asyncio
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from repod.machine import Rooms, workers
from repod.metrics import Metrics
from repod.package import trace
from repod.web.counted import Marked, count
from tests.lab.prometheus import promtool
from tests.lab.wait import until

_OPEN = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
_SUM = "0123456789abcdef" * 4


@pytest.fixture
def metrics() -> Metrics:
    """With series of every kind."""
    made = Metrics("1.0")
    made.repository("test", 3600)
    made.hook("chat")
    made.show_hosts("test", {("app", "1.0-1"): 3})
    made.route("/repos/{name}/{path:path}", ["GET", "HEAD"])
    made.room("test", "store", 10, 100)
    made.key_expiry.labels("A" * 40).set(float("inf"))
    made.published("test", 0.03, _SUM)
    made.stage("sign", 0.003, _SUM)
    made.answered("/metrics", "GET", 200, 0.002)
    return made


def _values(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """The samples of that name that are not 0, by the values of their labels."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == name and sample.value
    }


def test_the_page_is_plain_text_unless_open_metrics_is_asked_for(metrics: Metrics) -> None:
    for accept in ("", "*/*", "text/html", "text/plain;version=0.0.4", "nonsense"):
        assert metrics.page(accept)[1] == "text/plain; version=0.0.4; charset=utf-8"
    assert metrics.page(_OPEN)[1].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")


def test_both_forms_are_read_by_the_official_parsers_and_say_the_same(metrics: Metrics) -> None:
    text, opened = metrics.page()[0].decode(), metrics.page(_OPEN)[0].decode()
    assert opened.endswith("# EOF\n")
    names = [
        {family.name.removesuffix("_total") for family in families}
        for families in (text_families(text), open_families(opened))
    ]
    assert names[0] == names[1]
    assert len(names[0]) > 40


def test_promtool_has_no_complaint_about_a_page_with_series_of_every_kind(metrics: Metrics) -> None:
    assert promtool("check", "metrics", data=metrics.page()[0]) == ""


def test_a_publish_and_its_stages_point_at_one_of_their_arrivals(metrics: Metrics) -> None:
    found = {
        (sample.name, sample.labels["le"]): sample.exemplar.labels
        for family in open_families(metrics.page(_OPEN)[0].decode())
        for sample in family.samples
        if sample.exemplar
    }
    wanted = {"trace_id": trace(_SUM)}
    assert wanted == {"trace_id": _SUM[:32]}
    assert found == {
        ("repod_publish_seconds_bucket", "0.05"): wanted,
        ("repod_stage_seconds_bucket", "0.005"): wanted,
        ("repod_stage_seconds_bucket", "0.05"): wanted,
    }


def test_a_repository_and_a_hook_that_are_gone_leave_no_gauge(metrics: Metrics) -> None:
    metrics.forget("test")
    metrics.forget_hook("chat")
    gauges = [family for family in metrics.registry.collect() if family.type == "gauge"]
    left = [sample.labels for family in gauges for sample in family.samples]
    assert not [labels for labels in left if "repository" in labels or "hook" in labels]
    assert _values(metrics, "repod_publish_seconds_count") == {("test",): 1}
    metrics.forget("test")


# ---------------------------------------------------------------- the machine


def test_a_file_system_that_hangs_keeps_nobody_waiting_and_no_other_from_being_measured(
    tmp_path: Path, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    healed, real, asked = threading.Event(), os.statvfs, list[str]()

    def statvfs(path: Path) -> os.statvfs_result:
        asked.append(str(path))
        if path == Path("/proc"):
            healed.wait(30)
        return real(path)

    monkeypatch.setattr(os, "statvfs", statvfs)
    rooms = Rooms({("dead", "store"): Path("/proc"), ("test", "store"): tmp_path}, metrics)
    for number in range(1, 4):
        rooms.look()
        until(lambda wanted=number: asked.count(str(tmp_path)) == wanted, 10, "the other to be measured")
        until(lambda: _measuring() <= 1, 10, "its thread to end")
    until(lambda: asked.count("/proc") == 1, 10, "the one that hangs to be asked, once")
    assert _values(metrics, "repod_filesystem_size_bytes").keys() == {("test", "store")}
    metrics.forget("test")
    rooms.close()
    healed.set()
    until(lambda: not _measuring(), 10, "all threads to end")
    assert _values(metrics, "repod_filesystem_size_bytes") == {}


def _measuring() -> int:
    return len([one for one in threading.enumerate() if one.name == "file system"])


def test_a_place_that_is_gone_has_no_size(tmp_path: Path, metrics: Metrics) -> None:
    place = tmp_path / "inbox"
    place.mkdir()
    rooms = Rooms({("test", "inbox"): place}, metrics)
    rooms.look()
    until(lambda: ("test", "inbox") in _values(metrics, "repod_filesystem_free_bytes"), 10, "its room")
    place.rmdir()
    until(lambda: not _measuring(), 10, "the thread to end")
    rooms.look()
    until(lambda: ("test", "inbox") not in _values(metrics, "repod_filesystem_free_bytes"), 10, "no room")


def test_processes_below_this_one_are_counted_with_their_memory() -> None:
    before = workers()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE):  # it has no work but to be there
        count, resident = workers()
    assert count == before[0] + 1
    assert resident > before[1]


# ---------------------------------------------------------------- requests


class _Copying:
    """Hands on a copy of the scope, as what checks host and path does."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(dict(scope), receive, send)


def _app(metrics: Metrics) -> FastAPI:
    app = FastAPI(openapi_url=None)
    api, router = APIRouter(prefix="/api/v1"), APIRouter(prefix="/packages")

    @app.get("/fails")
    async def fails() -> None:
        raise RuntimeError

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def pieces() -> Any:
            for number in range(3):
                yield str(number)

        return StreamingResponse(pieces())

    @router.get("/{name}")
    async def package(name: str) -> str:
        if name == "none":
            raise HTTPException(404)
        return name

    api.include_router(router)
    app.include_router(api)
    app.add_middleware(Marked)
    app.add_middleware(_Copying)
    count(app, metrics)
    return app


@pytest.fixture
def answers(metrics: Metrics) -> Any:
    """Asks the application: ``answers(method, path)``."""
    app = _app(metrics)

    def ask(method: str, path: str) -> int:
        async def one() -> int:
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://repod") as client:
                return (await client.request(method, path)).status_code

        return asyncio.run(one())

    return ask


def test_requests_are_counted_by_the_templates_of_their_routes(metrics: Metrics, answers: Any) -> None:
    asked = [("GET", f"/api/v1/packages/p{number}") for number in range(20)]
    asked += [("GET", "/api/v1/packages/none"), ("DELETE", "/api/v1/packages/x"), ("GET", "/stream")]
    asked += [("GET", "/fails"), ("GET", "/what/ever"), ("BREW", "/what/else")]
    assert [answers(*one) for one in asked][20:] == [404, 405, 200, 500, 404, 404]
    assert _values(metrics, "repod_http_requests_total") == {
        ("/api/v1/packages/{name}", "GET", "2xx"): 20,
        ("/api/v1/packages/{name}", "GET", "4xx"): 1,
        ("/api/v1/packages/{name}", "DELETE", "4xx"): 1,
        ("/stream", "GET", "2xx"): 1,
        ("/fails", "GET", "5xx"): 1,
        ("none", "GET", "4xx"): 1,
        ("none", "other", "4xx"): 1,
        ("/metrics", "GET", "2xx"): 1,
    }
    assert _values(metrics, "repod_http_request_seconds_count")["/api/v1/packages/{name}", "GET"] == 21


def test_every_route_has_its_series_before_it_is_asked_for(metrics: Metrics) -> None:
    _app(metrics)
    page = metrics.page()[0].decode()
    for status in ("2xx", "3xx", "4xx", "5xx"):
        named = f'method="GET",route="/api/v1/packages/{{name}}",status="{status}"'
        assert f"repod_http_requests_total{{{named}}} 0.0" in page
