"""Who changed what: the audit log of a running daemon, and of the commands beside it."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from repod.cli import _COMMANDS
from tests.lab.audits import read
from tests.lab.daemon import Repod
from tests.lab.looks import names
from tests.lab.rpms import quick
from tests.lab.wait import until


class Watched(NamedTuple):
    """A daemon with an audit log, two builds published and one refused; ``token`` may roll back, and no more."""

    repod: Repod
    file: Path
    token: str

    def post(self, path: str, body: Any, token: str) -> httpx.Response:
        url = f"{self.repod.url}/api/v1/repositories/{path}"
        return httpx.post(url, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=60)

    def records(self, what: str) -> Sequence[dict[str, Any]]:
        return [one for one in read(self.file) if one["what"] == what]

    def audit(self, *words: str) -> Any:
        done = self.repod.cli(f"audit {words[0]}", *words[1:], "--json")
        assert done.rc == 0, done.err
        return json.loads(done.out)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]) -> Iterator[Watched]:
    base = tmp_path_factory.mktemp("audit")
    settings = {"http": {"tokens": "tokens.json"}, "audit": {"file": "log/audit.jsonl"}}
    (base / "log").mkdir()
    with Repod(base, key_file, settings=settings) as repod:
        long_lived.add(repod.pid)
        token = repod.cli("token add", "ci", "--may", "rollback", "--may", "upload").out.strip()
        quick(repod.inbox(), "hello", "1.0")
        until(lambda: repod.find_events("package published"), 30, "the first build to be live")
        quick(repod.inbox(), "hello", "1.1")
        until(lambda: len(repod.find_events("package published")) == 2, 30, "the second build to be live")
        (repod.inbox() / "junk.rpm").write_bytes(b"this is no package")
        until(lambda: names(repod.rejected()), 30, "the junk to be refused")
        yield Watched(repod, base / "log/audit.jsonl", token)


def test_what_came_through_the_inbox_is_written_down(watched: Watched) -> None:
    until(lambda: watched.records("reject"), 30, "the refusal to be written")
    first, second = watched.records("publish")[:2]
    assert (first["actor"], first["repository"], first["outcome"]) == ("inbox", "test", "done")
    (file,) = second["details"]["files"]
    assert (file["file"], file["package"]) == ("hello-1.1-1.noarch.rpm", "hello-1.1-1.noarch")
    (reject,) = watched.records("reject")
    assert reject["details"]["file"] == "junk.rpm"
    assert reject["details"]["faults"]


def test_a_change_over_http_is_written_down_with_who_from_where_and_what_came_of_it(watched: Watched) -> None:
    before = len(watched.records("rollback"))
    answer = watched.post("test/rollbacks", {"to": 2, "why": "1.1 crashes"}, watched.token)
    assert answer.status_code == 200, answer.text
    again = watched.post("test/rollbacks", {"to": 999}, watched.token)
    assert again.status_code != 200
    done, failed = watched.records("rollback")[before:]
    assert (done["actor"], done["address"], done["repository"]) == ("token ci", "127.0.0.1", "test")
    assert done["details"] == {"to": 2, "why": "1.1 crashes"}
    assert done["outcome"].startswith("done: ")
    assert failed["outcome"].startswith(("failed: ", "refused: "))


def test_an_upload_is_written_down_with_its_checksum(watched: Watched, tmp_path: Path) -> None:
    package = quick(tmp_path, "tool").read_bytes()
    url = f"{watched.repod.url}/api/v1/repositories/test/inbox/tool.rpm?wait=30"
    answer = httpx.put(url, content=package, headers={"Authorization": f"Bearer {watched.token}"}, timeout=60)
    assert answer.status_code == 200, answer.text
    (upload,) = watched.records("upload")
    assert (upload["actor"], upload["address"]) == ("token ci", "127.0.0.1")
    wanted = {"file": "tool.rpm", "size": len(package), "sha256": hashlib.sha256(package).hexdigest()}
    assert upload["details"] == wanted
    until(lambda: wanted["sha256"] in str(watched.records("publish")), 30, "the publish to be written")


def test_who_was_not_let_in_is_written_down_once_and_without_his_secret(watched: Watched) -> None:
    for _ in range(5):
        assert watched.post("test/rollbacks", {}, "repod_" + "guess" * 8).status_code == 401
        assert watched.post("test/removals", {"nevras": ["hello-1.0-1.noarch"]}, watched.token).status_code == 403

    def attempts() -> list[tuple[str, str, str]]:
        return [
            (one["actor"], one["what"], one["outcome"])
            for one in read(watched.file)
            if one["outcome"].startswith("refused: ") and one["what"] in {"rollback", "remove"} and not one["details"]
        ]

    until(lambda: len(attempts()) == 2, 60, "the attempts to be written")
    assert sorted(attempts()) == [
        ("token ci", "remove", "refused: token ci may not remove test"),
        ("unknown", "rollback", "refused: these credentials are not known"),
    ]
    assert b"guess" not in watched.file.read_bytes()


def test_tokens_are_written_down_and_never_their_secrets(watched: Watched) -> None:
    secret = watched.repod.cli("token add", "short", "--may", "upload", "--repository", "test").out.strip()
    assert watched.repod.cli("token revoke", "short").rc == 0
    add, revoke = watched.records("token add")[-1], watched.records("token revoke")[-1]
    assert add["details"]["name"] == revoke["details"]["name"] == "short"
    assert (add["details"]["may"], add["details"]["repositories"]) == (["upload"], ["test"])
    assert (add["address"], add["outcome"]) == ("local", "done")
    assert secret.encode() not in watched.file.read_bytes()
    assert watched.token.encode() not in watched.file.read_bytes()


def test_the_head_is_told_to_who_watches_and_the_log_is_proven_against_it(watched: Watched) -> None:
    head = watched.repod.cli("audit head").out.strip()
    seen = json.loads(watched.repod.get("/api/v1/audit/head")[1])
    assert int(seen["n"]) >= int(head.partition(":")[0])
    assert watched.repod.find_events("audit log")[0]["head"].startswith(("0:", "1:"))
    done = watched.repod.cli("audit verify", "--head", head)
    assert done.rc == 0, done.err
    assert "hang together; head " in done.out


def test_records_are_listed_by_repository_actor_and_time(watched: Watched) -> None:
    rows = watched.audit("list", "--actor", "inbox", "--repository", "test", "--since", "1d")
    assert {row["what"] for row in rows} == {"publish", "reject"}
    assert watched.audit("list", "--since", "2999-01-01") == []
    assert watched.repod.cli("audit list", "--since", "whenever").rc == 2
    table = watched.repod.cli("audit list").out
    assert "token add" in table
    assert "[{" not in table


def test_an_altered_record_is_told_by_its_number_and_fails_the_command(watched: Watched, tmp_path: Path) -> None:
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(watched.file.read_bytes().replace(b'"what":"publish"', b'"what":"nothing"', 1))
    done = watched.repod.cli("audit verify", str(copy))
    assert done.rc == 1
    number = watched.records("publish")[0]["n"]
    assert f"repod: record {number} (copy.jsonl line {number}) is altered" in done.err


def test_while_it_cannot_be_written_changes_by_hand_are_refused_and_the_inbox_goes_on(watched: Watched) -> None:
    repod, folder = watched.repod, watched.file.parent
    apart = folder.with_name("apart")
    count = len(watched.records("publish"))
    folder.rename(apart)
    generation = json.loads(repod.cli("status", "--json").out)[0]["generation"]
    answer = watched.post("test/rollbacks", {"to": 2}, watched.token)
    assert answer.status_code == 503
    assert "audit.jsonl cannot be written (No such file or directory)" in answer.json()["detail"]
    done = repod.cli("rollback", "test", "--to", "2")
    assert done.rc == 4
    assert "cannot be written" in done.err
    assert repod.cli("token add", "late").rc == 4
    assert json.loads(repod.cli("status", "--json").out)[0]["generation"] == generation
    quick(repod.inbox(), "hello", "1.2")
    until(
        lambda: repod.find_events("package published", file="hello-1.2-1.noarch.rpm"),
        30,
        "the package to be live all the same",
    )
    until(lambda: repod.get("/readyz")[0] == 503, 20, "the fault to be shown")
    assert "audit log" in json.loads(repod.get("/readyz")[1])["faults"]
    assert b"repod_audit_errors_total 0.0" not in repod.get("/metrics")[1]
    apart.rename(folder)
    until(lambda: repod.get("/readyz")[0] == 200, 30, "the fault to be over")
    until(lambda: len(watched.records("publish")) == count + 1, 20, "what happened meanwhile to be written")
    assert repod.cli("audit verify").rc == 0


# ---------------------------------------------------------------- every command that changes something

_LOOKS = {"check", "status", "packages", "diff", "history", "why", "keys", "audit"}
_APART = {"demo", "init", "run", "once"}  # the daemon's own work, and what makes a place for it
_CHANGES: Sequence[Sequence[str]] = (
    ("prune", "test"),
    ("token add", "x"),
    ("token revoke", "x"),
    ("hosts forget", "test", "web1"),
    ("hooks skip", "told"),
    ("hooks retry", "told"),
    ("resign", "test"),
    ("adopt", "test", "/"),
    ("promote", "hello", "--from", "test", "--to", "other"),
    ("rollback", "test"),
    ("remove", "test", "hello-1.0-1.noarch"),
    ("pin", "test", "hello-1.0-1.noarch"),
    ("unpin", "test", "hello-1.0-1.noarch"),
    ("label", "test", "hello-1.0-1.noarch", "tested"),
    ("unlabel", "test", "hello-1.0-1.noarch", "tested"),
    ("ring set", "test", "web", "hello"),
    ("ring remove", "test", "web"),
    ("hosts forget", "test", "web1"),
    ("advisory remove", "test", "A-1"),
    ("comps remove", "test"),
    ("verify", "test", "--repair"),
    ("rebuild", "test"),
)


def test_every_command_either_looks_or_is_refused_while_nobody_can_write_down_what_it_does(
    tmp_path: Path, key_file: Path
) -> None:
    assert {words[0].split()[0] for words in _CHANGES} | _LOOKS | _APART == set(_COMMANDS)
    hook = {"name": "told", "exec": "/bin/true"}
    settings = {"http": {"tokens": "tokens.json"}, "audit": {"file": "missing/audit.jsonl"}, "hook": [hook]}
    repod = Repod(tmp_path, key_file, ("test", "other"), settings=settings)
    with ThreadPoolExecutor(3) as pool:
        ended = list(pool.map(lambda words: repod.cli(*words), _CHANGES))
    told = "missing/audit.jsonl cannot be written (No such file or directory)"
    each = zip(_CHANGES, ended, strict=True)
    strays = [(words, done) for words, done in each if done.rc != 4 or told not in done.err]
    assert strays == []
    assert not (tmp_path / "tokens.json").exists()
