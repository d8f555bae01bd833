"""``repoctl`` against a running daemon with real packages: the same answers as ``repod``, and its exit codes."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from repod.access import ANY, VERBS
from repod.callers.tokens import TokenFile
from tests.lab import papers
from tests.lab.daemon import Ended, Repod
from tests.lab.looks import names
from tests.lab.repoctl import answered, command, environment, repoctl
from tests.lab.rpms import quick
from tests.lab.wait import until

_HELLO = "hello-{}-1.noarch"

_NEW_TOKEN = "have a new one made where repod runs: repod token add"


class Lab(NamedTuple):
    """A daemon: ``staging`` lists three versions of hello, ``prod`` takes what is labelled ``tested``."""

    repod: Repod
    tokens: Mapping[str, str]
    folder: Path

    def env(self, token: str = "all") -> dict[str, str]:
        return {"REPOCTL_URL": self.repod.url, "REPOCTL_TOKEN": self.tokens[token]}

    def ask(self, *words: str | Path, token: str = "all") -> Ended:
        return answered("repoctl", *words, env=self.env(token))

    def done(self, *words: str | Path) -> str:
        ended = self.ask(*words)
        assert ended.rc == 0, ended
        return ended.out

    def rows(self, *words: str | Path) -> Any:
        return json.loads(self.done(*words, "--json"))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]) -> Iterator[Lab]:
    base = tmp_path_factory.mktemp("repoctl")
    repositories: dict[str, Mapping[str, Any]] = {
        "staging": {"url": "http://repo.example/staging/"},
        "prod": {"promotion": {"from": ["staging"], "label": "tested"}, "url": "http://repo.example/prod/"},
    }
    settings = {"http": {"access": "readers", "tokens": "tokens.json"}, "audit": {"file": "audit.jsonl"}}
    with Repod(base, key_file, repositories, settings=settings) as repod:
        long_lived.add(repod.pid)
        file = TokenFile(base / "tokens.json", time.time)
        tokens = {
            "all": file.add("all", os.urandom, verbs=list(VERBS), repositories=[ANY], seconds=None),
            "reader": file.add("reader", os.urandom, verbs=["read"], repositories=["staging"], seconds=None),
            "wrong": "repod_wrong",
        }
        for version in ("1.0", "1.9", "1.10"):
            quick(repod.inbox("staging"), "hello", version, summary=f"Greets, version {version}")
        quick(repod.inbox("staging"), "tool")
        (repod.inbox("staging") / "tool.modules.yaml").write_bytes(papers.stream("1", "tool-0:1.0-1.noarch"))
        (repod.inbox("staging") / "junk.rpm").write_bytes(b"this is no package")
        found = Lab(repod, tokens, base)
        until(lambda: len(found.rows("packages", "staging")) == 4, 30, "the packages to be live")
        until(lambda: found.rows("packages", "staging", "tool")[0]["module"] == ["hi:1"], 30, "the module stream")
        until(lambda: names(repod.rejected("staging")), 30, "the junk to be refused")
        until(lambda: len(found.rows("rejected", "staging")) == 1, 30, "its reason")
        until(lambda: names(repod.inbox("staging")) == [], 30, "the inbox to be empty")
        yield found


@pytest.mark.parametrize(
    "words",
    [
        "status",
        "packages staging",
        "packages staging hello",
        "packages prod",
        "history staging",
        "history staging --package tool",
        "history staging --limit 1",
        f"why staging {_HELLO.format('1.9')}",
        "diff staging prod",
        "diff staging 1 2",
        "diff staging 2",
        "keys list",
        "advisory list staging",
        "prune staging --dry-run",
        "audit head",
    ],
)
def test_questions_have_the_answers_of_repod_word_for_word(lab: Lab, words: str) -> None:
    for how in ([], ["--json"]):
        theirs = answered("repod", *words.split(), "-c", lab.repod.config, *how, env={})
        assert theirs.rc == 0, theirs
        assert lab.ask(*words.split(), *how) == theirs


def test_what_was_refused_is_listed_with_every_reason_and_what_to_do(lab: Lab) -> None:
    (row,) = lab.rows("rejected", "staging")
    assert (row["file"], row["faults"][0]["code"]) == ("junk.rpm", "not-rpm")
    said = lab.done("rejected", "staging")
    assert "  why:      not an RPM" in said
    assert row["faults"][0]["remedy"] in said
    assert lab.done("rejected", "prod") == "nothing was rejected\n"


def test_a_build_goes_its_way_from_staging_to_production_and_back(lab: Lab) -> None:
    shut = lab.ask("promote", "hello", "--from", "staging", "--to", "prod", "--json")
    assert (shut.rc, json.loads(shut.out)[0]["builds"][0]["shut"]) == (3, ["label"])
    assert shut.err.startswith("repoctl: hello-1.10-1.noarch: has no label tested in staging")
    assert (
        lab.rows("label", "staging", _HELLO.format("1.10"), "tested", "--why", "works")[0]["result"]
        == "labelled tested"
    )

    dry = lab.done("promote", "hello", "--from", "staging", "--to", "prod", "--dry-run")
    assert "would promote hello-1.10-1.noarch from staging@" in dry
    assert lab.rows("packages", "prod") == []
    assert "generation 2 of prod" in lab.done("promote", "hello", "--from", "staging", "--to", "prod", "--why", "go")
    assert [row["package"] for row in lab.rows("packages", "prod")] == [_HELLO.format("1.10")]
    (newest, *_) = lab.rows("history", "prod")
    assert (newest["actor"], newest["why"].endswith("go")) == ("token all", True)

    assert "would publish what generation 1 of prod listed" in lab.done("rollback", "prod", "--dry-run")
    assert "hosts follow it" in lab.done("rollback", "prod")
    assert lab.rows("packages", "prod") == []
    assert lab.rows("unlabel", "staging", _HELLO.format("1.10"), "tested")[0]["result"] == "tested taken off"


def test_builds_are_pinned_by_pattern_and_a_pinned_one_is_not_removed(lab: Lab) -> None:
    pinned = lab.rows("pin", "staging", "hello-1.9-*", "tool-1.0-1.noarch", "--why", "so")
    assert [row["package"] for row in pinned] == [_HELLO.format("1.9"), "tool-1.0-1.noarch"]
    refused = lab.ask("remove", "staging", "tool-*")
    assert (refused.rc, "is pinned by token all" in refused.err) == (3, True)
    assert [row["result"] for row in lab.rows("unpin", "staging", "hello-1.9-1.noarch", "tool-*")] == ["unpinned"] * 2
    dry = lab.ask("remove", "staging", "tool-*", "--dry-run")
    assert (dry.rc, "would be removed" in dry.out) == (0, True)
    assert dry.err.startswith("repoctl: warning: tool-1.0-1.noarch was the last build of tool")
    assert lab.rows("remove", "staging", "tool-*")[0]["result"] == "removed"
    assert {row["package"] for row in lab.rows("packages", "staging")} == {
        _HELLO.format(v) for v in ("1.0", "1.9", "1.10")
    }


def test_an_advisory_is_added_listed_and_removed(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "LAB-1.toml"
    file.write_bytes(papers.advisory("LAB-1", _HELLO.format("1.10")))
    assert lab.rows("advisory", "add", "staging", file)[0]["result"] == "added"
    assert [row["id"] for row in lab.rows("advisory", "list", "staging")] == ["LAB-1"]
    assert lab.rows("advisory", "remove", "staging", "LAB-1")[0]["result"] == "removed"
    assert lab.done("advisory", "list", "staging") == "no advisories\n"
    other = tmp_path / "updateinfo.xml"
    other.write_text("<updates/>")
    wrong = lab.ask("advisory", "add", "staging", other)
    assert (wrong.rc, f"push others: repoctl push REPO {other}" in wrong.err) == (2, True)


def test_a_repository_is_proven_over_there_and_a_fault_is_exit_code_1(lab: Lab) -> None:
    assert lab.done("prove", "prod") == "sound: everything it lists is there, unaltered and signed\n"
    (path,) = (lab.repod.store("staging") / "Packages").rglob("hello-1.0-1*")
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"!")
    found = lab.ask("prove", "staging", "--json")
    path.write_bytes(data)
    assert (found.rc, [row["severity"] for row in json.loads(found.out)]) == (1, ["fault"])


@pytest.mark.parametrize(
    ("words", "token", "code", "text"),
    [
        ("packages nope", "all", 1, "there is no repository 'nope' here; repoctl status lists those"),
        (f"why staging {_HELLO.format('9')}", "all", 1, "hello-9-1.noarch"),
        ("remove staging nope", "all", 1, "no build of staging is 'nope'"),
        ("pin staging nope-*", "all", 1, "no build of staging is 'nope-*'; see: repoctl packages staging"),
        ("promote hello --from staging --to staging", "all", 2, "--from and --to are both staging"),
        ("label staging x a/b", "all", 2, "LABEL: expected letters"),
        ("diff staging x", "all", 2, "'x': expected the number of a generation or one of the repositories"),
        ("nonsense", "all", 2, "No such command 'nonsense'"),
        ("status", "wrong", 2, "not known; the token is that of REPOCTL_TOKEN"),
        ("rollback staging", "reader", 3, "add NAME --may rollback --repository staging"),
        ("packages prod", "reader", 3, "token reader may not read prod"),
        ("rollback staging --to 99", "all", 3, "there is no generation 99"),
    ],
)
def test_the_exit_code_says_what_kind_of_failure_it_is_in_one_line(
    lab: Lab, words: str, token: str, code: int, text: str
) -> None:
    ended = lab.ask(*words.split(), token=token)
    assert ended.rc == code, ended
    assert ended.out == ""
    assert text in ended.err.splitlines()[-1]
    assert lab.tokens[token] not in ended.err


def test_who_reads_one_repository_sees_that_one(lab: Lab) -> None:
    shown = json.loads(lab.ask("status", "--json", token="reader").out)
    assert [row["repository"] for row in shown] == ["staging"]


def test_events_are_followed_and_what_was_missed_comes_first(lab: Lab, tmp_path: Path) -> None:
    first = json.loads(lab.done("events", "staging", "--count", "1", "--json", "--after", "0"))
    assert (first["type"], first["data"]["generation"]) == ("repod.generation.published.v1", 1)
    heard = tmp_path / "heard"
    lab.done("label", "staging", _HELLO.format("1.0"), "tested")
    # A test run in the background of a shell hands on that Ctrl-C is ignored.
    words = ["env", "--default-signal=INT", *command("events", "prod", "--after", "0")]
    with (
        heard.open("wb") as out,
        subprocess.Popen(words, env=environment(lab.env()), stdout=out) as process,
    ):
        try:
            until(heard.read_bytes, 30, "what was missed")
            lab.done("promote", _HELLO.format("1.0"), "--from", "staging", "--to", "prod")
            until(lambda: b"hello-1.0-1.noarch came" in heard.read_bytes(), 30, "what happens now")
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()
    last = heard.read_text().splitlines()[-1]
    assert re.fullmatch(r"\S+Z  prod  generation \d+ by token all: .*; hello-1\.0-1\.noarch came", last)


def test_a_token_is_kept_once_the_daemon_knows_it_used_and_forgotten(lab: Lab, tmp_path: Path) -> None:
    config = tmp_path / "repoctl.toml"
    config.write_text(f'[server]\nurl = "{lab.repod.url}"\ntoken_file = "mine/token"\n')
    env = {"HOME": str(tmp_path)}
    wrong = repoctl("login", env=env, cwd=tmp_path, data="repod_wrong\n")
    assert (wrong.rc, wrong.err) == (
        2,
        f"repoctl: these credentials are not known; the token is that of standard input; {_NEW_TOKEN}\n",
    )
    assert not (tmp_path / "mine").exists()
    assert repoctl("status", env=env, cwd=tmp_path).rc == 2

    done = repoctl("login", env=env, cwd=tmp_path, data=f"{lab.tokens['reader']}\n")
    kept = tmp_path / "mine" / "token"
    assert done == Ended(0, f"{lab.repod.url} knows it as token reader: read, in staging\nkept in {kept}\n", "")
    assert oct(kept.stat().st_mode)[-3:] == "600"
    shown = repoctl("status", "--json", env=env, cwd=tmp_path)
    assert [row["repository"] for row in json.loads(shown.out)] == ["staging"]
    assert repoctl("logout", env=env, cwd=tmp_path).out == f"the token is gone from {kept}\n"
    assert repoctl("logout", env=env, cwd=tmp_path).out == f"no token was kept in {kept}\n"


def _completed(lab: Lab, line: str, folder: Path) -> list[str]:
    """What bash offers for a line that is being typed, asked as bash asks."""
    script = folder / "completion.bash"
    script.write_text(repoctl("completion", "bash", env={}, cwd=folder).out)
    tool = folder / "bin" / "repoctl"
    tool.parent.mkdir(exist_ok=True)
    tool.write_text(f'#!/bin/sh\nexec {" ".join(command())} "$@"\n')
    tool.chmod(0o755)
    words = line.split(" ")
    ask = (
        f". {script}; COMP_WORDS=({' '.join(words)}); [ -z '{words[-1]}' ] && COMP_WORDS+=(''); "
        f"COMP_CWORD={len(words) - 1}; _repoctl_completion repoctl; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    env = environment(lab.env()) | {"PATH": f"{tool.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", ask], env=env, cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands_options_repositories_and_groups(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "repoctl.toml").write_text("[group.web]\n[group.worker]\n[group.db]\n[repository.planned]\n")
    assert _completed(lab, "repoctl pro", tmp_path) == ["promote", "prove"]
    assert _completed(lab, "repoctl hosts up", tmp_path) == ["update"]
    assert _completed(lab, "repoctl packages p", tmp_path) == ["planned", "prod"]
    assert _completed(lab, "repoctl rollback --dr", tmp_path) == ["--dry-run"]
    assert _completed(lab, "repoctl promote --from s", tmp_path) == ["staging"]
    assert _completed(lab, "repoctl diff staging p", tmp_path) == ["planned", "prod"]


def test_completion_is_silent_where_the_daemon_or_the_settings_are_not_there(lab: Lab, tmp_path: Path) -> None:
    gone = lab._replace(repod=_Gone())
    assert _completed(gone, "repoctl packages ", tmp_path) == []
    (tmp_path / "repoctl.toml").write_text("nonsense")
    assert _completed(lab, "repoctl packages ", tmp_path) == []


class _Gone(Repod):
    """No daemon."""

    def __init__(self) -> None:
        """Nothing."""

    @property
    def url(self) -> str:
        """Where nobody listens."""
        return "http://127.0.0.1:9"


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_completion_too(shell: str, tmp_path: Path) -> None:
    ended = repoctl("completion", shell, env={}, cwd=tmp_path)
    assert ended.rc == 0
    assert f"_REPOCTL_COMPLETE={shell}_complete" in ended.out


def test_the_exit_codes_stand_in_the_help_which_needs_no_settings_and_no_daemon(tmp_path: Path) -> None:
    (tmp_path / "repoctl.toml").write_text("nonsense")
    ended = repoctl("--help", env={}, cwd=tmp_path)
    assert ended.rc == 0
    for line in ("0  done", "3  refused by policy", "4  conflict, or something is unavailable"):
        assert line in ended.out
    assert repoctl("--version", env={}, cwd=tmp_path).out.startswith("repoctl ")


def test_help_brings_no_library_that_it_does_not_need(tmp_path: Path) -> None:
    code = (
        "import sys; from repod.client.cli import main\n"
        "try: main(['--help'], prog_name='repoctl')\n"
        "except SystemExit: pass\n"
        "print(sorted({'httpx', 'boto3', 'fabric', 'paramiko', 'keyring', 'rich', 'fastapi'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [command()[0], "-c", code], env=environment({}), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
