"""Hooks of the daemon as users run it: told of what daemons and commands do, whoever dies and whoever is slow."""

import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier

from tests.lab.daemon import Repod
from tests.lab.receiver import Answer, WebReceiver
from tests.lab.rpms import quick
from tests.lab.wait import until

_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def web() -> Iterator[WebReceiver]:
    with WebReceiver() as receiver:
        yield receiver


@pytest.fixture
def hooked(tmp_path: Path, key_file: Path) -> Callable[..., Repod]:
    """A repod with these hooks; each has its own time limits for tests."""

    def make(*hooks: dict[str, Any], repositories: tuple[str, ...] = ("test",)) -> Repod:
        base = tmp_path / "repod"
        base.mkdir()
        (base / "ci.secret").write_text(_SECRET)
        return Repod(base, key_file, repositories, settings={"hook": list(hooks)})

    return make


def _told(web: WebReceiver, repository: str = "test") -> list[Any]:
    """Each event once, in the order in which it was heard first: what was added, or the file that was rejected."""
    found: dict[str, Any] = {}
    for event in web.events:
        data = event["data"]
        if event["source"] == f"/repositories/{repository}" and "added" in data:
            found.setdefault(event["id"], [row["nevra"].rpartition("-1.noarch")[0] for row in data["added"]])
        elif event["source"] == f"/repositories/{repository}":
            found.setdefault(event["id"], data.get("file"))
    return list(found.values())


def _shown(repod: Repod) -> list[tuple[Any, ...]]:
    """How every hook stands."""
    rows = json.loads(repod.cli("hooks list", "--json").out)
    return [(row["state"], row["waiting"], row["delivered"], row["problem"]) for row in rows]


def _waiting(repod: Repod) -> dict[tuple[str, str], int]:
    """How many events wait, by hook and repository."""
    rows = json.loads(repod.cli("hooks list", "--json").out)
    return {(row["hook"], row["repository"]): row["waiting"] for row in rows}


def _drop(repod: Repod, folder: Path, name: str, repository: str = "test") -> None:
    shutil.copy(quick(folder, name), repod.inbox(repository))


def _publish(repod: Repod, folder: Path, *names: str, repository: str = "test") -> None:
    """One generation for each."""
    for name in names:
        _drop(repod, folder, name, repository)
        until(lambda: not list(repod.inbox(repository).iterdir()), 60, f"{name} to be taken in")


def test_a_webhook_hears_of_each_generation_and_of_what_is_rejected_signed_and_in_order(
    hooked: Callable[..., Repod], web: WebReceiver, tmp_path: Path
) -> None:
    fails = iter([Answer(status=500), Answer(status=503, headers={"Retry-After": "1"})])
    web.act = lambda _: next(fails, Answer())
    with hooked({"name": "ci", "url": web.url, "secret": "ci.secret"}) as repod:
        _publish(repod, tmp_path, "one")
        (repod.inbox() / "bad.rpm").write_bytes(b"no package" * 100)
        until((repod.rejected() / "bad.rpm").exists, 60, "the file to be rejected")
        _publish(repod, tmp_path, "two")
        until(lambda: _told(web)[-1:] == [["two-1.0"]], 60, "the last event")
        assert repod.find_events("event not delivered, tried again", hook="ci", repository="test")
        told = web.posted
        assert _told(web) == [[], ["one-1.0"], "bad.rpm", ["two-1.0"]]
        for posted in told:
            Verifier(_SECRET).verify(posted.body, dict(posted.headers))
        published = next(event for event in web.events if event["data"].get("added"))
        assert published["data"]["url"] == repod.repo_url() + "/"
        # An event is noted as delivered when its answer has come.
        until(lambda: _shown(repod) == [("fine", 0, 4, "")], 30, "all to be noted as delivered")


def test_nothing_is_lost_where_the_daemon_is_killed_while_it_tells_and_commands_publish(
    hooked: Callable[..., Repod], web: WebReceiver, tmp_path: Path
) -> None:
    asked = threading.Event()
    web.act = lambda _: (asked.set(), Answer(hang=60, late=True))[1]
    repod = hooked({"name": "ci", "url": web.url, "secret": "ci.secret", "timeout": "30s"})
    with repod:
        _publish(repod, tmp_path, "one")
        assert asked.wait(60)
        repod.kill9()
    heard = len(web.posted)
    # Nobody is there; a command publishes, and has nobody to tell but by the store.
    _drop(repod, tmp_path, "two")
    assert repod.cli("remove", "test", "one-*").rc == 0
    web.act = lambda _: Answer()
    with repod:
        until(lambda: _told(web)[-1:] == [["two-1.0"]], 60, "all to be told")
    assert len(web.posted) > heard
    assert _told(web) == [[], ["one-1.0"], [], ["two-1.0"]]


def test_who_is_slow_or_away_delays_neither_publishing_nor_others(
    hooked: Callable[..., Repod], web: WebReceiver, tmp_path: Path
) -> None:
    with WebReceiver() as hanging:
        hanging.act = lambda _: Answer(hang=60, late=True)
        log = tmp_path / "log.jsonl"
        script = tmp_path / "hook.py"
        script.write_text(f"import sys; open({str(log)!r}, 'a').write(sys.stdin.read() + chr(10))")
        hooks = (
            {"name": "hangs", "url": hanging.url, "timeout": "30s"},
            {"name": "ci", "url": web.url, "events": ["*.published.*"], "repositories": ["b*"]},
            {"name": "script", "exec": f"{sys.executable} {script}"},
        )
        with hooked(*hooks, repositories=("a", "b")) as repod:
            _publish(repod, tmp_path, "one", repository="a")
            _publish(repod, tmp_path, "two", repository="b")
            until(lambda: _told(web, "b")[-1:] == [["two-1.0"]], 30, "the others to be told")
            until(lambda: log.exists() and len(log.read_text().splitlines()) == 4, 60, "the program to be told")
            wanted = {
                ("hangs", "a"): 2,
                ("hangs", "b"): 2,
                ("ci", "b"): 0,
                ("script", "a"): 0,
                ("script", "b"): 0,
            }
            until(lambda: _waiting(repod) == wanted, 30, "what was told to be noted")
    assert _told(web, "a") == []


def test_repod_once_tells_before_it_ends_and_what_fails_waits_for_the_next(
    hooked: Callable[..., Repod], web: WebReceiver, tmp_path: Path
) -> None:
    repod = hooked({"name": "ci", "url": web.url})
    _drop(repod, tmp_path, "one")
    repod.once()
    assert _told(web) == [[], ["one-1.0"]]
    web.act = lambda _: Answer(status=410)
    _drop(repod, tmp_path, "two")
    repod.once()
    (row,) = json.loads(repod.cli("hooks list", "--json").out)
    assert (row["state"], row["waiting"]) == ("paused", 1)
    assert "it wants no more events" in row["problem"]
    again = repod.cli("hooks retry", "ci", "--json")
    assert (again.rc, json.loads(again.out)[0]["waiting"]) == (4, 1)
    assert repod.cli("verify", "test").rc == 0
    web.act = lambda _: Answer()
    again = repod.cli("hooks retry", "ci", "--json")
    assert (again.rc, json.loads(again.out)[0]["delivered"]) == (0, 1)
    assert _told(web) == [[], ["one-1.0"], ["two-1.0"]]


def test_a_person_tries_a_hook_and_lets_it_go_on_without_what_waits(
    hooked: Callable[..., Repod], web: WebReceiver, tmp_path: Path
) -> None:
    repod = hooked({"name": "ci", "url": web.url, "secret": "ci.secret"})
    tried = repod.cli("hooks test", "ci", "--json")
    assert (tried.rc, json.loads(tried.out)[0]["answer"]) == (0, "204")
    (event,) = web.events
    assert (event["type"], event["data"]) == ("repod.hook.test.v1", {"hook": "ci"})
    web.act = lambda _: Answer(status=500, body=b"no disk")
    tried = repod.cli("hooks test", "ci")
    assert (tried.rc, tried.err) == (4, f"repod: http://127.0.0.1:{web.port}/ answered 500: no disk\n")
    _drop(repod, tmp_path, "one")
    repod.once()
    skipped = repod.cli("hooks skip", "ci", "--json")
    assert (skipped.rc, json.loads(skipped.out)[0]["dropped"]) == (0, 2)
    web.act = lambda _: Answer()
    _drop(repod, tmp_path, "two")
    repod.once()
    assert _told(web)[-1:] == [["two-1.0"]]


def test_check_proves_hooks_without_telling_them(hooked: Callable[..., Repod], web: WebReceiver) -> None:
    repod = hooked(
        {"name": "ci", "url": web.url},
        {"name": "none", "url": web.url, "secret": "none.secret"},
        {"name": "script", "exec": "/no/such/program"},
    )
    (repod.base / "state").mkdir()
    rows = [row for row in json.loads(repod.cli("check", "--json").out) if row["where"].startswith("hook")]
    assert [(row["severity"], row["where"]) for row in rows] == [
        ("warning", "hook ci"),
        ("warning", "hook ci"),
        ("fault", "hook none"),
        ("fault", "hook script"),
    ]
    assert rows[2]["what"].endswith(
        "none.secret cannot be read (No such file or directory); give a file that repod may read"
    )
    assert web.posted == []


def test_what_is_wrong_with_a_hook_stops_nothing_else(
    hooked: Callable[..., Repod], web: WebReceiver, tmp_path: Path
) -> None:
    with hooked({"name": "none", "url": web.url, "secret": "none.secret"}) as repod:
        _publish(repod, tmp_path, "one")
        (event, *_) = until(lambda: repod.find_events("event not delivered, tried again"), 30, "the log to say it")
        assert "none.secret cannot be read" in event["problem"]
        assert repod.get("/readyz")[0] == 200


def test_a_reload_that_names_a_hook_that_cannot_be_told_is_refused(
    hooked: Callable[..., Repod], web: WebReceiver
) -> None:
    with hooked({"name": "ci", "url": web.url, "secret": "late.secret"}) as repod:
        os.kill(repod.pid, signal.SIGHUP)
        (event, *_) = until(lambda: repod.find_events("reload failed, the settings stay as they were"), 20, "a refusal")
        assert "late.secret cannot be read" in event["problem"]
        (repod.base / "late.secret").write_text(_SECRET)
        os.kill(repod.pid, signal.SIGHUP)
        until(lambda: repod.find_events("reloaded"), 20, "the reload")
