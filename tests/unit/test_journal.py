"""Runs on disk: what was kept is there again, a torn line is none, and a group has one run at a time."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from repod.client.fleet import Trouble
from repod.client.journal import FileJournal, at_work, locked, names, read
from repod.client.runs import Standing, begun, document
from repod.errors import Conflict, Corrupt, NotFound, Unavailable
from tests.lab.runs import NEW, OLD, START, Fleet, carried_out, installed, plan
from tests.lab.wait import until

HOSTS = ["web1", "web2", "web3"]
PLAN = plan(HOSTS, canary=1, wave="2", wave_check={"url": "http://p:9090", "query": "up", "expect": "== 1"})


def kept(folder: Path, *, end: bool = True) -> Standing:
    journal = FileJournal.create(folder, PLAN)
    standing = begun(PLAN)
    row = replace(standing.hosts["web2"], state="failed", trouble=Trouble.LOCKED, before=[installed(OLD)])
    standing = replace(standing, hosts={**standing.hosts, "web2": row})
    journal.note(standing, "web2")
    if end:
        standing = replace(standing, end="interrupted", ended=START + 60, problem="Ctrl-C", notes=["a"], checked=[0])
        journal.note(standing)
    journal.close()
    return standing


def test_a_run_is_read_as_it_was_kept(tmp_path: Path) -> None:
    standing = kept(tmp_path)
    found = read(tmp_path, PLAN.id)
    assert document(found) == document(standing)
    assert found.plan.strategy.model_dump_json() == PLAN.strategy.model_dump_json()
    row = found.hosts["web2"]
    assert (row.state, row.trouble, row.before) == ("failed", Trouble.LOCKED, [installed(OLD)])
    assert found.plan.aim.builds[0].header_sha256 == NEW[1]
    assert (found.checked, found.end) == ([0], "interrupted")


def test_every_cut_of_a_journal_reads_as_what_was_whole_then(tmp_path: Path) -> None:
    kept(tmp_path)
    path = tmp_path / f"{PLAN.id}.jsonl"
    data = path.read_bytes()
    first = data.index(b"\n") + 1
    for length in range(first, len(data)):
        path.write_bytes(data[:length])
        whole = data[:length].count(b"\n")
        found = read(tmp_path, PLAN.id)
        assert (found.hosts["web2"].state, found.end) == (("pending", None) if whole == 1 else ("failed", None))


def test_what_was_torn_is_cut_off_before_more_is_written(tmp_path: Path) -> None:
    kept(tmp_path, end=False)
    path = tmp_path / f"{PLAN.id}.jsonl"
    path.write_bytes(path.read_bytes() + b'{"host": {"ho')
    journal, standing = FileJournal.reopen(tmp_path, PLAN.id)
    journal.note(replace(standing, problem="again"))
    journal.close()
    found = read(tmp_path, PLAN.id)
    assert (found.hosts["web2"].state, found.problem) == ("failed", "again")


def test_a_journal_that_is_damaged_in_its_middle_says_so(tmp_path: Path) -> None:
    kept(tmp_path)
    path = tmp_path / f"{PLAN.id}.jsonl"
    path.write_bytes(path.read_bytes().replace(b'{"host"', b'{"hos', 1))
    with pytest.raises(Corrupt, match="cannot be understood"):
        read(tmp_path, PLAN.id)


def test_a_run_carried_out_over_a_journal_stands_there_as_it_ended(tmp_path: Path) -> None:
    journal = FileJournal.create(tmp_path, PLAN)
    standing = carried_out(PLAN, Fleet.of(HOSTS, sick={"web3"}), journal=journal)
    journal.close()
    assert document(read(tmp_path, PLAN.id)) == document(standing)


def test_runs_are_listed_newest_first_and_only_the_owner_may_read_them(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    for day in ("20261124", "20261126", "20261125"):
        FileJournal.create(folder, replace(PLAN, id=f"{day}T000000Z-web-1")).close()
    assert [name[:8] for name in names(folder)] == ["20261126", "20261125", "20261124"]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["", "../x", ".hidden", "20200101T000000Z-web-1"])
def test_a_run_that_is_not_there_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFound, match="repoctl hosts runs"):
        read(tmp_path, name)


def test_a_folder_that_cannot_be_written_stops_a_run_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(Unavailable, match=r"cannot be written .*state_dir"):
        FileJournal.create(tmp_path / "runs", PLAN)


def test_a_group_has_one_run_at_a_time_and_the_other_one_is_named(tmp_path: Path) -> None:
    with locked(tmp_path, ["web", "db"], "run-1"):
        assert at_work(tmp_path, ["web"])
        with (
            pytest.raises(Conflict, match=rf"group web: run run-1 \(process {os.getpid()}\) is at work"),
            locked(tmp_path, ["web"], "run-2"),
        ):
            pass
        with locked(tmp_path, ["other"], "run-3"):
            pass
    assert not at_work(tmp_path, ["web", "never"])
    with locked(tmp_path, ["web"], "run-4"):
        pass


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("all that I have")
    (tmp_path / "web.lock").symlink_to(tmp_path / "mine")
    with pytest.raises(Unavailable, match=r"web\.lock cannot be written"), locked(tmp_path, ["web"], "run-1"):
        pass
    assert (tmp_path / "mine").read_text() == "all that I have"


def test_the_lock_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from repod.client.journal import locked\n"
        "with locked(Path(sys.argv[1]), ['web'], 'run-1'): print('have it', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"have it\n"
        assert at_work(tmp_path, ["web"])
        process.send_signal(signal.SIGKILL)
        process.wait()
    until(lambda: not at_work(tmp_path, ["web"]), 10, "the kernel to let go of the lock")
    with locked(tmp_path, ["web"], "run-2"):
        pass
