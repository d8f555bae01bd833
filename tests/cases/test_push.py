"""Cases about pushing packages."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.lab.cdn import Cdn, cdn
from tests.lab.clients import Dnf
from tests.lab.daemon import Repod
from tests.lab.repoctl import Repoctl
from tests.lab.rpms import quick
from tests.lab.uploads import TOKENS, token
from tests.lab.wait import until


@pytest.fixture(scope="module")
def repod(tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]) -> Iterator[Repod]:
    """One daemon for all: each test pushes packages of its own names."""
    repositories: Mapping[str, Mapping[str, Any]] = {"test": {}, "moving": {"duplicates": "replace"}, "cached": {}}
    with Repod(tmp_path_factory.mktemp("repod"), key_file, repositories, settings=TOKENS) as daemon:
        long_lived.add(daemon.pid)
        yield daemon


@pytest.fixture(scope="module")
def secret(repod: Repod) -> str:
    return token(repod)


@pytest.fixture
def repoctl(repod: Repod, secret: str, tmp_path: Path) -> Repoctl:
    return Repoctl(tmp_path / "home", repod.url, secret)


def two_builds(folder: Path, package: str) -> tuple[Path, Path]:
    """Two builds of one NEVRA that differ in a file."""
    made = []
    for name in ("first", "second"):
        (folder / name).mkdir()
        made.append(quick(folder / name, package, files={"/usr/share/app/build": name.encode()}))
    return made[0], made[1]


# "push refuses and advises a new release".
def test_c136_a_changed_file_with_a_listed_nevra_is_refused_before_it_is_sent(
    repod: Repod, repoctl: Repoctl, tmp_path: Path
) -> None:
    first, second = two_builds(tmp_path, "refused")
    assert repoctl.run("push", "test", first, "--wait").rc == 0
    before = (repod.store() / "repodata/repomd.xml").read_bytes()
    done = repoctl.run("push", "test", second, "--wait")
    assert done.rc == 3, done
    assert "is listed with other bytes" in done.err
    assert "build it with a new release" in done.err
    assert (repod.store() / "repodata/repomd.xml").read_bytes() == before
    assert _rejected(repod, "refused") == [], "it was sent all the same"


# "with an explicit replace flag": the repository decides, and the header that hosts get is compared.
def test_c136_a_replaced_build_is_waited_for_by_its_header(repod: Repod, repoctl: Repoctl, tmp_path: Path) -> None:
    first, second = two_builds(tmp_path, "replaced")
    assert repoctl.run("push", "moving", first, "--wait").rc == 0
    assert repoctl.run("push", "moving", second, "--wait").rc == 3
    done = repoctl.run("push", "moving", second, "--wait", "--replace")
    assert done.rc == 0, done
    with Dnf(tmp_path / "host", repod.repo_file("moving")) as host:
        assert host.install("replaced").rc == 0
        assert (host.root / "usr/share/app/build").read_bytes() == b"second"


# C018: "the pushing client gets a non-zero status", "with both sha256 values in the reason", also where it insists.
def test_c136_a_repository_that_keeps_bytes_rejects_what_was_pushed_with_replace(
    repod: Repod, repoctl: Repoctl, tmp_path: Path
) -> None:
    first, second = two_builds(tmp_path, "insisted")
    assert repoctl.run("push", "test", first, "--wait").rc == 0
    before = (repod.store() / "repodata/repomd.xml").read_bytes()
    done = repoctl.run("push", "test", second, "--wait", "--replace", "--json")
    assert done.rc == 3, done
    (file,) = json.loads(done.out)["files"]
    published = next(repod.store().rglob("insisted-*.rpm"))
    assert (file["state"], [fault["code"] for fault in file["faults"]]) == ("rejected", ["conflict"])
    assert file["sha256"] in file["text"], "what arrived is not named"
    assert f"published sha256 {_digest(published)}" in file["text"]
    assert "Raise the Release" in file["faults"][0]["remedy"]
    assert (repod.store() / "repodata/repomd.xml").read_bytes() == before


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _rejected(repod: Repod, name: str) -> list[Path]:
    return list(repod.rejected().glob(f"{name}*"))


@pytest.fixture
def front(repod: Repod, repoctl: Repoctl, tmp_path: Path) -> Iterator[Cdn]:
    """A CDN that has the present generation in its cache."""
    with cdn(tmp_path / "cdn", repod.url) as running:
        repoctl.settle(repository={"cached": {"url": f"{running.url}/repos/cached/"}})
        assert repoctl.run("push", "cached", quick(tmp_path, f"before-{running.url[-5:]}"), "--wait").rc == 0
        yield running


# "push --wait returns only when a fresh client can list the new NEVRA".
def test_c138_a_push_waits_for_what_a_cdn_still_has(front: Cdn, repoctl: Repoctl, tmp_path: Path) -> None:
    def stale() -> int:
        return front.asked("/repos/cached/repodata/repomd.xml").count("HIT")

    before = stale()
    with repoctl.started("push", "cached", quick(tmp_path, "waited"), "--wait=60") as process:
        until(lambda: stale() >= before + 3, 60, "the push to look again")
        assert process.poll() is None, "it did not wait for the CDN"
        front.forget()
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, ""), err
    assert re.search(rf"published, generation \d+: a fresh client sees it at {front.url}/repos/cached/", out)


# "time-out gives non-zero and a reason".
def test_c138_a_push_that_no_client_sees_in_time_says_what_was_seen(
    front: Cdn, repoctl: Repoctl, tmp_path: Path
) -> None:
    done = repoctl.run("push", "cached", quick(tmp_path, "late"), "--wait=10")
    assert done.rc == 4, done
    assert "not seen by a fresh client within 10 s: late-1.0-1.noarch: it is not listed; " in done.err
    (seen, published) = re.findall(r"is of revision (\d+), published is (\d+): is there a cache in between", done.err)[
        0
    ]
    assert int(published) == int(seen) + 1


# "without waiting it prints a ticket".
def test_c138_a_push_that_does_not_wait_gives_a_ticket(repod: Repod, repoctl: Repoctl, tmp_path: Path) -> None:
    package = quick(tmp_path, "ticket")
    done = repoctl.run("push", "test", package)
    assert (done.rc, done.err) == (0, "")
    assert f"sent: it lies in the inbox; follow it by trace {_digest(package)[:32]}" in done.out
    until(lambda: _digest(package)[:32] in repod.tail(1000), 60, "the daemon to speak of that trace")
