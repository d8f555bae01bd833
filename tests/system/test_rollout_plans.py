"""``repoctl hosts``: what is planned, refused and kept, against a running daemon; no host is asked anything."""

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from repod.access import ANY
from repod.callers.tokens import TokenFile
from repod.client.api import open_api
from repod.client.journal import FileJournal, locked
from repod.client.rolling import Rollout as Strategy
from repod.client.runs import begun, document
from repod.client.settings import load
from tests.lab.daemon import Ended, Repod, toml
from tests.lab.repoctl import answered
from tests.lab.rpms import quick
from tests.lab.runs import plan
from tests.lab.wait import until

_GROUPS: dict[str, Any] = {
    "web": {
        "repository": "prod",
        "hosts": [f"web{number}" for number in range(1, 13)],
        "rollout": {"canary": 2, "wave": "25%", "check": "true", "pause": "5m"},
    },
    "staging": {"repository": "prod", "hosts": ["s1", "web1"]},
    "all": {"repository": "prod", "rollout": {"rings": ["staging", "web"], "soak": "1h"}},
    "none": {"hosts": ["x1"]},
}


class Lab(NamedTuple):
    repod: Repod
    folder: Path
    token: str

    @property
    def env(self) -> dict[str, str]:
        return {"REPOCTL_URL": self.repod.url, "REPOCTL_TOKEN": self.token}

    def ask(self, *words: str | Path) -> Ended:
        return answered("repoctl", "hosts", words[0], "-c", self.folder / "repoctl.toml", *words[1:], env=self.env)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]) -> Iterator[Lab]:
    base = tmp_path_factory.mktemp("plans")
    settings = {"http": {"access": "readers", "tokens": "tokens.json"}}
    with Repod(base, key_file, ["prod", "empty"], settings=settings) as repod:
        long_lived.add(repod.pid)
        token = TokenFile(base / "tokens.json", time.time).add(
            "ci", os.urandom, verbs=["read", "report"], repositories=[ANY], seconds=None
        )
        for version in ("1.0", "1.9", "1.10"):
            quick(repod.inbox("prod"), "hello", version)
        (base / "repoctl.toml").write_text(toml({"state_dir": "runs-of-lab", "group": _GROUPS}))
        lab = Lab(repod, base, token)
        with open_api(load(base / "repoctl.toml", lab.env), lab.env) as api:
            until(lambda: len(api.packages("prod")) == 3, 60, "the packages to be live")
        yield lab


def test_a_dry_run_prints_the_plan_and_keeps_nothing(lab: Lab) -> None:
    ended = lab.ask("update", "hello", "--group", "web", "--dry-run")
    assert (ended.rc, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].startswith("update hello on 12 hosts of web: hello-1.10-1.noarch (prod, generation ")
    assert lines[1] == "stops if a canary fails, or if more than 1 fail; hosts stay as they are then"
    assert lines[2] == "checked by 'true' on each host"
    assert [line.split()[:2] for line in lines[3:]] == [
        ["wave", "after"],
        ["canaries", "-"],
        *[["wave", str(number)] for number in range(1, 5)],
    ]
    assert not (lab.folder / "runs-of-lab").exists()


def test_a_plan_in_json_has_each_build_with_its_digest_and_each_host_once(lab: Lab) -> None:
    ended = lab.ask("update", "hello-1.9-1", "--group", "all", "--canary", "1", "--wave", "50%", "--dry-run", "--json")
    found = json.loads(ended.out)
    assert [build["package"] for build in found["builds"]] == ["hello-1.9-1.noarch"]
    assert len(found["builds"][0]["header_sha256"]) == 64
    hosts = [host for wave in found["waves"] for host in wave["hosts"]]
    assert hosts == ["s1", "web1", *[f"web{number}" for number in range(2, 13)]]
    assert [(wave["ring"], wave["wait"]) for wave in found["waves"]] == [
        ("staging", 0.0),
        ("staging", 0.0),
        ("web", 3600.0),
        ("web", 0.0),
    ]


def test_downgrade_without_a_version_is_the_build_below_the_newest_and_says_which(lab: Lab) -> None:
    ended = lab.ask("downgrade", "hello", "--group", "web", "--dry-run")
    assert "downgrade hello on 12 hosts of web: hello-1.9-1.noarch" in ended.out


def test_sync_without_a_name_follows_all_that_is_listed(lab: Lab) -> None:
    ended = lab.ask("sync", "--group", "web", "--limit", "web1,web2", "--dry-run")
    assert "sync all packages on 2 hosts of web: what the repository lists" in ended.out


@pytest.mark.parametrize(
    ("words", "code", "fault"),
    [
        (("update", "helo", "--group", "web"), 1, "prod lists no 'helo'; names alike: hello"),
        (("update", "hello", "--group", "wbe"), 2, "group 'wbe' is not in the settings; there are: web, staging"),
        (("update", "hello", "--group", "none"), 2, 'names no repository; add repository = "NAME" to [group.none]'),
        (("update", "hello", "--group", "web", "--wave", "0"), 2, "wave: expected a wave of at least one"),
        (("update", "hello", "--group", "web", "--pause", "soon"), 2, "pause: expected a duration"),
        (("update", "hello", "--group", "web", "--limit", "db*"), 2, "--limit db* leaves none of the 12 hosts of web"),
        (("update", "--group", "web"), 2, "Missing argument"),
        (("show", "nothing"), 1, "there is no run 'nothing'"),
        (("resume",), 1, "no run of this machine was interrupted or killed"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line_before_any_host_is_asked(
    lab: Lab, words: tuple[str, ...], code: int, fault: str
) -> None:
    ended = lab.ask(*words)
    assert (ended.rc, fault in ended.err) == (code, True), ended


def test_a_group_that_this_machine_works_on_already_is_a_conflict(lab: Lab) -> None:
    with locked(lab.folder / "runs-of-lab" / "runs", ["web"], "20261126T000000Z-web-aaaa"):
        ended = lab.ask("update", "hello", "--group", "all")
    assert ended.rc == 4
    assert "group web: run 20261126T000000Z-web-aaaa (process" in ended.err


def test_a_group_that_another_machine_works_on_is_a_conflict_while_it_reports(lab: Lab) -> None:
    other = plan(["web1"])
    elsewhere = document(begun(other)).model_copy(update={"started": datetime.now(UTC)})
    with open_api(load(lab.folder / "repoctl.toml", lab.env), lab.env) as api:
        api.report_rollout("prod", elsewhere)
        ended = lab.ask("update", "hello", "--group", "web")
        assert ended.rc == 4
        assert f"group web: run {other.id} of anna is at work, as reported at " in ended.err
        over = elsewhere.model_copy(update={"state": "stopped", "ended": datetime.now(UTC)})
        api.report_rollout("prod", over)


def test_runs_of_this_machine_are_listed_and_shown(lab: Lab) -> None:
    folder = lab.folder / "listed"
    settings = lab.folder / "listed.toml"
    settings.write_text(toml({"state_dir": "listed", "group": _GROUPS}))
    journal = FileJournal.create(folder / "runs", plan(["web1", "web2"]))
    journal.close()

    def ask(*words: str) -> Ended:
        return answered("repoctl", "hosts", *words, "-c", settings, env=lab.env)

    (row,) = json.loads(ask("runs", "--json").out)
    assert (row["what"], row["state"], row["hosts"]) == ("update hello", "killed", 2)
    shown = json.loads(ask("show", row["run"], "--json").out)
    assert [host["state"] for host in shown["hosts"]] == ["pending", "pending"]
    assert "web1" in ask("show", row["run"]).out


def test_a_strategy_of_the_settings_is_found_where_it_stands(lab: Lab) -> None:
    found = load(lab.folder / "repoctl.toml", {}).grouped("web").rollout
    assert found.model_dump() == Strategy.model_validate(_GROUPS["web"]["rollout"]).model_dump()
