"""Reports over HTTP: rollouts of the client, and what hosts run; kept, told to hooks, and heeded by retention."""

import contextlib
import hashlib
import http.client
import json
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.daemon import Repod
from tests.lab.receiver import WebReceiver
from tests.lab.repoctl import repoctl
from tests.lab.rpms import quick
from tests.lab.wait import until

_ROLLOUT: dict[str, Any] = {
    "id": "2026-11-26.1",
    "package": "hello",
    "builds": ["hello-1.0-1.noarch"],
    "group": "web",
    "strategy": {"canary": 1, "wave": "25%", "max_failures": "10%"},
    "state": "running",
    "actor": "anna",
    "started": "2026-11-26T04:00:00Z",
    "hosts": [
        {"host": "web1", "state": "proven", "from": "", "to": "hello-1.0-1.noarch", "seconds": 3.5},
        {"host": "web2", "wave": 1, "state": "pending"},
    ],
}


@pytest.fixture(scope="module")
def web() -> Iterator[WebReceiver]:
    with WebReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def repod(
    tmp_path_factory: pytest.TempPathFactory, key_file: Path, web: WebReceiver, long_lived: set[int]
) -> Iterator[Repod]:
    base = tmp_path_factory.mktemp("reports")
    (base / "hosts").mkdir()
    found = Repod(
        base,
        key_file,
        {"test": {"retention": {"hosts": "hosts"}}, "plain": {}},
        settings={
            "http": {"listen": "127.0.0.1:0", "tokens": "tokens.json"},
            "audit": {"file": "audit.jsonl"},
            "hook": [{"name": "ci", "url": web.url, "events": ["repod.rollout.*"]}],
        },
    )
    with found:
        long_lived.add(found.pid)
        shutil.copy(quick(base, "hello"), found.inbox())
        until(lambda: not list(found.inbox().iterdir()), 60, "the package to be taken in")
        yield found


@pytest.fixture(scope="module")
def token(repod: Repod) -> str:
    return repod.cli("token add", "client", "--may", "report", "--may", "prune").out.strip()


def ask(
    repod: Repod, method: str, path: str, body: bytes = b"", kind: str = "application/json", token: str = ""
) -> tuple[int, Any]:
    headers = {"Content-Type": kind} if body else {}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    url = f"{repod.url}/api/v1/repositories/{path}"
    request = urllib.request.Request(url, data=body or None, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def put(repod: Repod, token: str, rollout: dict[str, Any], name: str = "", repository: str = "test") -> tuple[int, Any]:
    path = f"{repository}/rollouts/{name or rollout['id']}"
    return ask(repod, "PUT", path, json.dumps(rollout).encode(), token=token)


def test_a_rollout_is_reported_as_it_goes_shown_and_told_when_it_begins_and_ends(
    repod: Repod, token: str, web: WebReceiver
) -> None:
    status, begun = put(repod, token, _ROLLOUT)
    assert (status, begun["counts"], begun["reported_by"]) == (200, {"proven": 1, "pending": 1}, "token client")
    assert put(repod, token, _ROLLOUT)[0] == 200
    hosts = [host | {"state": "proven"} for host in _ROLLOUT["hosts"]]
    over = _ROLLOUT | {"state": "succeeded", "ended": "2026-11-26T04:05:00Z", "hosts": hosts}
    assert put(repod, token, over)[0] == 200
    status, said = put(repod, token, _ROLLOUT)
    assert (status, said["type"]) == (409, "/api/v1/problems/conflict")
    assert "has ended (succeeded); expected a new id" in said["detail"]
    status, rows = ask(repod, "GET", "test/rollouts")
    assert [(row["id"], row["state"], row["hosts"], row["counts"]) for row in rows] == [
        ("2026-11-26.1", "succeeded", 2, {"proven": 2})
    ]
    status, one = ask(repod, "GET", "test/rollouts/2026-11-26.1")
    assert (status, one["rollout"]["hosts"][0]["to"]) == (200, "hello-1.0-1.noarch")
    assert ask(repod, "GET", "plain/rollouts") == (200, [])
    until(lambda: len(web.events) >= 2, 60, "the hook to be told")
    assert [(event["type"], event["data"]["state"]) for event in web.events] == [
        ("repod.rollout.reported.v1", "running"),
        ("repod.rollout.reported.v1", "succeeded"),
    ]


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"colour": "blue"}, 422, "colour: is not known here, found 'blue'"),
        ({"state": "done"}, 422, "state: input should be"),
        ({"ended": "2026-11-26T04:05:00Z"}, 422, "ended: expected a time where it is over and none while it runs"),
        ({"id": "another"}, 422, "id: expected '2026-11-26.1', as in the path, found 'another'"),
    ],
)
def test_what_is_no_report_is_refused_in_words(
    repod: Repod, token: str, change: dict[str, Any], status: int, said: str
) -> None:
    found, answer = put(repod, token, _ROLLOUT | change, name=_ROLLOUT["id"])
    assert found == status
    assert said in answer["detail"]


def test_a_report_that_is_too_large_is_refused_before_it_is_sent(repod: Repod, token: str) -> None:
    client = http.client.HTTPConnection(repod.url.removeprefix("http://"), timeout=60)
    client.putrequest("PUT", "/api/v1/repositories/test/rollouts/large")
    for name, value in (("Content-Type", "application/json"), ("Content-Length", "5000000")):
        client.putheader(name, value)
    client.putheader("Authorization", f"Bearer {token}")
    client.endheaders()
    with contextlib.closing(client), client.getresponse() as answer:
        assert (answer.status, json.load(answer)["detail"]) == (413, "expected a body of at most 4194304 bytes")


def test_reports_need_a_token_that_may(repod: Repod, token: str) -> None:
    reader = repod.cli("token add", "reader").out.strip()
    body = json.dumps(_ROLLOUT).encode()
    assert ask(repod, "PUT", "test/rollouts/2026-11-26.1", body)[0] == 401
    assert ask(repod, "PUT", "test/rollouts/2026-11-26.1", body, token=reader)[0] == 403
    assert ask(repod, "PUT", "none/rollouts/2026-11-26.1", body, token=token)[0] == 404
    assert ask(repod, "PUT", "test/rollouts/2026-11-26.1", body, kind="text/plain", token=token)[0] == 415
    assert ask(repod, "GET", "test/rollouts/none")[0] == 404


def test_what_a_host_says_that_it_runs_is_kept_where_retention_looks(repod: Repod, token: str) -> None:
    text = b"hello-1.0-1.noarch\nbash-5.2-1.el9.x86_64\ngpg-pubkey-fd431d51-4ae0493b\n"
    status, noted = ask(repod, "PUT", "test/hosts/web1.example.com", text, kind="text/plain", token=token)
    assert (status, noted) == (200, {"host": "web1.example.com", "packages": 2})
    folder = repod.base / "hosts"
    assert (folder / "web1.example.com").read_bytes() == text
    assert [path.name for path in folder.iterdir()] == ["web1.example.com"]
    (noted,) = (one for one in json.loads(repod.cli("audit list", "--json").out) if one["what"] == "report host")
    assert (noted["repository"], noted["details"]["host"]) == ("test", "web1.example.com")
    assert noted["details"]["sha256"] == hashlib.sha256(text).hexdigest()
    why = json.loads(repod.cli("why", "test", "hello-1.0-1.noarch", "--json").out)
    assert "runs on host web1.example.com" in json.dumps(why)


@pytest.mark.parametrize(
    ("repository", "host", "text", "status", "said"),
    [
        (
            "test",
            "web1",
            b"rpm: command not found\n",
            422,
            "expected lines as rpm -qa prints them, found 'rpm: command",
        ),
        ("test", "web1", b"\n", 422, "expected what rpm -qa prints, found no package"),
        ("test", "web1", b"\xff\n", 422, "expected what rpm -qa prints, in UTF-8"),
        ("test", ".hidden", b"a-1-1.noarch\n", 422, "host: string should match pattern"),
    ],
)
def test_what_would_stop_retention_is_not_kept(
    repod: Repod, token: str, repository: str, host: str, text: bytes, status: int, said: str
) -> None:
    found, answer = ask(repod, "PUT", f"{repository}/hosts/{host}", text, kind="text/plain", token=token)
    assert found == status
    assert said in answer["detail"]


_DIGEST = "0123456789abcdef" * 4


def says(repod: Repod, token: str, host: str, body: dict[str, Any], repository: str = "plain") -> tuple[int, Any]:
    return ask(repod, "PUT", f"{repository}/hosts/{host}", json.dumps(body).encode(), token=token)


def test_without_any_setting_a_host_tells_builds_with_digests_and_what_it_would_go_back_to(
    repod: Repod, token: str
) -> None:
    packages = [
        {"nevra": "hello-1.0-1.noarch", "header_sha256": _DIGEST},
        {"nevra": "bash-5.2-1.el9.x86_64"},
        {"nevra": "gpg-pubkey-fd431d51-4ae0493b"},
    ]
    body = {"packages": packages, "previous": [{"nevra": "hello-0.9-1.noarch", "header_sha256": _DIGEST}]}
    assert says(repod, token, "db1", body) == (200, {"host": "db1", "packages": 2})
    assert json.loads((repod.store("plain") / ".repod/hosts/db1.json").read_bytes())["by"] == "token client"
    status, page = ask(repod, "GET", "plain/hosts?package=hello", token=token)
    (row,) = page["hosts"]
    assert (status, page["total"], row["host"], row["packages"], row["stale"]) == (200, 1, "db1", 2, False)
    assert [(one["package"], one["header_sha256"]) for one in row["builds"]] == [("hello-1.0-1.noarch", _DIGEST)]
    assert row["previous"] == ["hello-0.9-1.noarch"]
    assert ask(repod, "GET", "plain/hosts?package=none", token=token)[1]["hosts"] == []
    status, _ = ask(repod, "DELETE", "plain/hosts/db1", token=token)
    assert status == 204
    status, said = ask(repod, "DELETE", "plain/hosts/db1", token=token)
    assert (status, "there is no report of host 'db1'" in said["detail"]) == (404, True)
    assert [one["what"] for one in json.loads(repod.cli("audit list", "--json").out)][-1] == "forget host"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"packages": []}, "packages: value should have at least 1 item"),
        ({"packages": [{"nevra": "no nevra"}]}, "nevra: string should match pattern"),
        ({"packages": [{"nevra": "nothing"}]}, "expected lines as rpm -qa prints them, found 'nothing'"),
        ({"packages": [{"nevra": "a\x9b2J-1-1.noarch"}]}, r"expected lines as rpm -qa prints them, found 'a\x9b2J"),
        ({"packages": [{"nevra": "a-1-1.noarch", "header_sha256": "beef"}]}, "header_sha256: string should match"),
        ({"packages": [{"nevra": "a-1-1.noarch"}], "previous": [{"nevra": "x"}]}, "found 'x'"),
        ({"packages": [{"nevra": "a-1-1.noarch"}], "colour": "blue"}, "colour: is not known here"),
    ],
)
def test_a_report_in_json_is_proven_field_by_field(repod: Repod, token: str, body: dict[str, Any], said: str) -> None:
    status, answer = says(repod, token, "db2", body)
    assert status == 422
    assert said in answer["detail"]


def test_pages_of_hosts_follow_each_other_and_a_host_that_lags_is_told_apart(repod: Repod, token: str) -> None:
    for number, release in ((1, "0"), (2, "1"), (3, "1")):
        body = {"packages": [{"nevra": f"hello-1.0-{release}.noarch"}]}
        assert says(repod, token, f"app{number}", body, "test")[0] == 200
    status, first = ask(repod, "GET", "test/hosts?package=hello&limit=2", token=token)
    assert (status, [row["host"] for row in first["hosts"]], first["next"]) == (200, ["app1", "app2"], "app2")
    status, rest = ask(repod, "GET", "test/hosts?package=hello&limit=2&after=app2", token=token)
    assert "app3" in [row["host"] for row in rest["hosts"]]
    (build,) = first["hosts"][0]["builds"]
    assert (build["newest"], build["differs"]) == ("hello-1.0-1.noarch", True)
    assert not first["hosts"][1]["builds"][0]["differs"]
    assert first["differs"] == 1
    listed = json.loads(repod.cli("hosts list", "test", "--package", "hello", "--json").out)
    assert [row["host"] for row in listed][:3] == ["app1", "app2", "app3"]
    table = repod.cli("hosts list", "test").out
    assert "hello-1.0-0.noarch (newest: hello-1.0-1.noarch)" in table
    for number in (1, 2, 3):
        assert repod.cli("hosts forget", "test", f"app{number}").rc == 0
    assert not (repod.base / "hosts/app1").exists()


def test_strangers_are_told_how_many_hosts_run_a_build_and_not_which(repod: Repod, token: str) -> None:
    assert says(repod, token, "secret-db", {"packages": [{"nevra": "hello-1.0-1.noarch"}]}, "test")[0] == 200
    assert put(repod, token, _ROLLOUT | {"id": "veiled", "problem": "web1 is down"})[0] == 200
    status, known = ask(repod, "GET", "test/packages/hello-1.0-1.noarch", token=token)
    assert (status, "secret-db" in json.dumps(known)) == (200, True)
    for path in ("packages/hello-1.0-1.noarch", "rollouts/veiled", "rollouts", "prune"):
        status, answer = ask(repod, "GET", f"test/{path}")
        assert status == 200
        assert not {"secret-db", "web1"} & set(re.findall(r"[a-z0-9-]+", json.dumps(answer))), path
    assert ask(repod, "GET", "test/hosts")[0] == 401
    status, one = ask(repod, "GET", "test/rollouts/veiled")
    assert [host["state"] for host in one["rollout"]["hosts"]] == ["proven", "pending"]
    assert ask(repod, "GET", "test/rollouts/veiled", token=token)[1]["rollout"]["hosts"][0]["host"] == "web1"
    assert repod.cli("hosts forget", "test", "secret-db").rc == 0


def test_who_may_report_may_not_make_repod_forget_what_another_host_runs(repod: Repod, token: str) -> None:
    assert says(repod, token, "kept1", {"packages": [{"nevra": "hello-1.0-0.noarch"}]})[0] == 200
    reporter = repod.cli("token add", "reporter", "--may", "report").out.strip()
    until(lambda: says(repod, reporter, "own1", {"packages": [{"nevra": "a-1-1.noarch"}]})[0] == 200, 30, "the token")
    status, said = ask(repod, "DELETE", "plain/hosts/kept1", token=reporter)
    assert (status, "prune" in said["detail"]) == (403, True)
    assert ask(repod, "DELETE", "plain/hosts/kept1", token=token)[0] == 204


def test_a_token_for_some_hosts_reports_of_no_other_and_of_no_rollout(repod: Repod, token: str) -> None:
    words = ("--may", "report", "--host", "web-*", "--host", "db1")
    limited = repod.cli("token add", "limited", *words).out.strip()
    said = {"packages": [{"nevra": "a-1-1.noarch"}]}
    until(lambda: says(repod, limited, "web-7", said)[0] == 200, 30, "the token")
    assert says(repod, limited, "db1", said)[0] == 200
    status, answer = says(repod, limited, "db2", said)
    assert (status, answer["detail"]) == (403, "token limited may report of db1, web-* only, not of db2")
    status, answer = put(repod, limited, _ROLLOUT | {"id": "forged"})
    assert (status, answer["detail"]) == (403, "token limited may report of db1, web-* only, not rollouts")
    (row,) = (one for one in json.loads(repod.cli("token list", "--json").out) if one["name"] == "limited")
    assert row["hosts"] == ["db1", "web-*"]
    done = repod.cli("token add", "wrong", "--host", "web-*")
    assert (done.rc, "takes --may report too" in done.err) == (2, True)


def test_the_longest_name_of_a_host_is_kept_and_a_longer_one_is_refused(repod: Repod, token: str) -> None:
    said = {"packages": [{"nevra": "a-1-1.noarch"}]}
    assert says(repod, token, "h" * 240, said)[0] == 200
    assert says(repod, token, "h" * 241, said)[0] == 422


def test_repoctl_lists_hosts_that_report_and_forgets_one(repod: Repod, token: str) -> None:
    assert says(repod, token, "old1", {"packages": [{"nevra": "hello-1.0-0.noarch"}]}, "test")[0] == 200
    words = {"REPOCTL_URL": repod.url, "REPOCTL_TOKEN": token}
    done = repoctl("hosts", "reported", "test", "--package", "hello", "--json", env=words, cwd=repod.base)
    assert done.rc == 0, done.err
    assert "old1" in [row["host"] for row in json.loads(done.out)]
    assert repoctl("hosts", "forget", "test", "old1", env=words, cwd=repod.base).rc == 0
    again = repoctl("hosts", "forget", "test", "old1", env=words, cwd=repod.base)
    assert (again.rc, "there is no report of host 'old1'" in again.err) == (1, True)
