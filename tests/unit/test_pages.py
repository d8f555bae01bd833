"""What pages say, whom they are for, and that they hold nothing, the usual, and too much."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from lxml import html

from repod.access import READ, Caller, Offer, Reason, Rules, Scope, Stranger
from repod.log import open_log
from repod.web.api.door import Door
from repod.web.api.jobs import Jobs
from repod.web.desk import Desk
from repod.web.gate import Access, Gate
from repod.web.pages import telling, words
from repod.web.pages.routes import make_pages
from repod.web.serve import make_app
from repod.web.site import Site
from tests.lab import paper
from tests.lab.paper import NOW, Paper, change, generation, state

_READER = Caller(names=["reader"], how="token", repositories=frozenset({"el9-test"}))
_ENOUGH = 50
_OPEN = Rules(open=frozenset({READ}), scopes={})
_CLOSED = Rules(open=frozenset(), scopes={"el9-prod": Scope(public=True)})


class _OneReader:
    """Knows one token."""

    def recognize(self, offer: Offer) -> Caller:
        if offer.token != "reader":
            raise Stranger(Reason.UNKNOWN if offer.token else Reason.NOTHING)
        return _READER


def _app(office: Paper, rules: Rules = _OPEN) -> FastAPI:
    log = open_log("json", "error")
    gate = Gate(lambda: Access(rules=rules, callers=_OneReader()), log)
    desk = Desk(threads=1, waiting=8)
    door = Door(office=lambda: office, gate=gate, desk=desk, jobs=Jobs(desk, log))  # type: ignore[arg-type, return-value]
    return make_app(
        shelves=dict,
        gate=gate,
        page=lambda _accept: (b"", "text/plain"),
        health=dict,
        site=lambda: Site(hosts=frozenset({"*"})),
        routers=[make_pages(door, office.waiting, lambda: NOW)],
    )


class _Browser:
    """Asks an application without a server between them, as a browser does."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def get(self, path: str, **more: Any) -> httpx.Response:
        return asyncio.run(self._ask("GET", path, **more))

    def post(self, path: str, **more: Any) -> httpx.Response:
        return asyncio.run(self._ask("POST", path, **more))

    async def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        through = httpx.ASGITransport(app=self._app)
        async with httpx.AsyncClient(
            transport=through, base_url="http://testserver", headers={"Accept": "text/html"}
        ) as client:
            return await client.request(method, path, **more)


def _client(office: Paper, rules: Rules = _OPEN) -> _Browser:
    return _Browser(_app(office, rules))


def _crawled(client: _Browser) -> Mapping[str, str]:
    """Pages that links lead to from the overview, the nearest first."""
    waiting, seen = ["/"], dict[str, str]()
    while waiting:
        path = waiting.pop(0)
        if path in seen or len(seen) == _ENOUGH:
            continue
        answer = client.get(path)
        assert answer.status_code == 200, path
        seen[path] = answer.text
        for link in html.fromstring(answer.content).xpath("//a/@href"):
            target = urlsplit(urljoin(f"http://testserver{path}", link))
            if target.netloc == "testserver":
                waiting.append(target._replace(scheme="", netloc="", fragment="").geturl())
    return seen


@pytest.mark.parametrize("office", [paper.empty(), paper.usual(), paper.large()], ids=["empty", "usual", "large"])
def test_pages_hold_nothing_the_usual_and_too_much(office: Paper) -> None:
    pages = _crawled(_client(office))
    for path, text in pages.items():
        tree = html.fromstring(text)
        ids = tree.xpath("//@id")
        assert len(ids) == len(set(ids)), path
        assert len(tree.xpath("//h1")) == 1, path
        assert tree.xpath("//main"), path
        assert tree.findtext(".//title"), path
        assert {label.get("for") for label in tree.xpath("//label")} <= set(ids), path
        assert len(text) < 2_000_000, path
        assert not re.search(r"\bNone\b|Undefined", html.tostring(tree, method="text", encoding="unicode")), path


def test_no_page_has_a_script_or_a_style_in_itself() -> None:
    for path, text in _crawled(_client(paper.usual())).items():
        tree = html.fromstring(text)
        assert [script.text for script in tree.xpath("//script")] == [None], path
        assert not tree.xpath("//style | //@style | //@*[starts-with(name(), 'on')]"), path


def test_what_is_read_anew_says_so_on_the_page() -> None:
    office = paper.with_unread_catalogs()
    client = _client(office)
    assert "try again in a moment" in client.get("/r/el9-prod/").text
    assert client.get("/r/el9-prod/p/nginx-2.0.1-39.el9.x86_64").status_code == 200


@pytest.mark.parametrize(
    ("rules", "headers", "seen"),
    [
        (_OPEN, {}, {"el9-prod", "el9-test", "sles15"}),
        (_CLOSED, {}, {"el9-prod"}),
        (_CLOSED, {"Authorization": "Bearer reader"}, {"el9-prod", "el9-test"}),
        (Rules(open=frozenset(), scopes={}, pages="open"), {}, {"el9-prod", "el9-test", "sles15"}),
        (Rules(open=frozenset({READ}), scopes={}, pages="readers"), {"Authorization": "Bearer reader"}, {"el9-test"}),
    ],
    ids=["open", "public", "reader", "pages are open", "pages are for readers"],
)
def test_pages_are_shown_to_whom_the_settings_say(rules: Rules, headers: Mapping[str, str], seen: set[str]) -> None:
    client = _client(paper.usual(), rules)
    tree = html.fromstring(client.get("/", headers=headers).content)
    assert {cell.text_content().split()[0] for cell in tree.xpath("//tbody//th")} == seen
    names = ("el9-prod", "el9-test", "sles15")
    for path in ("", "generations", "rejected", "p/nginx-2.0.1-39.el9.x86_64", "n/nginx", "generations/42"):
        readable = {name for name in names if client.get(f"/r/{name}/{path}", headers=headers).status_code == 200}
        assert readable == seen, path


def test_pages_that_are_off_are_not_there() -> None:
    client = _client(paper.usual(), Rules(open=frozenset({READ}), scopes={}, pages="off"))
    paths = ("/", "/r/el9-prod/", "/rollouts", "/sign-in", "/r/el9-prod/generations/42")
    assert {client.get(path).status_code for path in paths} == {404}
    assert client.post("/r/el9-prod/generations/41", data={"token": "x"}).status_code == 404


def test_pages_for_readers_ask_for_credentials_at_once() -> None:
    client = _client(paper.usual(), Rules(open=frozenset({READ}), scopes={}, pages="readers"))
    for path in ("/", "/r/el9-prod/", "/sign-in"):
        answer = client.get(path)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert client.get("/sign-in", headers={"Authorization": "Bearer reader"}).headers["Location"] == "./"


def test_a_build_tells_nothing_of_repositories_that_are_not_for_the_visitor() -> None:
    text = _client(paper.usual(), _CLOSED).get("/r/el9-prod/p/nginx-2.0.1-39.el9.x86_64").text
    assert "el9-test" not in text
    assert "Promoted from another repository" in text


def test_a_rollout_is_found_by_its_id_alone() -> None:
    answer = _client(paper.usual()).get("/rollouts/2026-11-26-nginx")
    assert answer.headers["Location"] == "../r/el9-prod/rollouts/2026-11-26-nginx"
    assert _client(paper.usual()).get("/rollouts/none").status_code == 404


@pytest.mark.parametrize(
    ("fields", "kind", "status"),
    [
        ({"token": "t"}, "application/json", 415),
        ({"token": "t" * 20_000}, "application/x-www-form-urlencoded", 413),
        ({f"f{number}": "x" for number in range(50)}, "application/x-www-form-urlencoded", 400),
        ({"token": "reader"}, "application/x-www-form-urlencoded", 403),
        ({"why": "x" * 1001}, "application/x-www-form-urlencoded", 422),
        ({"why": "%1b[2J"}, "application/x-www-form-urlencoded", 422),
    ],
)
def test_a_form_that_is_none_changes_nothing(fields: Mapping[str, str], kind: str, status: int) -> None:
    body = "&".join(f"{key}={value}" for key, value in fields.items())
    answer = _client(paper.usual()).post("/r/el9-prod/generations/41", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("states", "level", "told"),
    [
        ([], "notice", "no repository here that you may read"),
        ([state("a"), state("b")], "good", "All is well. The last change was 2 minutes ago."),
        ([state("a", inbox=1)], "good", "1 file is on the way in."),
        ([state("a", rejected=2)], "notice", "2 rejected files wait for a look."),
        ([state("a"), state("b", fault="x")], "bad", "1 of 2 repositories needs a person: b."),
        ([state("a", published=None)], "notice", "Nothing is published yet"),
    ],
)
def test_one_sentence_says_how_things_are(states: list[words.State], level: str, told: str) -> None:
    verdict = words.verdict(states, NOW)
    assert verdict.level == level
    assert told in " ".join([verdict.text, *verdict.more])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"),
        (-3, "just now"),
        (5, "5 seconds ago"),
        (60, "1 minute ago"),
        (7199, "1 hour ago"),
        (86400 * 59, "59 days ago"),
        (86400 * 200, "6 months ago"),
        (86400 * 2000, "5 years ago"),
        (-90, "in 1 minute"),
    ],
)
def test_times_are_told_in_their_largest_whole_unit(seconds: float, text: str) -> None:
    assert words.ago(seconds) == text


def test_a_segment_of_a_link_is_encoded_once_slashes_and_colons_too() -> None:
    assert words.segment("lib+c/x-1:2~rc1^git-3.noarch?#%") == "lib%2Bc%2Fx-1%3A2~rc1%5Egit-3.noarch%3F%23%25"


def test_a_generation_is_told_in_numbers() -> None:
    assert telling.changes(generation(1)) == "1 package came"
    assert telling.changes(generation(1, removed=["a", "b"])) == "1 package came, 2 went"
    assert telling.changes(generation(1, added=[], removed=["a"])) == "1 package went"
    assert telling.changes(generation(1, added=[], documents=["group"])) == "group changed"
    assert telling.changes(generation(1, added=[], documents=None)) == "nothing changed"
    assert telling.ranges([[7, 9], [3, 3]]) == "3, 7 to 9"
    assert telling.ranges([[n, n] for n in range(40, 0, -2)]).startswith("8 earlier runs, 18, 20, ")


def test_a_long_difference_is_cut_and_counted() -> None:
    lists = {"came": ["X-1"], "went": [], "changed": ["X-2"]}
    long = change(added=[{"before": None, "after": str(number)} for number in range(9)], advisories=lists)
    assert telling.total(long) == 11
    assert telling.steps(long, 2) == [("added", "", "0"), ("added", "", "1")]
    assert telling.steps(long, 99)[-2:] == [("advisory came", "", "X-1"), ("advisory changed", "X-2", "X-2")]


@pytest.mark.parametrize("path", ["generations/{}", "generations?before={}", "compare?from={}&to=1"])
@pytest.mark.parametrize("number", ["9" * 5000, "x", "-1"])
def test_what_is_no_number_of_a_generation_is_refused(path: str, number: str) -> None:
    answer = _client(paper.usual()).get(f"/r/el9-prod/{path.format(number)}")
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("text/html")
