"""What the listener asks of every request before anything is done, and what every answer says."""

import asyncio
from collections.abc import Mapping

import httpx
import pytest
from fastapi import FastAPI

from repod.web.entry import LONGEST
from repod.web.site import Site
from tests.lab.apps import open_app

_SITE = Site(hosts=frozenset({"repo.example.org", "*.yum.example.org"}), urls={"test": "https://cdn.example.org/test/"})
_Header = tuple[bytes, bytes]


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return open_app({}, _SITE)


def ask(app: FastAPI, target: str, *hosts: str, method: str = "GET", version: str = "1.1") -> httpx.Response:
    """A request as it is, target and Host headers untouched."""
    path, _, query = target.partition("?")
    headers: list[_Header] = [(b"host", host.encode("latin-1")) for host in hosts]
    scope = {
        "type": "http",
        "http_version": version,
        "method": method,
        "scheme": "http",
        "root_path": "",
        "path": httpx.URL(f"http://h{path}").path if path.startswith("/") else path,
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode(),
        "headers": headers,
        "client": ("192.0.2.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    sent: list[Mapping[str, object]] = []

    async def receive() -> Mapping[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Mapping[str, object]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    start, *bodies = sent
    body = b"".join(bytes(one["body"]) for one in bodies)  # type: ignore[call-overload]
    return httpx.Response(int(str(start["status"])), headers=start["headers"], content=body)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "host",
    [
        "",
        "a b",
        "repo.example.org:99999",
        "repo.example.org:8a",
        "repo.example.org/evil",
        "user@repo.example.org",
        "repo.example.org,evil.example",
        "[::1",
        "[1.2.3.4]",
        "-evil",
        "repo.example.org#",
        "ré.example",
        "a" * 300,
    ],
)
@pytest.mark.parametrize("target", ["/api/v1/repositories", "/healthz", "/repos/test/", "/"])
def test_a_host_header_that_is_no_host_is_refused_everywhere(app: FastAPI, host: str, target: str) -> None:
    assert ask(app, target, host).status_code == 400


@pytest.mark.parametrize("target", ["/api/v1/repositories", "/healthz", "/repos/test/", "/"])
@pytest.mark.parametrize("hosts", [(), ("localhost", "localhost")], ids=["none", "two"])
def test_there_must_be_one_host_header(app: FastAPI, target: str, hosts: tuple[str, ...]) -> None:
    answer = ask(app, target, *hosts)
    assert answer.status_code == 400
    assert f"expected one Host header, found {len(hosts)}" in answer.text


def test_a_check_of_a_load_balancer_in_http_1_0_needs_no_host(app: FastAPI) -> None:
    assert ask(app, "/healthz", version="1.0").status_code == 200
    assert ask(app, "/api/v1/repositories", version="1.0").status_code == 400


@pytest.mark.parametrize("host", ["evil.example", "repo.example.org.evil.example", "yum.example.org", "localhost.evil"])
def test_a_name_that_nobody_gave_is_misdirected_for_api_and_pages_only(app: FastAPI, host: str) -> None:
    for target in ("/api/v1/problems/conflict", "/", "/packages/test"):
        answer = ask(app, target, host)
        assert answer.status_code == 421
        assert answer.headers["content-type"] == "application/problem+json"
        assert f"{host} is no name of this repod; further ones stand in its settings: [http] hosts" in answer.text
    assert ask(app, "/healthz", host).status_code == 200
    assert ask(app, "/metrics", host).status_code == 200
    assert ask(app, "/repos/none/x", host).status_code == 404


@pytest.mark.parametrize(
    "host",
    [
        "repo.example.org",
        "REPO.example.org:8470",
        "repo.example.org.",
        "repo.example.org:",
        "a.yum.example.org",
        "127.0.0.1:1",
        "[::1]:80",
    ],
)
def test_a_name_of_the_settings_and_any_address_are_known(app: FastAPI, host: str) -> None:
    assert ask(app, "/api/v1/problems/conflict", host).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/repositories/a%2Fb",
        "/api/v1/repositories/a%2fb/packages",
        "/api/v1/repositories/..%5c",
        "/api/v1/repositories/a\\b",
        "/api/v1/repositories/%00",
        "/api/v1/repositories/a%0d%0aX: y",
        "/api/v1/repositories/%7f",
        "/api/v1/repositories/%ff%fe",
        "/api/v1/repositories/%zz",
        "/api/v1/repositories/%",
        "/api/v1/../../etc/passwd",
        "/api/v1/./version",
        "/api/v1/%2e%2e/version",
        "/api/v1/%2E/version",
        "/%2e%2e/",
        "*",
        "evil.example:443",
    ],
)
def test_a_path_that_hides_what_it_means_is_malformed(app: FastAPI, path: str) -> None:
    answer = ask(app, path, "localhost")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json"), answer.text


def test_a_target_that_is_too_long_is_refused(app: FastAPI) -> None:
    assert ask(app, "/api/v1/" + "a" * LONGEST, "localhost").status_code == 414
    assert ask(app, "/api/v1/version?a=" + "a" * LONGEST, "localhost").status_code == 414


def test_of_an_absolute_target_its_own_host_counts(app: FastAPI) -> None:
    ours = ask(app, "http://repo.example.org/api/v1/problems/conflict", "evil.example")
    assert ours.status_code == 200
    theirs = ask(app, "http://evil.example/api/v1/problems/conflict", "repo.example.org")
    assert theirs.status_code == 421
    assert ask(app, "http:///api/v1/problems/conflict", "repo.example.org").status_code == 400


def test_head_answers_as_get_does_without_the_body(app: FastAPI) -> None:
    got = ask(app, "/api/v1/problems/conflict", "localhost")
    head = ask(app, "/api/v1/problems/conflict", "localhost", method="HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == got.headers


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [
        ("/api/v1/repositories", "POST", "GET, HEAD"),
        ("/api/v1/repositories", "TRACE", "GET, HEAD"),
        ("/api/v1/repositories/a/advisories", "PUT", "GET, HEAD, POST"),
        ("/api/v1/repositories/a/rollbacks", "GET", "POST"),
        ("/api/v1/repositories/a/packages/x-1-1.noarch/pin", "POST", "DELETE, PUT"),
        ("/healthz", "POST", "GET, HEAD"),
    ],
)
def test_a_method_that_is_not_allowed_is_told_with_those_that_are(
    app: FastAPI, path: str, method: str, allowed: str
) -> None:
    answer = ask(app, path, "localhost", method=method)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_the_api_keeps_its_answers_out_of_caches_frames_and_guesses_of_their_type(app: FastAPI) -> None:
    for target in ("/api/v1/problems/conflict", "/api/v1/none", "/api/v1/%00"):
        headers = ask(app, target, "localhost").headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    page = ask(app, "/", "localhost").headers
    assert "script-src 'self'" in page["content-security-policy"]
    assert "unsafe" not in page["content-security-policy"]
    assert ask(app, "/healthz", "localhost").headers["x-content-type-options"] == "nosniff"
