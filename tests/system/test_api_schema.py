"""Schemathesis against a running daemon: it does what its OpenAPI document says, whatever is asked of it.

The long form takes minutes: ``REPOD_API_EXAMPLES=300 tests/run tests/system/test_api_schema.py -n 0``.
"""

import os
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.lab.daemon import Repod, toml
from tests.lab.rpms import quick
from tests.lab.wait import until

_EXAMPLES = os.environ.get("REPOD_API_EXAMPLES", "")
_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)
_VERBS = ("read", "upload", "promote", "rollback", "remove", "mark", "prune", "verify", "report", "ring")
# What is there, so that not everything that is asked for is missing.
_KNOWN: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "dictionaries": {
        "repositories": {"values": ["staging", "prod"]},
        "packages": {"values": ["hello-1.0-1.noarch", "hello-2.0-1.noarch", "bye-1.0-1.noarch"]},
        "numbers": {"values": [1, 2, 3]},
        "waits": {"values": [0, 1]},
    },
    "parameters": {
        '"path.name"': {"dictionary": "repositories", "probability": 0.8},
        '"path.nevra"': {"dictionary": "packages", "probability": 0.6},
        '"path.number"': {"dictionary": "numbers", "probability": 0.6},
        '"query.other"': {"dictionary": "repositories", "probability": 0.5},
        '"query.from"': {"dictionary": "numbers", "probability": 0.5},
        '"query.wait"': {"dictionary": "waits", "probability": 0.9},
    },
}


@pytest.fixture(scope="module")
def repod(tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]) -> Iterator[Repod]:
    base = tmp_path_factory.mktemp("schema")
    http = {"access": "readers", "tokens": "tokens.json"}
    repositories = {name: {"inbox": f"in/{name}/inbox"} for name in ("staging", "prod")}
    with Repod(base, key_file, repositories, settings={"http": http}) as repod:
        long_lived.add(repod.pid)
        for version in ("1.0", "2.0"):
            quick(repod.inbox("staging"), "hello", version)
        quick(repod.inbox("prod"), "bye")
        (repod.inbox("prod") / "junk.rpm").write_bytes(b"this is no package")
        # A repository may need more than one generation for what it has.
        until(lambda: len(repod.find_events("package published")) == 3, 60, "the packages to be live")
        until(lambda: repod.find_events("package rejected"), 60, "the junk to be refused")
        yield repod


def _schemathesis(repod: Repod, folder: Path, *words: str) -> str:
    """What it says; ``AssertionError`` where it found anything."""
    config = folder / "schemathesis.toml"
    config.write_text("max-stream-events = 1\n" + "".join(_tables(name) for name in _KNOWN))
    done = subprocess.run(
        [
            Path(sysconfig.get_path("scripts")) / "schemathesis",
            f"--config-file={config}",
            "run",
            f"{repod.url}/api/v1/openapi.json",
            f"--checks={','.join(_CHECKS)}",
            "--generation-deterministic",
            "--continue-on-failure",
            "--warnings=off",
            "--no-color",
            *words,
        ],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _tables(name: str) -> str:
    return "".join(toml({f"{name}.{key}": value}) for key, value in _KNOWN[name].items())


def test_whoever_may_do_everything_is_answered_as_documented_whatever_is_asked(repod: Repod, tmp_path: Path) -> None:
    may = [word for verb in _VERBS for word in ("--may", verb)]
    secret = repod.cli("token add", "all", *may).out.strip()
    phases = "coverage,fuzzing,stateful" if _EXAMPLES else "coverage,fuzzing"
    words = [f"--phases={phases}", f"--max-examples={_EXAMPLES or 3}", "-H", f"Authorization: Bearer {secret}"]
    # A stream of events has no end: each answer takes as long as it is listened to.
    words += [] if _EXAMPLES else ["--exclude-tag=events"]
    # Each route that can be made to succeed is asked with a wrong token too, and an address has ten of those a minute.
    for some in (["--exclude-tag=rings"], ["--include-tag=rings", "--exclude-checks=ignored_auth"]):
        assert "Tested: " in _schemathesis(repod, tmp_path, *words, *some)
    assert repod.find_events("change failed") == []
    assert repod.noise() == []


def test_whoever_shows_nothing_is_answered_as_documented_too(repod: Repod, tmp_path: Path) -> None:
    before = {name: repod.store(name).stat().st_mtime_ns for name in ("staging", "prod")}
    words = [] if _EXAMPLES else ["--exclude-tag=events"]
    _schemathesis(repod, tmp_path, "--phases=fuzzing", f"--max-examples={_EXAMPLES or 2}", *words)
    assert {name: repod.store(name).stat().st_mtime_ns for name in before} == before
    assert repod.noise() == []
