"""The command line as people and scripts use it: what it prints, in which form, and the exit code."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab import damage
from tests.lab.clients import Dnf
from tests.lab.daemon import Ended, Repod
from tests.lab.daemon import repod as command
from tests.lab.keys import make_key
from tests.lab.looks import names
from tests.lab.rpms import quick
from tests.lab.wait import until

_NEVRAS = ["hello-1.0-1.noarch", "hello-1.1-1.noarch", "lib++-2:1.0~rc1-1.x86_64"]


def _one_line(ended: Ended) -> str:
    """The complaint, which is one line and no traceback."""
    (line,) = ended.err.splitlines()
    assert line.startswith("repod: ")
    return line


@pytest.fixture
def repod(tmp_path: Path, key_file: Path) -> Repod:
    """A repository of three packages in two generations after the first, and one rejected file."""
    repod = Repod(tmp_path, key_file, settings={"inbox": {"settle": 0}})
    quick(repod.inbox(), "hello", "1.0")
    assert repod.once().rc == 0
    quick(repod.inbox(), "hello", "1.1")
    quick(repod.inbox(), "lib++", "1.0~rc1", arch="x86_64", epoch=2)
    damage.flip_bit(quick(tmp_path, "bad"), repod.inbox() / "bad.rpm", -1)
    assert repod.once().rc == 3
    return repod


# ---------------------------------------------------------------- init, check, once


def test_init_makes_a_folder_that_works_and_refuses_to_do_it_twice(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    made = command("init", folder, "--name", "el9-prod")
    assert made.rc == 0
    assert f"repod check -c {folder / 'repod.toml'}" in made.out
    assert names(folder) == ["inbox", "repod.toml", "signing-key.asc", "state", "www"]
    assert (folder / "signing-key.asc").stat().st_mode & 0o777 == 0o600
    checked = command("check", "-c", folder / "repod.toml")
    assert (checked.rc, checked.out) == (0, "no faults\n")
    quick(folder / "inbox/el9-prod")
    assert command("once", "-c", folder / "repod.toml").rc == 0
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    again = command("init", folder)
    assert again.rc == 2
    assert "is there already" in _one_line(again)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_check_tells_all_faults_at_once_as_a_table_and_as_json(tmp_path: Path, key_file: Path) -> None:
    repod = Repod(tmp_path, key_file, ["one", "two"], settings={"state_dir": "nowhere"})
    repod.inbox("one").rmdir()
    repod.store("two").rmdir()
    key_file_gone = tmp_path / "no-key.asc"
    text = repod.config.read_text().replace(str(key_file), str(key_file_gone))
    repod.config.write_text(text)
    told = repod.cli("check", "--json")
    rows = json.loads(told.out)
    assert told.rc == 2
    assert {row["severity"] for row in rows} == {"fault"}
    assert {row["where"] for row in rows} == {"state_dir", "signing", "one: inbox", "two: store"}
    table = repod.cli("check")
    assert table.rc == 2
    assert all(name in table.out for name in ("nowhere", str(key_file_gone), str(repod.inbox("one"))))


def test_what_is_missing_with_the_folders_above_it_is_one_fault_and_not_two(tmp_path: Path, key_file: Path) -> None:
    repod = Repod(tmp_path, key_file, {"one": {"inbox": "not/there/one"}})
    (tmp_path / "state").mkdir()
    shutil.rmtree(tmp_path / "not")
    told = repod.cli("check", "--json")
    assert told.rc == 2
    assert [(row["where"], row["what"]) for row in json.loads(told.out)] == [
        ("one: inbox", f"{tmp_path}/not/there/one is not a directory; create it")
    ]


def test_check_tells_that_reports_of_hosts_cannot_be_read(tmp_path: Path, key_file: Path) -> None:
    repod = Repod(tmp_path, key_file, {"test": {"retention": {"hosts": "seen"}}})
    (tmp_path / "state").mkdir()
    told = repod.cli("check", "--json")
    (row,) = json.loads(told.out)
    assert (told.rc, row["severity"], row["where"]) == (2, "fault", "test: retention")
    assert f"reports of hosts in {tmp_path}/seen cannot be read" in row["what"]


def test_check_and_start_tell_what_a_profile_refuses_with_the_reason(tmp_path: Path) -> None:
    key_file = tmp_path / "key.asc"
    key_file.write_bytes(make_key("ed25519").secret)
    repod = Repod(tmp_path, key_file, {name: {"profile": name} for name in ("el7", "el8", "el9")})
    (tmp_path / "state").mkdir()
    told = repod.cli("check", "--json")
    rows = {row["severity"]: (row["where"], row["what"]) for row in json.loads(told.out)}
    assert told.rc == 2
    why = "repository el7: profile el7: the signing key is ed25519, and rpm 4.11 cannot verify it; use an RSA key"
    assert rows["fault"] == ("signing", why)
    assert rows["warning"][0] == "el8: signing"
    assert "rpm 4.14 as released cannot verify it" in rows["warning"][1]
    started = repod.once()
    assert started.rc == 2
    assert why in started.err


def test_settings_with_several_faults_are_told_a_line_each(repod: Repod) -> None:
    repod.config.write_text(
        repod.config.read_text().replace('name = "test"', 'name = "test"\narchs = ["x86_64"]\nurl = 5')
    )
    told = repod.cli("status")
    assert told.rc == 2
    first, second = sorted(told.err.splitlines())
    assert "archs" in first
    assert "url" in second


def test_once_answers_0_where_all_is_published_and_where_there_is_nothing_to_do(repod: Repod) -> None:
    quick(repod.inbox(), "more")
    done = repod.cli("once", "--json")
    (row,) = json.loads(done.out)
    assert (done.rc, row["published"], row["generation"]) == (0, 1, 4)
    idle = repod.cli("once", "--json")
    (row,) = json.loads(idle.out)
    assert (idle.rc, row["published"], row["generation"]) == (0, 0, 4)


def test_once_answers_3_where_a_package_was_rejected_and_publishes_the_others(repod: Repod) -> None:
    """C163."""
    damage.flip_bit(quick(repod.base, "worse"), repod.inbox() / "worse.rpm", -1)
    quick(repod.inbox(), "better")
    done = repod.cli("once", "--json")
    (row,) = json.loads(done.out)
    assert (done.rc, row["published"], row["rejected"]) == (3, 1, 1)
    assert "worse.rpm" in done.err


def test_once_answers_4_where_something_is_unavailable_and_leaves_the_package_where_it_is(repod: Repod) -> None:
    quick(repod.inbox(), "late")
    pointer = repod.store() / ".repod/head.json"
    kept = pointer.rename(repod.base / "head.json")
    os.mkfifo(pointer)  # what can certainly not be read, even by root
    done = repod.cli("once", "--json")
    assert (done.rc, json.loads(done.out)[0]["failed"]) == (4, 1)
    assert ".repod/head.json cannot be read" in done.err
    assert names(repod.inbox()) == ["late-1.0-1.noarch.rpm"]
    kept.replace(pointer)
    assert repod.once().rc == 0
    assert names(repod.inbox()) == []


# ---------------------------------------------------------------- look


def test_status_shows_generation_packages_inbox_and_rejected(repod: Repod) -> None:
    quick(repod.inbox(), "waiting")
    (row,) = json.loads(repod.cli("status", "--json").out)
    shown = {name: row[name] for name in ("repository", "generation", "packages", "inbox", "rejected")}
    assert shown == {"repository": "test", "generation": 3, "packages": 3, "inbox": 1, "rejected": 1}
    table = repod.cli("status")
    assert table.rc == 0
    assert [line.split()[:3] for line in table.out.splitlines()] == [
        ["repository", "generation", "packages"],
        ["test", "3", "3"],
    ]


def test_packages_lists_all_or_those_of_one_name(repod: Repod) -> None:
    rows = json.loads(repod.cli("packages", "--json", "test").out)
    assert [row["package"] for row in rows] == _NEVRAS
    for row in rows:
        assert (repod.store() / row["path"]).stat().st_size == row["size"]
    rows = json.loads(repod.cli("packages", "--json", "test", "hello").out)
    assert [row["package"] for row in rows] == _NEVRAS[:2]
    table = repod.cli("packages", "test", "lib++")
    assert table.rc == 0
    assert table.out.splitlines()[1].split()[0] == _NEVRAS[2]
    none = repod.cli("packages", "test", "nothing")
    assert (none.rc, none.out) == (0, "no packages\n")


def test_history_lists_the_generations_newest_first(repod: Repod) -> None:
    rows = json.loads(repod.cli("history", "--json", "test").out)
    assert [row["generation"] for row in rows] == [3, 2, 1]
    assert [sorted(row["added"]) for row in rows] == [_NEVRAS[1:], _NEVRAS[:1], []]
    assert [row["actor"] for row in rows] == ["inbox", "inbox", "repod"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["time"]) for row in rows)
    limited = json.loads(repod.cli("history", "--json", "--limit", "1", "test").out)
    assert [row["generation"] for row in limited] == [3]
    table = repod.cli("history", "test")
    assert table.rc == 0
    assert all(nevra in table.out for nevra in _NEVRAS)


# ---------------------------------------------------------------- verify


def test_verify_says_that_a_sound_repository_is_sound(repod: Repod) -> None:
    said = repod.cli("verify", "test")
    assert said.rc == 0
    assert said.out.startswith("sound")
    told = repod.cli("verify", "--json", "test")
    assert (told.rc, json.loads(told.out)) == (0, [])


def _faults(repod: Repod) -> dict[str, str]:
    """Path and text of what verify finds; it must answer 1."""
    told = repod.cli("verify", "--json", "test")
    assert told.rc == 1
    table = repod.cli("verify", "test")
    assert table.rc == 1
    found = {row["path"]: row["what"] for row in json.loads(told.out) if row["severity"] == "fault"}
    assert all(path in table.out for path in found)
    return found


def test_verify_finds_a_missing_and_an_altered_package(repod: Repod) -> None:
    missing, altered = (repod.store() / f"Packages/h/{nevra}.rpm" for nevra in _NEVRAS[:2])
    missing.unlink()
    damage.flip_bit(altered, altered, -1)
    found = _faults(repod)
    assert "missing" in found[f"Packages/h/{missing.name}"]
    assert "altered" in found[f"Packages/h/{altered.name}"]
    assert len(found) == 2


@pytest.mark.parametrize("name", ["repomd.xml", "repomd.xml.asc"])
def test_verify_finds_an_altered_index_and_an_altered_signature(name: str, repod: Repod) -> None:
    path = repod.store() / "repodata" / name
    path.write_bytes(path.read_bytes() + b"\n")
    assert list(_faults(repod)) == [f"repodata/{name}"]


def test_verify_finds_an_altered_and_a_missing_document(repod: Repod) -> None:
    generation = json.loads((repod.store() / ".repod/generations/3.json").read_bytes())
    first, second, _ = (repod.store() / document["href"] for document in generation["documents"])
    damage.flip_bit(first, first, -9)
    second.unlink()
    found = _faults(repod)
    assert "altered" in found[f"repodata/{first.name}"]
    assert "missing" in found[f"repodata/{second.name}"]


# ---------------------------------------------------------------- wrong use


@pytest.mark.parametrize("name", ["packages", "history", "verify"])
def test_a_repository_that_is_not_in_the_settings_is_wrong_use(name: str, repod: Repod) -> None:
    told = repod.cli(name, "nowhere")
    assert (told.rc, told.out) == (2, "")
    assert "'nowhere'" in _one_line(told)
    assert "there are: test" in _one_line(told)


@pytest.mark.parametrize("words", ["run", "once", "check", "status", "packages x", "history x", "verify x"])
def test_settings_that_are_missing_are_told_in_one_line(words: str, tmp_path: Path) -> None:
    name, *rest = words.split()
    told = command(name, "-c", tmp_path / "repod.toml", *rest)
    assert (told.rc, told.out) == (2, "")
    assert str(tmp_path / "repod.toml") in _one_line(told)
    assert "repod init" in _one_line(told)


def test_help_lists_every_command_and_the_exit_codes() -> None:
    told = command("--help")
    assert told.rc == 0
    for word in ("demo", "init", "run", "once", "check", "status", "packages", "history", "verify", "Exit codes"):
        assert word in told.out
    assert command("--version").out.startswith("repod ")
    assert command("conjure").rc == 2


# ---------------------------------------------------------------- demo


def test_demo_on_an_address_that_is_taken_leaves_nothing_in_the_way_of_another(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        refused = command("demo", "--listen", taken, cwd=tmp_path)
        assert (refused.rc, f"{taken}: cannot be bound" in _one_line(refused)) == (2, True)
        with _demo(tmp_path) as printed:
            assert "install repod-hello" in printed
        # Settings that are there are kept, and who says something else is told where they are.
        refused = command("demo", "--listen", taken, cwd=tmp_path)
    text = "repod-demo/repod.toml has listen = '127.0.0.1:0'; expected"
    assert (refused.rc, text in _one_line(refused)) == (2, True)


@contextmanager
def _demo(folder: Path) -> Iterator[str]:
    """`repod demo` in a folder until it has said how to try it; what it printed. Ctrl-C ends it."""
    root = str(Path(__file__).resolve().parents[2])
    printed = folder / "printed"
    with printed.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "repod", "demo", "--listen", "127.0.0.1:0"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": root, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: "install repod-hello" in printed.read_text() or process.poll() is not None, 120, "the demo")
        yield printed.read_text()
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        printed.unlink()


def test_demo_in_an_empty_folder_ends_by_printing_what_a_host_needs_and_the_sample_is_installable(
    tmp_path: Path,
) -> None:
    with _demo(tmp_path) as printed, Dnf(tmp_path / "host") as host:
        repo = printed[printed.index("[demo]\n") : printed.index("\n\nTry it")]
        assert {"gpgcheck=1", "repo_gpgcheck=1"} <= set(repo.splitlines())
        (line,) = [line for line in printed.splitlines() if line.strip().startswith("dnf ")]
        assert line.endswith("--enablerepo=demo install repod-hello")
        host.subscribe(repo)
        done = host.install("repod-hello")
        assert done.rc == 0, done.out
        (installed,) = host.installed()
        assert (tmp_path / "host/usr/share/repod-hello/README").read_text().startswith("repod-hello 1.0-")
    assert names(tmp_path) == ["host", "repod-demo"]
    with _demo(tmp_path) as printed:
        assert "creating a signing key" not in printed
        listed = command("packages", "--json", "-c", tmp_path / "repod-demo/repod.toml", "demo")
    assert installed in [row["package"] for row in json.loads(listed.out)]
