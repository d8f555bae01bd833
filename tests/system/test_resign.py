"""``repod resign`` beside what else goes on: advisories that name sums, a kill, a daemon that publishes."""

import os
import subprocess
import sys
from pathlib import Path

import createrepo_c
import pytest

from tests.lab import crash_at
from tests.lab.checker import assert_sound
from tests.lab.clients import Dnf, choosing
from tests.lab.daemon import Repod
from tests.lab.httpd import serving
from tests.lab.keys import Key, make_key
from tests.lab.papers import papers
from tests.lab.rpms import quick
from tests.lab.signatures import listed_issuers
from tests.lab.wait import until


@pytest.fixture(scope="module")
def pair() -> tuple[Key, Key]:
    """The old key and the new one."""
    return make_key(uid="Old <old@example.com>"), make_key(uid="New <new@example.com>")


def _switched(base: Path, pair: tuple[Key, Key], *packages: str) -> Repod:
    """A repository of packages that the old key signed, whose settings name the new one."""
    base.mkdir(exist_ok=True)
    for name, key in zip(("old", "new"), pair, strict=True):
        (base / f"{name}.asc").write_bytes(key.secret)
    repod = Repod(base, base / "old.asc", settings={"inbox": {"settle": 0}})
    for name in packages:
        quick(repod.inbox(), name)
    assert repod.once().rc == 0
    _turn(repod)
    return repod


def _turn(repod: Repod) -> None:
    repod.unsound.add("test")  # generations of before have the old key's signature only
    repod.configure("signing", key="new.asc", cosign="old.asc", window="0s")


def _sums(repo: Path) -> dict[str, str]:
    """The sums that advisories name, by file name."""
    records = createrepo_c.Repomd(str(repo / "repodata/repomd.xml")).records
    (place,) = [record.location_href for record in records if record.type == "updateinfo"]
    updates = createrepo_c.UpdateInfo(str(repo / place)).updates
    return {one.filename: one.sum for update in updates for part in update.collections for one in part.packages}


def test_advisories_groups_and_streams_stay_and_name_the_new_sums(tmp_path: Path, pair: tuple[Key, Key]) -> None:
    repod = _switched(tmp_path, pair, "hello")
    for name, data in papers("hello-1.0-1.noarch").items():
        (repod.inbox() / name).write_bytes(data)
    assert repod.once().rc == 0
    before = _sums(repod.store())
    assert repod.cli("resign", "test").rc == 0
    packages = assert_sound(repod.store(), pair[1].public + b"\n" + pair[0].public)
    after = _sums(repod.store())
    assert after == {"hello-1.0-1.noarch.rpm": packages["hello-1.0-1.noarch"].pkgid}
    assert after != before
    with serving(repod.store()) as url:
        text = choosing((repod.store() / "test.repo").read_text(), "baseurl")
        base = next(line for line in text.splitlines() if line.startswith("baseurl=")).removeprefix("baseurl=")
        with Dnf(tmp_path / "host", text.replace(base, f"{url}/")) as host:
            done = host.install("@hi:1.0/default")
            assert (done.rc, host.installed()) == (0, ["hello-1.0-1.noarch"]), done.out
    assert repod.cli("verify", "test").rc == 0


def test_a_daemon_publishes_meanwhile_and_nothing_is_lost(tmp_path: Path, pair: tuple[Key, Key]) -> None:
    repod = _switched(tmp_path, pair, *(f"old{number}" for number in range(40)))
    with (
        repod,
        subprocess.Popen(
            [sys.executable, "-m", "repod", "resign", "test", "-c", str(repod.config)],
            env=os.environ | {"PYTHONPATH": str(Path(crash_at.__file__).parents[2])},
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        ) as resigning,
    ):
        number = 0
        while resigning.poll() is None:
            number += 1
            quick(tmp_path, f"new{number}").rename(repod.inbox() / f"new{number}.rpm")
            _live(repod, f"new{number}.rpm")
        assert resigning.returncode == 0
        assert number
    listed = assert_sound(repod.store(), pair[1].public + b"\n" + pair[0].public)
    assert len(listed) == 40 + number
    assert listed_issuers(repod.store()) == {pair[1].fingerprint}


def _live(repod: Repod, name: str) -> None:
    until(lambda: repod.find_events("package published", file=name), 60, f"{name} to be live")


def test_a_key_that_hosts_had_no_time_to_learn_signs_nothing_anew_unless_one_insists(
    tmp_path: Path, pair: tuple[Key, Key]
) -> None:
    repod = _switched(tmp_path, pair, "a")
    repod.configure("signing", key="new.asc", cosign="old.asc", window="1h")
    before = (repod.store() / "repodata/repomd.xml").read_bytes()
    refused = repod.cli("resign", "test")
    assert refused.rc == 3
    assert f"{pair[1].fingerprint} signs, and hosts can learn it since" in refused.err
    assert (repod.store() / "repodata/repomd.xml").read_bytes() == before
    assert repod.cli("resign", "test", "--early").rc == 0
    assert listed_issuers(repod.store()) == {pair[1].fingerprint}
    assert_sound(repod.store(), (repod.store() / "RPM-GPG-KEY-test").read_bytes())
