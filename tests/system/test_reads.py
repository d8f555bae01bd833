"""Hosts that read while a publisher never stops: through mirrorlist and metalink no read ever fails.

Index and signature of the live view are two files, so a read may fall between them, and a document
may not be what an index of a moment ago said. How often that happens is counted and shown, not judged.

REPOD_READS is how often each view is read with dnf and with librepo, the library under it (default:
a short form of 4 and 40).
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab import processes
from tests.lab.clients import Dnf
from tests.lab.daemon import Repod
from tests.lab.keys import Key, gnupghome, gpg
from tests.lab.looks import head
from tests.lab.rpms import quick
from tests.lab.views import View, all_views
from tests.lab.wait import until

_READS = int(os.environ.get("REPOD_READS", "0"))
# Debian's librepo is for Debian's Python.
_PYTHON = "/usr/bin/python3"

pytestmark = pytest.mark.timeout(0 if _READS else 300)


@pytest.fixture
def repod(tmp_path: Path, key_file: Path) -> Iterator[Repod]:
    """A daemon that serves 40 packages."""
    with Repod(tmp_path, key_file) as daemon:
        for number in range(40):
            quick(daemon.inbox(), f"p{number}", files={f"/usr/share/p{number}/{n}": b"x" for n in range(50)})
        until(lambda: len(daemon.find_events("package published")) == 40, 120, "40 packages to be published")
        yield daemon


@contextmanager
def _restless(repod: Repod, key_file: Path) -> Iterator[None]:
    """A publisher of another process that changes the repository all the time."""
    words = [sys.executable, "-m", "tests.lab.restless", str(repod.store()), repod.repo_url() + "/", str(key_file)]
    log = repod.base / "restless.log"
    begun = head(repod.store())
    with log.open("wb") as out:
        process = subprocess.Popen([*words, str(repod.base / "cache")], stdout=out, stderr=out)
    try:
        until(lambda: process.poll() is not None or head(repod.store()) > begun + 5, 60, "the publisher to publish")
        assert process.poll() is None, log.read_text()
        yield
        assert process.poll() is None, log.read_text()
    finally:
        workers = processes.children(process.pid)
        process.terminate()
        process.wait(60)
        until(lambda: not workers & processes.children(os.getpid()), 30, "the publisher's workers to end")


def _views(repod: Repod, key: Key) -> dict[str, View]:
    views = all_views(repod.store(), repod.repo_url(), head(repod.store()), key.public)
    return {way: views[way] for way in ("live", "mirrorlist", "metalink")}


def _told(capsys: pytest.CaptureFixture[str], reader: str, reads: int, failed: dict[str, dict[str, int]]) -> None:
    with capsys.disabled():
        for way, errors in failed.items():
            print(f"\n{reader}, {way}: {sum(errors.values())} of {reads} reads failed {errors or ''}")


def test_librepo_reads_frozen_views_without_a_failure_under_a_publisher_that_never_stops(
    repod: Repod, key: Key, key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reads = _READS or 40
    failed = {}
    with _restless(repod, key_file), gnupghome() as home:
        gpg(home, "--import", data=key.public)
        for way, view in _views(repod, key).items():
            before = head(repod.store())
            words = [_PYTHON, "tests/lab/librepo_reads.py", view.way, view.address, str(home), str(reads)]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            failed[way] = json.loads(done.stdout)
            assert head(repod.store()) > before + reads / 20
    _told(capsys, "librepo", reads, failed)
    assert failed["mirrorlist"] == {}
    assert failed["metalink"] == {}


def test_dnf_reads_frozen_views_without_a_failure_under_a_publisher_that_never_stops(
    repod: Repod, key: Key, key_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reads = _READS or 4
    failed: dict[str, dict[str, int]] = {}
    with _restless(repod, key_file):
        for way, view in _views(repod, key).items():
            before, failed[way] = head(repod.store()), {}
            with Dnf(tmp_path / way, view.repo_file(tmp_path / way)) as host:
                for _ in range(reads):
                    done = host.run("--refresh", "makecache")
                    if done.rc:
                        line = done.out.strip().splitlines()[-1]
                        failed[way][line] = failed[way].get(line, 0) + 1
            assert head(repod.store()) > before + reads / 2
    _told(capsys, "dnf", reads, failed)
    assert failed["mirrorlist"] == {}
    assert failed["metalink"] == {}
