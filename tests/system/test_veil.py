"""A public repository tells strangers nothing of those that are not for them; a prune that is asked for counts."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.lab.daemon import Repod
from tests.lab.rpms import quick
from tests.lab.wait import heard, until

_SECRET = re.compile(r"hush|project X")


@pytest.fixture(scope="module")
def repod(tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]) -> Iterator[Repod]:
    settings = {"http": {"listen": "127.0.0.1:0", "access": "readers", "tokens": "tokens.json"}}
    repositories = {"shown": {"public": True, "retention": {"keep": 2}}, "hush": {}}
    with Repod(tmp_path_factory.mktemp("veil"), key_file, repositories, settings=settings) as found:
        long_lived.add(found.pid)
        quick(found.inbox("hush"))
        until(lambda: not list(found.inbox("hush").iterdir()), 60, "the build to be taken in")
        done = found.cli("promote", "hello", "--from", "hush", "--to", "shown", "--why", "project X is ready")
        assert done.rc == 0, done.err
        yield found


@pytest.fixture(scope="module")
def token(repod: Repod) -> str:
    words = ("--may", "read", "--may", "metrics", "--may", "prune", "--may", "report")
    return repod.cli("token add", "ci", *words).out.strip()


def pages(repod: Repod, path: str, token: str = "", kind: str = "text/html") -> str:
    headers = {"Accept": kind} | ({"Authorization": f"Bearer {token}"} if token else {})
    answer = httpx.get(repod.url + path, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/r/shown/",
        "/r/shown/generations",
        "/r/shown/generations/2",
        "/r/shown/p/hello-1.0-1.noarch",
        "/r/shown/n/hello",
        "/api/v1/repositories",
        "/api/v1/repositories/shown",
        "/api/v1/repositories/shown/generations",
        "/api/v1/repositories/shown/generations/2",
        "/api/v1/repositories/shown/packages/hello-1.0-1.noarch",
        "/api/v1/repositories/shown/prune",
    ],
)
def test_where_a_build_was_promoted_from_and_why_is_for_who_may_read_that(repod: Repod, token: str, path: str) -> None:
    kind = "application/json" if path.startswith("/api") else "text/html"
    until(lambda: "hello" in pages(repod, "/r/shown/"), 60, "the build to be in the catalog")
    assert not _SECRET.search(pages(repod, path, kind=kind))
    if "prune" not in path:
        assert _SECRET.search(pages(repod, path, token, kind))


def test_strangers_hear_of_a_promotion_without_its_reason(repod: Repod, token: str) -> None:
    quick(repod.inbox("hush"), release="2")
    until(lambda: "hello-1.0-2" in pages(repod, "/api/v1/repositories/hush/packages", token), 60, "the build")
    url = f"{repod.url}/api/v1/repositories/shown/events"
    whys: list[str] = []
    for headers in ({}, {"Authorization": f"Bearer {token}"}):
        with httpx.stream("GET", url, headers=headers, timeout=60) as stream:
            lines = stream.iter_lines()
            next(lines)
            release = len(whys) + 1
            names = ("hello-1.0-2.noarch",) if release == 1 else ("hello-1.0-3.noarch",)
            if release == 2:
                quick(repod.inbox("hush"), release="3")
                until(lambda: "hello-1.0-3" in pages(repod, "/api/v1/repositories/hush/packages", token), 60, "it")
            done = repod.cli("promote", *names, "--from", "hush", "--to", "shown", "--why", "project X is ready")
            assert done.rc == 0, done.err
            line = heard(lines, lambda line: bool(_data(line).get("added_total")), "the promotion")
            whys.append(_data(line)["why"])
    assert whys == ["", "hello-1.0-3.noarch promoted from hush: project X is ready"]


def _data(line: str) -> dict[str, Any]:
    """The data of an event; nothing of another line of the stream."""
    found: dict[str, Any] = json.loads(line.removeprefix("data: "))["data"] if line.startswith("data: ") else {}
    return found


def test_a_prune_that_is_asked_for_is_counted_and_told_of(repod: Repod, token: str, tmp_path: Path) -> None:
    """The daemon prunes by itself too: a host that runs a build keeps it until the host is forgotten."""
    base, headers = f"{repod.url}/api/v1/repositories/shown", {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=base, headers=headers, timeout=60) as client:
        _pruned_by_request(repod, token, client)


def _pruned_by_request(repod: Repod, token: str, client: httpx.Client) -> None:
    listed = [row["package"] for row in client.get("/packages").json()["rows"]]
    quick(repod.inbox("shown"), "other", release="1")
    until(lambda: "other-1.0-1" in pages(repod, "/api/v1/repositories/shown/packages"), 60, "the first")
    body = {"packages": [{"nevra": "other-1.0-1.noarch"}, *({"nevra": one} for one in listed)]}
    assert client.put("/hosts/web1", json=body).status_code == 200
    for release in ("2", "3"):
        quick(repod.inbox("shown"), "other", release=release)
    until(lambda: "other-1.0-3" in pages(repod, "/api/v1/repositories/shown/packages"), 60, "the last")
    until(lambda: "other-1.0-2" in pages(repod, "/api/v1/repositories/shown/packages"), 60, "that before it")
    before = _pruned(repod, token)
    with client.stream("GET", "/events") as stream:
        lines = stream.iter_lines()
        next(lines)
        assert client.delete("/hosts/web1").status_code == 204
        answer = client.post("/prunes", json={})
        assert answer.status_code in {200, 202}, answer.text
        heard(lines, lambda line: line.startswith("event: ") and "repod.store.pruned" in line, "the prune")
    until(lambda: _pruned(repod, token) > before, 30, "the prune to be counted")


def _pruned(repod: Repod, token: str) -> float:
    page = pages(repod, "/metrics", token, "text/plain")
    (number,) = re.findall(r'(?m)^repod_pruned_packages_total\{repository="shown"\} (\S+)$', page)
    return float(number)
