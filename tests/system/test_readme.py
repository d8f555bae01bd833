"""The README's commands do what it says, run as they stand there, in a fresh checkout."""

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab import processes
from tests.lab.ports import free_port
from tests.lab.wait import until

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
HOST_FILES = (Path("/etc/yum.repos.d/demo.repo"), Path("/var/tmp/repod-try"))


def commands(heading: str) -> list[str]:
    """The blocks of commands under a heading, in order."""
    chapter = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", chapter, re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Tour:
    """A checkout in which the first command runs."""

    folder: Path
    port: int
    fleet: int
    output: Path

    def run(self, block: str) -> str:
        """Run a block of the tour as a reader would type it."""
        words = [
            "bash",
            "-euo",
            "pipefail",
            "-c",
            # Both at once, since a port may have the other's digits in it.
            re.sub("847[01]", lambda found: str(self.port if found[0] == "8470" else self.fleet), block),
        ]
        done = subprocess.run(
            words, check=False, cwd=self.folder, capture_output=True, text=True, timeout=250, env=environ()
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def environ() -> dict[str, str]:
    """This environment without what a test run has put into it."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COV_", "VIRTUAL_ENV"))}


def checkout(target: Path) -> None:
    """What a clone would hold: the tracked files as they are now."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


@pytest.fixture(scope="module")
def alone() -> Iterator[None]:
    """No other process of the run follows README: its commands install packages, and write to this machine's /etc."""
    with Path(tempfile.gettempdir(), "repod-readme.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="module")
def tour(alone: None, tmp_path_factory: pytest.TempPathFactory, long_lived: set[int]) -> Iterator[Tour]:
    folder = tmp_path_factory.mktemp("readme") / "repod"
    checkout(folder)
    port, fleet = free_port(), free_port()
    first = commands("Two commands")[0].strip().replace("repod demo", f"repod demo --listen 127.0.0.1:{port}")
    output = folder / "output"
    with output.open("w") as file:
        shell = subprocess.Popen(
            ["bash", "-c", first],
            cwd=folder,
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environ(),
            start_new_session=True,
        )
    long_lived |= {shell.pid}
    try:
        until(lambda: "install repod-hello" in output.read_text() or shell.poll() is not None, 250, "the demo")
        assert shell.poll() is None, output.read_text()
        long_lived |= processes.descendants(processes.mark())
        yield Tour(folder=folder, port=port, fleet=fleet, output=output)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGTERM)
        shell.wait(20)
        for path in HOST_FILES:
            if path.is_dir():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)


@pytest.mark.timeout(900)
def test_the_first_command_ends_by_printing_the_repo_file_and_the_line_to_try(tour: Tour) -> None:
    printed = tour.output.read_text()
    assert "[demo]\nname=demo\n" in printed
    assert "repo_gpgcheck=1" in printed
    lines = [line.strip() for line in printed.splitlines() if line.startswith("  ")]
    tour.run("\n".join(lines))
    assert Path("/var/tmp/repod-try/usr/share/repod-hello/README").is_file()


@pytest.mark.timeout(900)
def test_the_tour_goes_as_it_is_told(tour: Tour) -> None:
    chapters = (
        "Five minutes",
        "Groups, modules, advisories",
        "Adopting an existing repository",
        "Verify, repair, rebuild",
        "Over the years",
        "Over HTTP",
        "Monitoring",
    )
    blocks = [block for chapter in chapters for block in commands(chapter)]
    said = [tour.run(block) for block in blocks]
    assert "hello-1.0.0-41.noarch" in said[0]
    assert "Packages/h/hello-1.0.0-41.noarch.rpm" in said[0]
    assert re.search(r"hello-1\.0\.0-41\.noarch [0-9a-f]{64}", said[1])
    assert '"code": "not-rpm"' in said[2]
    assert "hello-1.0.0-41.noarch arrived" in said[3]
    assert "sound: everything it lists is there, unaltered and signed" in said[3]
    assert "fresh: http://127.0.0.1:" in said[3]
    assert 'repod_generation{repository="demo"}' in said[3]
    assert "DEMO-2026-1  security  Important" in said[4]
    assert "2 documents arrived" in said[4]
    assert "DEMO-2026-1 Important/Sec. hello-1.0.0-42.noarch" in said[5]
    assert re.search(r"Upgraded:\s+hello-1\.0\.0-42\.noarch", said[5])
    assert "Installed Groups:\n   Greetings" in said[5]
    assert "advisory DEMO-2026-1 removed" in said[6]
    assert "adopted 2 packages" in said[7]
    assert re.search(r"fault +repodata/[0-9a-f]{64}-primary.xml.gz +named but missing", said[8])
    assert re.search(r"fault +Packages/hello-1.0.0-41.noarch.rpm +altered: ", said[8])
    assert "answered 1" in said[8]
    assert re.search(r"mended +mirrorlist +written again", said[9])
    assert "answered" not in said[9]
    assert re.search(r"mended +repodata/[0-9a-f]{64}-filelists.xml.gz +it was missing", said[10])
    assert re.search(r"generation [0-9]+ is current: 3 packages", said[10])
    assert re.search(r"dev +3 +5 ", said[11])
    assert "2 builds beyond retention: 2 beyond keep = 3" in said[12]
    assert "answered 3" in said[13]
    assert "promoted hello-1.0.0-105.noarch from dev@3: generation 3 of prod" in said[13]
    assert "generation 4 of prod lists again what generation 2 did" in said[14]
    assert "retention:   kept: newest of hello.noarch: keep = 5" in said[15]
    assert "next (steady)" in said[16]
    assert '"state": "published"' in said[17]
    assert re.search(r"Upgraded:\s+hello-1\.0\.0-43\.noarch", said[17])
    assert "of demo lists again what generation" in said[18]
    assert '"actor": "token ci"' in said[18]
    assert "hang together" in said[18]
    assert '"ready":true' in said[19]
    assert re.search(r"SUCCESS: [0-9]+ rules found", said[19])


@pytest.mark.timeout(900)
def test_a_build_goes_to_every_host_and_back_as_it_is_told(tour: Tour) -> None:
    said = [tour.run(block) for block in commands("From a build to every host")]
    line = r"web{} +{} +{} +{}"
    assert "published, generation 2: a fresh client sees it at" in said[2]
    assert re.search(line.format(1, 0, "proven", "nothing → shop-1.0.0-41.noarch"), said[2])
    assert re.search(line.format(4, 1, "proven", "nothing → shop-1.0.0-41.noarch"), said[2])
    assert re.search(line.format(1, 0, "proven", "shop 1.0.0-41 → 1.0.0-42"), said[3])
    assert re.search(line.format(2, 0, "downgraded", "shop 1.0.0-41 +[0-9a-f]{12}"), said[3])
    assert [re.search(line.format(n, 1, "untouched", "-"), said[3]) is not None for n in (3, 4)] == [True, True]
    assert "answered 1" in said[3]
    assert "generation 4 of prod lists again what generation 2 did" in said[3]
    assert len(re.findall(r"(?m)^web[234] +ssh +almalinux 9.4 +shop-1.0.0-41.noarch +yes", said[3])) == 3
    assert len(re.findall(r"(?m)^web[234] .*proven +shop 1.0.0-41 ", said[4])) == 3


def test_the_second_command_is_the_one_that_ci_calls() -> None:
    assert commands("Two commands")[1].strip() == "tests/run"
    assert "tests/run" in (ROOT / ".ci" / "run").read_text()


def test_every_setting_and_reason_that_the_readme_names_exists() -> None:
    sample = (ROOT / "config" / "repod.toml").read_text()
    chapter = README.partition("### Settings that matter first")[2].partition("###")[0]
    for key in re.findall(r"^\| `(?:\[\[?[a-z.]+\]\]? )?([a-z_]+)`", chapter, re.MULTILINE):
        assert re.search(rf"^#?{key} = ", sample, re.MULTILINE), key


def test_every_alert_has_its_paragraph_where_its_runbook_points() -> None:
    alerts = (ROOT / "config" / "prometheus" / "alerts.yml").read_text()
    named = re.findall(r"alert: (\w+)", alerts)
    chapter = README.partition("\n## Monitoring\n")[2].partition("\n## ")[0]
    assert re.findall(r"^#### (\w+)$", chapter, re.MULTILINE) == named
    assert re.findall(r'runbook: "README\.md#(\w+)"', alerts) == [name.lower() for name in named]
