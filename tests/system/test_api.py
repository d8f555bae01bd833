"""The HTTP API of a running daemon, with real packages: what a person with curl gets, and what a program does."""

import json
import os
import socket
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from repod.access import ANY
from repod.callers.tokens import TokenFile
from repod.history import History
from repod.repodata.listing import packages
from repod.store.local import LocalStore
from tests.lab.clients import Dnf
from tests.lab.daemon import Ended, Repod
from tests.lab.looks import names
from tests.lab.rpms import quick
from tests.lab.wait import until

_ALL = ("read", "upload", "promote", "rollback", "remove", "mark", "prune", "verify")
_HELLO = "hello-{}-1.noarch"


class Lab(NamedTuple):
    """A daemon: ``staging`` lists three versions of hello, ``prod`` takes what is labelled, ``free`` is for anyone."""

    repod: Repod
    tokens: Mapping[str, str]

    def ask(
        self, method: str, path: str, body: Any = None, *, token: str = "all", headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        shown = {"Authorization": f"Bearer {self.tokens[token]}"} if token else {}
        url = path if path.startswith("/") else f"/api/v1/repositories/{path}"
        return httpx.request(method, self.repod.url + url, json=body, headers={**shown, **(headers or {})}, timeout=60)

    def get(self, path: str, **how: Any) -> Any:
        answer = self.ask("GET", path, **how)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None) -> Any:
        answer = self.ask("POST", path, body if body is not None else {})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def label(self, version: str) -> None:
        answer = self.ask("PUT", f"staging/packages/{_HELLO.format(version)}/labels/tested", {"why": "it works"})
        assert answer.status_code == 200, answer.text

    def listed(self, name: str) -> list[str]:
        """What hosts see, read from the store."""
        store = LocalStore(self.repod.store(name))
        generation = History(store).current()
        return [str(package.nevra) for package in packages(store, generation)] if generation else []


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]) -> Iterator[Lab]:
    base = tmp_path_factory.mktemp("api")
    repositories: dict[str, Mapping[str, Any]] = {
        "staging": {},
        "prod": {"promotion": {"from": ["staging"], "label": "tested"}},
        "free": {"public": True, "inbox": "apart/free"},
    }
    http = {"access": "readers", "tokens": "tokens.json"}
    with Repod(base, key_file, repositories, settings={"http": http}) as repod:
        long_lived.add(repod.pid)
        made: dict[str, str] = {}
        tokens = TokenFile(base / "tokens.json", time.time)
        for name, repository in (("all", ANY), ("reader", ANY), ("bound", "staging")):
            verbs = ("read",) if name == "reader" else _ALL
            made[name] = tokens.add(name, os.urandom, verbs=verbs, repositories=[repository], seconds=None)
        for version in ("1.0", "1.1", "1.2"):
            quick(repod.inbox("staging"), "hello", version, summary=f"Greets, version {version}")
        quick(repod.inbox("staging"), "tool")
        quick(repod.inbox("free"), "gift")
        (repod.inbox("free") / "junk.rpm").write_bytes(b"this is no package")
        found = Lab(repod, made)
        until(lambda: len(found.listed("staging")) == 4 and found.listed("free"), 30, "the packages to be live")
        until(lambda: names(repod.rejected("free")), 30, "the junk to be refused")
        yield found


def _same_line(answer: httpx.Response, command: Ended) -> None:
    """The API says what the command line says."""
    lines = [line.removeprefix("repod: ") for line in command.err.splitlines() if line.startswith("repod: ")]
    problem = answer.json()
    assert [problem["detail"], *problem.get("faults", ())][-len(lines) :] == lines


# ---------------------------------------------------------------- looking


def test_repositories_are_shown_as_far_as_the_caller_may_read_them(lab: Lab) -> None:
    assert [row["repository"] for row in lab.get("/api/v1/repositories")] == ["staging", "prod", "free"]
    assert [row["repository"] for row in lab.get("/api/v1/repositories", token="bound")] == ["staging", "free"]
    assert [row["repository"] for row in lab.get("/api/v1/repositories", token="")] == ["free"]
    (status,) = (row for row in json.loads(lab.repod.cli("status", "--json").out) if row["repository"] == "staging")
    # The command does not know the port that the kernel chose.
    one = lab.get("staging")
    assert {**status, "url": one["url"]}.items() <= one.items()


@pytest.mark.parametrize("path", ["prod", "prod/packages", "prod/generations", "prod/prune", "no-such"])
def test_who_may_not_read_a_repository_learns_nothing_of_it_not_even_whether_it_is(lab: Lab, path: str) -> None:
    assert lab.ask("GET", path, token="").status_code == 401
    assert lab.ask("GET", path, token="bound").status_code == 403


def test_a_caller_is_told_who_it_is_where_anyone_may_read_too(lab: Lab) -> None:
    found = lab.get("/api/v1/caller", token="bound")
    assert found == {
        "caller": "token bound",
        "how": "token",
        "verbs": sorted(_ALL),
        "repositories": ["staging"],
    }
    assert lab.get("/api/v1/caller")["repositories"] == [ANY]
    assert lab.ask("GET", "/api/v1/caller", token="").status_code == 401


def test_module_streams_are_told_by_their_builds(lab: Lab) -> None:
    assert lab.get("staging/modules") == {"streams": {}}
    assert lab.ask("GET", "prod/modules", token="bound").status_code == 403


def test_packages_are_searched_page_by_page(lab: Lab) -> None:
    page = lab.get("staging/packages?name=hello&limit=2&order=name")
    assert (page["total"], len(page["rows"])) == (3, 2)
    answer = lab.ask("GET", "staging/packages?name=hello&limit=2&order=name")
    target = answer.headers["link"].removeprefix("<").partition(">")[0]
    rest = lab.get(target)
    assert (len(rest["rows"]), rest["next"]) == (1, "")
    found = [row["package"] for row in (*page["rows"], *rest["rows"])]
    assert sorted(found) == [_HELLO.format(version) for version in ("1.0", "1.1", "1.2")]
    assert lab.get("staging/packages?text=greets&nevra=hello-1.1-*")["rows"][0]["package"] == _HELLO.format("1.1")
    assert lab.ask("GET", "staging/packages?after=nonsense").status_code == 422
    assert lab.ask("GET", "staging/packages?limit=501").status_code == 422


def test_of_a_package_everything_that_is_known_is_told(lab: Lab) -> None:
    found = lab.get(f"staging/packages/{_HELLO.format('1.0')}")
    (build,) = found["builds"]
    assert build["came"][0]["of"] == "hello-1.0-1.noarch.rpm"
    assert found["details"]["summary"] == "Greets, version 1.0"
    told = json.loads(lab.repod.cli("why", "staging", _HELLO.format("1.0"), "--json").out)
    assert told == [build]


def test_generations_are_told_newest_first_piece_by_piece(lab: Lab) -> None:
    history = json.loads(lab.repod.cli("history", "staging", "--json").out)
    assert lab.get("staging/generations") == history
    newest = lab.ask("GET", "staging/generations?limit=1")
    assert newest.json() == history[:1]
    target = newest.headers["link"].removeprefix("<").partition(">")[0]
    assert lab.get(target) == history[1:2]
    assert lab.get(f"staging/generations/{history[0]['generation']}") == history[0]
    assert lab.ask("GET", "staging/generations/99999").status_code == 404


def test_contents_are_compared_as_the_command_does(lab: Lab) -> None:
    (told,) = json.loads(lab.repod.cli("diff", "free", "staging", "--json").out)
    assert lab.get("free/diff?other=staging") == told
    (told,) = json.loads(lab.repod.cli("diff", "staging", "1", "--json").out)
    assert lab.get("staging/diff?from=1") == told
    assert lab.ask("GET", "free/diff?other=prod", token="").status_code == 401


def test_refused_arrivals_are_told_with_every_reason(lab: Lab) -> None:
    (refusal,) = lab.get("free/rejected", token="")
    assert refusal["file"] == "junk.rpm"
    assert refusal["faults"][0]["code"] == "not-rpm"
    assert refusal["faults"][0]["text"]


def test_keys_are_told_with_what_they_signed_where_the_caller_may_look(lab: Lab) -> None:
    (key,) = lab.get("/api/v1/keys", token="bound")
    assert set(key["repositories"]) == {"staging", "free"}
    assert key["repositories"]["free"]["packages"] == 1


# ---------------------------------------------------------------- changing


def test_a_promoted_build_is_seen_by_dnf_and_a_gate_says_why_not(lab: Lab, tmp_path: Path) -> None:
    body = {"from": "staging", "names": ["hello-1.0-1"]}
    refused = lab.ask("POST", "prod/promotions", body)
    problem = refused.json()
    assert (refused.status_code, problem["refused"]) == (422, True)
    assert problem["type"] == "/api/v1/problems/refused"
    _same_line(refused, lab.repod.cli("promote", "hello-1.0-1", "--from", "staging", "--to", "prod"))
    lab.label("1.0")
    planned = lab.post("prod/promotions", {**body, "dry_run": True})
    assert (planned["generation"], planned["rows"][0]["builds"][0]["package"]) == (None, _HELLO.format("1.0"))
    assert lab.listed("prod") == []
    done = lab.post("prod/promotions", {**body, "why": "release day"})
    assert done["rows"][0]["published"] is True
    newest = lab.get("prod/generations")[0]
    assert (newest["actor"], newest["generation"]) == ("token all", done["generation"])
    assert "release day" in newest["why"]
    repo = (
        lab.repod.repo_file("free")
        .replace("free", "prod")
        .replace("[prod]", "[prod]\nusername=t\npassword=" + lab.tokens["all"])
    )
    with Dnf(tmp_path, repo) as host:
        assert host.available() == [_HELLO.format("1.0")]


def test_a_removed_build_is_gone_and_a_rollback_brings_it_back(lab: Lab) -> None:
    before = lab.get("staging")["generation"]
    gone = lab.post("staging/removals", {"nevras": ["tool-*"], "why": "not for anyone"})
    assert gone["rows"][0]["result"] == "removed"
    assert "was the last build of tool" in gone["warnings"][0]
    assert "tool-1.0-1.noarch" not in lab.listed("staging")
    planned = lab.post("staging/rollbacks", {"to": before, "dry_run": True})
    assert planned["rows"][0]["added"] == [{"before": None, "after": "tool-1.0-1.noarch"}]
    back = lab.post("staging/rollbacks", {"to": before})
    assert back["generation"] == before + 2
    assert "tool-1.0-1.noarch" in lab.listed("staging")


def test_a_pinned_build_cannot_be_removed_until_it_is_unpinned(lab: Lab) -> None:
    build = _HELLO.format("1.2")
    assert lab.ask("PUT", f"staging/packages/{build}/pin", {"why": "a customer has it"}).json()["rows"] == [
        {"package": build, "result": "pinned"}
    ]
    refused = lab.ask("POST", "staging/removals", {"nevras": [build]})
    assert refused.status_code == 422
    assert refused.json()["refused"] is True
    _same_line(refused, lab.repod.cli("remove", "staging", build))
    assert lab.get(f"staging/packages/{build}")["builds"][0]["pin"]["actor"] == "token all"
    assert lab.ask("DELETE", f"staging/packages/{build}/pin").json()["rows"][0]["result"] == "unpinned"
    assert lab.get(f"staging/packages/{build}")["builds"][0]["pin"] is None


def test_labels_come_and_go(lab: Lab) -> None:
    build = _HELLO.format("1.1")
    path = f"staging/packages/{build}/labels/smoke-test_1"
    assert lab.ask("PUT", path).json()["rows"] == [{"package": build, "result": "labelled smoke-test_1"}]
    assert "smoke-test_1" in lab.get(f"staging/packages/{build}")["builds"][0]["labels"]
    assert lab.ask("DELETE", path).json()["rows"][0]["result"] == "smoke-test_1 taken off"
    assert lab.ask("DELETE", path).json()["rows"][0]["result"] == "had no label smoke-test_1"


def test_an_advisory_is_added_listed_and_removed(lab: Lab) -> None:
    body = {
        "id": "LAB-2026-1",
        "type": "security",
        "severity": "important",
        "title": "hello: a fix",
        "issued": "2026-01-31",
        "packages": [_HELLO.format("1.2")],
    }
    done = lab.post("staging/advisories?why=CVE", body)
    assert done["rows"] == [{"document": "advisory LAB-2026-1", "result": "added", "generation": done["generation"]}]
    listed = json.loads(lab.repod.cli("advisory list", "staging", "--json").out)
    assert lab.get("staging/advisories") == listed
    assert [row["id"] for row in listed] == ["LAB-2026-1"]
    bad = lab.ask("POST", "staging/advisories", {**body, "packages": ["hello"]})
    assert bad.status_code == 422
    assert "expected NAME-[EPOCH:]VERSION-RELEASE.ARCH" in bad.text
    assert lab.ask("DELETE", "staging/advisories/LAB-2026-1").status_code == 200
    missing = lab.ask("DELETE", "staging/advisories/LAB-2026-1")
    assert missing.status_code in {404, 422}
    _same_line(missing, lab.repod.cli("advisory remove", "staging", "LAB-2026-1"))


def test_a_prune_and_a_verification_tell_what_they_found(lab: Lab) -> None:
    assert lab.get("free/prune") == json.loads(lab.repod.cli("prune", "free", "--dry-run", "--json").out)
    assert lab.ask("POST", "free/prunes").json()["rows"] == []
    found = lab.post("free/verifications")
    assert (found["rows"], found["code"]) == ([], 0)
    assert found["text"].startswith("sound")


def test_a_change_that_is_not_waited_for_is_a_job(lab: Lab) -> None:
    begun = lab.ask("POST", "free/verifications?wait=0", {"repair": True})
    assert begun.status_code == 202
    assert begun.json()["state"] in {"running", "done"}
    path = begun.headers["location"]
    ended = lab.get(f"{path}?wait=60")
    assert (ended["state"], ended["what"], ended["actor"]) == ("done", "verify", "token all")
    assert ended["result"]["repository"] == "free"
    # Anybody may read ``free``, so anybody may see what happens to it.
    assert lab.get(path, token="")["id"] == ended["id"]


def test_a_job_is_shown_to_who_asked_for_it_and_to_readers_of_its_repository_alone(lab: Lab) -> None:
    path = lab.ask("POST", "prod/verifications?wait=0").headers["location"]
    assert lab.get(f"{path}?wait=60")["state"] == "done"
    assert lab.get(path, token="reader")["state"] == "done"
    assert lab.ask("GET", path, token="bound").status_code == 404
    assert lab.ask("GET", path, token="").status_code == 404


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "prod/promotions", {"from": "staging", "names": ["hello"]}),
        ("POST", "staging/rollbacks", {}),
        ("POST", "staging/removals", {"nevras": ["tool-1.0-1.noarch"]}),
        ("PUT", "staging/packages/tool-1.0-1.noarch/pin", {}),
        ("DELETE", "staging/packages/tool-1.0-1.noarch/pin", None),
        ("PUT", "staging/packages/tool-1.0-1.noarch/labels/x", None),
        ("DELETE", "staging/packages/tool-1.0-1.noarch/labels/x", None),
        ("POST", "staging/prunes", None),
        ("POST", "staging/verifications", {}),
        ("DELETE", "staging/advisories/X-1", None),
    ],
)
def test_a_change_takes_a_token_that_allows_it_sent_on_purpose(lab: Lab, method: str, path: str, body: Any) -> None:
    before = lab.get("staging")["generation"]
    nobody = lab.ask(method, path, body, token="")
    assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, 'Bearer realm="repod"')
    assert lab.ask(method, path, body, token="reader").status_code == 403
    remembered = httpx.request(
        method, f"{lab.repod.url}/api/v1/repositories/{path}", json=body, auth=("t", lab.tokens["all"]), timeout=60
    )
    assert remembered.status_code == 403
    assert "Authorization: Bearer TOKEN" in remembered.json()["detail"]
    elsewhere = lab.ask(method, path, body, headers={"Sec-Fetch-Site": "cross-site"})
    assert elsewhere.status_code == 403
    assert lab.get("staging")["generation"] == before


def test_who_promotes_must_be_allowed_to_read_the_source(lab: Lab) -> None:
    body = {"from": "prod", "names": ["hello"]}
    answer = lab.ask("POST", "staging/promotions", body, token="bound")
    assert (answer.status_code, answer.json()["detail"]) == (403, "token bound may not read prod")


def test_a_body_is_json_says_so_and_is_small(lab: Lab) -> None:
    url = f"{lab.repod.url}/api/v1/repositories/staging/removals"
    token = {"Authorization": f"Bearer {lab.tokens['all']}"}
    form = httpx.post(url, headers=token, data={"nevras": "x"}, timeout=60)
    assert (form.status_code, form.json()["type"]) == (415, "/api/v1/problems/media-type")
    large = json.dumps({"nevras": ["x" * 70_000]}).encode()
    json_type = {**token, "Content-Type": "application/json"}
    assert httpx.post(url, headers=json_type, content=large, timeout=60).status_code == 413
    pieces = (large[at : at + 1000] for at in range(0, len(large), 1000))
    assert httpx.post(url, headers=json_type, content=pieces, timeout=60).status_code == 413
    broken = httpx.post(url, headers=json_type, content=b'{"nevras": [', timeout=60)
    assert (broken.status_code, broken.json()["type"]) == (400, "/api/v1/problems/malformed")
    deep = httpx.post(url, headers=json_type, content=b"[" * 60_000, timeout=60)
    assert deep.status_code in {400, 422}


def test_every_fault_of_a_body_is_told_at_once(lab: Lab) -> None:
    answer = lab.ask("POST", "staging/removals", {"nevras": [], "why": "a\nb", "dryrun": True})
    assert answer.status_code == 422
    assert [line.partition(": ")[2].partition(":")[0] for line in answer.json()["faults"]] == [
        "nevras",
        "why",
        "dryrun",
    ]
    url = f"{lab.repod.url}/api/v1/repositories/staging/removals"
    token = {"Authorization": f"Bearer {lab.tokens['all']}", "Content-Type": "application/json"}
    odd = httpx.post(url, headers=token, content=rb'{"nevras": ["\ud800"]}', timeout=60)
    assert (odd.status_code, odd.json()["status"]) == (422, 422)


@pytest.mark.parametrize("number", [True, "1", 1.0, 0, -1, 2**40])
def test_a_number_in_a_body_is_a_number_and_nothing_like_one(lab: Lab, number: object) -> None:
    before = lab.get("staging")["generation"]
    answer = lab.ask("POST", "staging/rollbacks", {"to": number})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("body: to: ")
    assert lab.get("staging")["generation"] == before


def test_errors_are_the_lines_of_the_command_line(lab: Lab) -> None:
    cases: list[tuple[int, tuple[Any, ...], tuple[str, ...]]] = [
        (
            404,
            ("POST", "staging/removals", {"nevras": ["nothing-1-1.noarch"]}),
            ("remove", "staging", "nothing-1-1.noarch"),
        ),
        (422, ("POST", "staging/rollbacks", {"to": 4711}), ("rollback", "staging", "--to", "4711")),
        (404, ("GET", "staging/packages/hallo-1-1.noarch", None), ("why", "staging", "hallo-1-1.noarch")),
        (404, ("GET", "staging/diff?from=4711", None), ("diff", "staging", "4711")),
        (
            404,
            ("POST", "prod/promotions", {"from": "staging", "names": ["hallo"]}),
            ("promote", "hallo", "--from", "staging", "--to", "prod"),
        ),
    ]
    for status, asked, (command, *words) in cases:
        answer = lab.ask(*asked)
        assert answer.status_code == status, answer.text
        _same_line(answer, lab.repod.cli(command, *words))


def test_every_answer_is_readable_for_a_person_with_curl(lab: Lab) -> None:
    answer = lab.ask("GET", "no-such")
    assert answer.text.splitlines() == [
        "{",
        ' "type": "/api/v1/problems/not-found",',
        ' "title": "It is not there",',
        ' "status": 404,',
        ' "detail": "there is no repository \'no-such\' here"',
        "}",
    ]
    assert lab.get("/api/v1/problems/not-found", token="")["meaning"]
    assert lab.ask("GET", "/api/v1/version").text.splitlines()[0::3] == ["{", "}"]
    nowhere = lab.ask("GET", "/api/v1/repos")
    assert (nowhere.status_code, nowhere.json()["detail"]) == (404, "there is nothing at '/api/v1/repos'")
    wrong = lab.ask("DELETE", "staging/advisories")
    assert (wrong.status_code, wrong.json()["detail"]) == (405, "expected GET or HEAD or POST, found DELETE")


def test_the_log_tells_each_change_with_who_asked_for_it_and_what_came_of_it(lab: Lab) -> None:
    lab.post("free/verifications")
    (event,) = lab.repod.find_events("change", what="verify", repository="free", by="token all")[-1:]
    assert event["result"].startswith("sound")
    lab.ask("POST", "staging/removals", {"nevras": ["nothing-1-1.noarch"]})
    (event,) = lab.repod.find_events("change not made", what="remove")[-1:]
    assert "no build of staging is 'nothing-1-1.noarch'" in event["problem"]


@pytest.mark.parametrize(
    "head",
    [
        b"GET /api/v1/version HTTP/1.1\r\n",
        b"GET /api/v1/version HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n",
        b"GET /repos/free/ HTTP/1.1\r\n",
        b"GET http://evil.example/api/v1/version HTTP/1.1\r\nHost: localhost\r\n",
        b"GET //evil.example/%2e%2e/ HTTP/1.1\r\nHost: localhost\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n",
        b"GET /api/v1/version\x00 HTTP/1.1\r\nHost: localhost\r\n",
        b"GET /api/v1/" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n",
    ],
)
def test_a_head_that_plays_tricks_is_the_callers_fault(lab: Lab, head: bytes) -> None:
    place = urllib.parse.urlsplit(lab.repod.url)
    with socket.create_connection((place.hostname, place.port), timeout=60) as channel:
        channel.sendall(head + b"Connection: close\r\n\r\n")
        status = channel.makefile("rb").readline()
    assert status.split()[1][:1] == b"4", status
    assert lab.repod.noise() == []


def test_links_to_a_repository_come_from_the_settings_never_from_the_request(lab: Lab) -> None:
    answer = lab.ask("GET", "/repos/free/", token="", headers={"Host": "evil.example"})
    assert answer.status_code == 200
    assert "evil" not in answer.text


def test_strangers_do_not_learn_from_which_private_repository_a_build_came(lab: Lab) -> None:
    lab.post("free/promotions", {"from": "staging", "names": ["tool"], "why": "a secret reason"})
    path = "free/packages/tool-1.0-1.noarch"
    told = lab.ask("GET", path, token="")
    assert told.status_code == 200
    assert told.json()["builds"][0]["elsewhere"] == {}
    (came,) = told.json()["builds"][0]["came"]
    assert (came["repository"], came["of"], came["why"]) == ("free", "another repository", "")
    assert "staging" in lab.get(path)["builds"][0]["elsewhere"]
