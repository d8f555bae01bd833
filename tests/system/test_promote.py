"""``repod promote`` beside a running daemon: from dev through staging to prod, and real dnf installs what came."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from repod.history import History
from repod.package import Nevra
from repod.store.local import LocalStore
from tests.lab import foreign
from tests.lab.checker import assert_sound
from tests.lab.clients import Dnf, choosing
from tests.lab.daemon import Ended, Repod
from tests.lab.keys import Key, make_key
from tests.lab.papers import advisory, comps, stream
from tests.lab.rpms import quick
from tests.lab.wait import until

_GATES = {"from": ["staging"], "label": "tested", "dependencies": True}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """What hosts have beside prod."""
    folder = tmp_path / "base"
    folder.mkdir()
    quick(folder, "shell", files={"/bin/shell": b"x"})
    foreign.createrepo(folder)
    return folder


def _declared(repod: Repod, base: Path, **gates: Any) -> Repod:
    repod.declare("prod", promotion={**_GATES, "bases": [str(base)], **gates})
    repod.write_config()
    return repod


@pytest.fixture
def repod(tmp_path: Path, key_file: Path, base: Path) -> Repod:
    """dev lists two versions of hello with its libraries, and a modular tool; staging and prod list nothing."""
    repod = Repod(tmp_path, key_file, {"dev": {}, "staging": {"promotion": {"from": ["dev"]}}})
    _declared(repod, base, min_age="1d")
    inbox = repod.inbox("dev")
    for version in ("1.0", "2.0"):
        source = f"hello-{version}-1.src.rpm"
        quick(inbox, "hello", version, requires=[f"hello-libs = {version}", "/bin/shell"], source_rpm=source)
        quick(inbox, "hello-libs", version, provides=[f"hello-libs = {version}"], source_rpm=source)
    quick(inbox, "tool")
    (inbox / "hi.modules.yaml").write_bytes(stream("1", "tool-0:1.0-1.noarch"))
    (inbox / "LAB-1.toml").write_bytes(advisory("LAB-1", "hello-2.0-1.noarch", title="hello: a fix"))
    (inbox / "comps.xml").write_bytes(comps("hello", group="greeters"))
    assert repod.once().rc == 0
    return repod


@pytest.fixture
def running(repod: Repod) -> Iterator[Repod]:
    """The same, with its daemon."""
    with repod:
        yield repod


def _promote(repod: Repod, *words: str, rc: int = 0) -> Ended:
    done = repod.cli("promote", *words)
    assert done.rc == rc, done
    return done


def _lines(ended: Ended) -> list[str]:
    return [line.removeprefix("repod: ") for line in ended.err.splitlines()]


def _file(repod: Repod, name: str, nevra: str) -> os.stat_result:
    return (repod.store(name) / Nevra.parse(nevra).location).stat()


def test_a_build_goes_from_dev_to_prod_through_every_gate_and_dnf_installs_it(
    running: Repod, base: Path, tmp_path: Path, key: Key
) -> None:
    _promote(running, "hello", "--siblings", "--from", "dev", "--to", "staging")
    refused = _promote(running, "hello", "--from", "staging", "--to", "prod", rc=3)
    age, label, unmet = _lines(refused)
    assert age.startswith("hello-2.0-1.noarch: listed in staging for ")
    assert "expected at least 1d ([repository.promotion] min_age); try again after 2" in age
    assert label.startswith(
        "hello-2.0-1.noarch: has no label tested in staging, found: none ([repository.promotion] label)"
    )
    assert unmet == (
        "hello-2.0-1.noarch: cannot be installed: nothing provides hello-libs = 2.0 needed by hello-2.0-1.noarch"
    )
    _declared(running, base, min_age="10ms")
    for nevra in ("hello-2.0-1.noarch", "hello-libs-2.0-1.noarch"):
        assert running.cli("label", "staging", nevra, "tested").rc == 0
    _promote(running, "hello", "--siblings", "--from", "staging", "--to", "prod", "--why", "release 2")
    assert len(assert_sound(running.store("prod"), key.public)) == 2
    (newest, *_) = json.loads(running.cli("history", "prod", "--json").out)
    assert newest["why"] == "2 packages promoted from staging: release 2"
    beside = f"[base]\nname=base\nbaseurl=file://{base}\ngpgcheck=0\n"
    repo = choosing(running.repo_file("prod"), "baseurl")
    assert {"gpgcheck=1", "repo_gpgcheck=1"} <= set(repo.splitlines())
    with Dnf(tmp_path / "host", repo) as host:
        host.subscribe(beside, "base")
        done = host.install("hello")
        assert done.rc == 0, done.out
        assert host.installed() == ["hello-2.0-1.noarch", "hello-libs-2.0-1.noarch", "shell-1.0-1.noarch"]


def test_the_record_says_from_which_generation_each_build_came(repod: Repod) -> None:
    _promote(repod, "hello-1.0-1", "--from", "dev", "--to", "staging")
    generation = History(LocalStore(repod.store("staging"))).current()
    assert generation
    (package,), (origin,) = generation.added, generation.origins
    assert (origin.how, origin.of, origin.checksum) == ("promotion", "dev@2", package.pkgid)


def test_a_file_is_linked_and_lives_on_when_the_source_prunes_its_own(repod: Repod, key: Key) -> None:
    nevra = "hello-2.0-1.noarch"
    _promote(repod, nevra, "--from", "dev", "--to", "staging")
    ours, theirs = _file(repod, "staging", nevra), _file(repod, "dev", nevra)
    assert (ours.st_ino, ours.st_nlink) == (theirs.st_ino, 2)
    repod.unsound.add("dev")
    (repod.store("dev") / Nevra.parse(nevra).location).unlink()
    assert len(assert_sound(repod.store("staging"), key.public)) == 1
    gone = _promote(repod, "hello", "--from", "dev", "--to", "prod", rc=3)
    assert any(
        "Packages/h/hello-2.0-1.noarch.rpm is gone from the store of dev, where it was pruned" in line
        for line in _lines(gone)
    )


def test_an_advisory_and_a_module_stream_come_along_and_dnf_sees_them(
    running: Repod, base: Path, tmp_path: Path
) -> None:
    _promote(running, "hello-1.0-1", "hello-libs", "hello-libs-1.0-1", "--from", "dev", "--to", "staging")
    with Dnf(tmp_path / "host", choosing(running.repo_file("staging"), "baseurl")) as host:
        host.subscribe(f"[base]\nname=base\nbaseurl=file://{base}\ngpgcheck=0\n", "base")
        assert host.install("hello").rc == 0
        assert "LAB-1" not in host.run("updateinfo", "list").out
        _promote(running, "tool", "--advisory", "LAB-1", "--from", "dev", "--to", "staging")
        assert "LAB-1 Important/Sec. hello-2.0-1.noarch" in host.run("--refresh", "updateinfo", "list").out
        done = host.run("upgrade", "--advisory=LAB-1")
        assert (done.rc, "hello-2.0-1.noarch" in host.installed()) == (0, True), done.out
        done = host.run("module", "install", "hi:1/default")
        assert (done.rc, "tool-1.0-1.noarch" in host.installed()) == (0, True), done.out
        assert "greeters" not in host.run("group", "list", "--ids").out


def test_a_whole_generation_comes_with_its_groups(running: Repod, tmp_path: Path, key: Key) -> None:
    done = _promote(running, "--generation", "2", "--from", "dev", "--to", "staging", "--json")
    (row,) = json.loads(done.out)
    assert (row["from"], row["generation"], len(row["builds"])) == ("dev@2", 2, 5)
    assert row["documents"] == ["comps.xml", "modules.yaml", "advisory LAB-1"]
    assert len(assert_sound(running.store("staging"), key.public)) == 5
    with Dnf(tmp_path / "host", choosing(running.repo_file("staging"), "baseurl")) as host:
        assert "greeters" in host.run("group", "list", "--ids").out


def test_a_dry_run_shows_the_plan_and_changes_nothing(repod: Repod) -> None:
    _promote(repod, "hello-1.0-1", "--from", "dev", "--to", "staging")
    before = _files(repod)
    shown = _promote(repod, "hello", "hello-1.0-1", "hello-libs", "--from", "dev", "--to", "staging", "--dry-run")
    assert [line.rstrip() for line in shown.out.splitlines()] == [
        "build                    on hosts            gates",
        "hello-2.0-1.noarch       upgrade from 1.0-1  passed: acceptance, bytes, downgrade",
        "hello-libs-2.0-1.noarch  new                 passed: acceptance, bytes, downgrade",
        "hello-1.0-1.noarch       is there already    -",
        "would promote 2 packages from dev@2 to staging",
    ]
    assert _files(repod) == before


def _files(repod: Repod) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in repod.store("staging").rglob("*") if path.is_file()}


def test_an_older_build_comes_by_force_alone(repod: Repod) -> None:
    _promote(repod, "hello", "--from", "dev", "--to", "staging")
    older = ("hello-1.0-1", "--from", "dev", "--to", "staging")
    (line,) = _lines(_promote(repod, *older, rc=3))
    assert line == (
        "hello-1.0-1.noarch: staging lists the newer hello-2.0-1.noarch: hosts that have it would not go back by "
        "themselves; to list it all the same: --force"
    )
    assert "downgrade from 2.0-1" in _promote(repod, *older, "--force").out


def test_packages_that_another_key_signed_are_refused(repod: Repod, tmp_path: Path) -> None:
    other = tmp_path / "other.asc"
    other.touch(0o600)
    other.write_bytes(make_key("rsa2048").secret)
    repod.unsound |= {"dev", "staging", "prod"}
    text = repod.config.read_text()
    repod.config.write_text(
        "\n".join(f'key = "{other}"' if line.startswith("key = ") else line for line in text.splitlines())
    )
    (line,) = _lines(_promote(repod, "hello", "--from", "dev", "--to", "staging", rc=3))
    assert line.startswith("hello-2.0-1.noarch: signed by ")
    assert line.endswith(
        " only, expected a signature by a key that hosts of staging trust; sign it anew: repod resign dev"
    )


def test_daemon_and_promotions_publish_into_one_repository_at_once(running: Repod, tmp_path: Path, key: Key) -> None:
    (tmp_path / "built").mkdir()
    for number, name in enumerate(["hello-1.0-1", "hello", "hello-libs", "tool"]):
        quick(tmp_path / "built", f"own{number}").rename(running.inbox("staging") / f"own{number}.rpm")
        _promote(running, name, "--from", "dev", "--to", "staging")
    for number in range(4):
        until(lambda n=f"own{number}.rpm": running.find_events("package published", file=n), 60, f"own{number}")
    assert len(assert_sound(running.store("staging"), key.public)) == 8


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--from", "dev", "--to", "dev", "hello"], "--from and --to are both dev"),
        (["--from", "dev", "--to", "staging"], "say what to promote"),
        (["--from", "dev", "--to", "staging", "--generation", "2", "--siblings"], "a whole generation has them all"),
        (
            ["--from", "dev", "--to", "nix", "hello"],
            "repository 'nix' is not in the settings; there are: dev, staging, prod",
        ),
    ],
)
def test_what_makes_no_sense_is_wrong_use(repod: Repod, words: list[str], complaint: str) -> None:
    assert complaint in _promote(repod, *words, rc=2).err


def test_check_tells_repositories_that_gates_name_and_that_there_are_not(repod: Repod) -> None:
    repod.declare("prod", promotion={"from": ["stagin", "prod"], "bases": ["bas"]})
    repod.write_config()
    told = repod.cli("check")
    assert told.rc == 2
    assert [line.partition("repository 'prod'.")[2] for line in told.err.splitlines()] == [
        "promotion.from: 'stagin' is not in the settings; there are: dev, staging, prod",
        "promotion.from: 'prod' is the repository itself; name those that builds come from",
        (
            "promotion.bases: 'bas' is no repository of the settings, no URL and no path with a slash; "
            "there are: dev, staging, prod"
        ),
    ]
