"""Fuzzing, short: what was found once, and so many fresh inputs; the long form stands in README.md beside this."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.fuzz.child import corpus
from tests.fuzz.core import CORPUS, Target
from tests.fuzz.engine import feed
from tests.fuzz.targets import TARGETS
from tests.lab import processes, rpms
from tests.lab.wait import until

SEED = int(os.environ.get("REPOD_FUZZ_SEED", "1"))
RUNS = {
    "packages": 60,
    "documents": 60,
    "adoption": 60,
    "events": 300,
    "settings": 200,
    "http": 60,
    "records": 400,
    "hosts": 800,
    "answers": 400,
    "keys": 300,
}
"""Fresh inputs of each target: some hundredths of a second each for those that read files, far less for the others."""

_MOST_BYTES = 1 << 20


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_a_target_is_fed_is_refused_in_a_line_or_taken_and_proven(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    result = feed(target, tmp_path, engine="blind", seed=SEED, seconds=240, runs=RUNS[name])
    told = "\n".join(f"input: {place}\n{_said(place)}" for place in result.findings.values())
    assert not result.findings, f"seed {SEED}: {told}"
    assert result.executions == RUNS[name] + len(corpus(target)), f"seed {SEED}"
    # Both ways are gone: a reader that refuses everything proves nothing.
    assert any("taken" in outcome or " 200 " in outcome for outcome in result.outcomes)
    assert any("refused" in outcome or " 4" in outcome for outcome in result.outcomes) or name == "events"


def _said(place: str) -> str:
    text = Path(f"{place}.txt")  # of an input that ended the process there is none
    return text.read_text(errors="replace") if text.exists() else ""


def test_a_crash_is_contained_only_where_the_real_pool_refuses_the_file(tmp_path: Path) -> None:
    """The long form asks so of each input that ends the process it is fed to."""
    contain = TARGETS["packages"].contain
    assert contain
    assert contain(b"no package") == "refused: not-rpm"
    assert contain(rpms.quick(tmp_path, "a").read_bytes()) == "taken"


def test_what_an_ended_process_had_started_is_found_by_its_mark_and_ended() -> None:
    """libFuzzer ends a process without a word: the daemon of a target would run on."""
    mark, environ = processes.marked(os.environ)
    subprocess.run(["sh", "-c", "setsid sleep 600 >/dev/null 2>&1 &"], env=environ, check=True, timeout=30)
    until(lambda: processes.bearers(mark), 60, "the process")
    processes.end(lambda: processes.bearers(mark), 30, "it")


def test_the_corpus_is_small_and_each_file_of_it_is_of_a_target() -> None:
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert {path.parent.name for path in files} <= TARGETS.keys()
    assert sum(path.stat().st_size for path in files) <= _MOST_BYTES
    explained = (CORPUS.parent / "README.md").read_text()
    assert [path.name for path in files if f"`{path.parent.name}/{path.name}`" not in explained] == []


def test_equal_seeds_give_equal_inputs() -> None:
    for target in TARGETS.values():
        assert _some(target) == _some(target), target.name


def _some(target: Target) -> list[bytes]:
    from random import Random  # noqa: PLC0415

    draw = Random(7)
    first = next(iter(target.seeds()))
    return [target.mutate(draw, first) for _ in range(5)]
