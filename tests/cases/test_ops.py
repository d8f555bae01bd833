"""Cases about running it: metrics, ports, temporary files, containers."""

import errno
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from repod.config import Http
from repod.errors import RepodError
from tests.cases.place import MakePlace, Place, forked
from tests.lab import processes, rpms
from tests.lab.checker import assert_sound
from tests.lab.daemon import Repod
from tests.lab.folders import KERNEL_CALLS, FailingCall
from tests.lab.keys import Key
from tests.lab.wait import until

DOCUMENTED = {
    "repod_arrivals",
    "repod_rejected",
    "repod_errors",
    "repod_queue_messages",
    "repod_stage_seconds",
    "repod_publish_seconds",
    "repod_generation",
    "repod_packages",
    "repod_pruned_packages",
    "repod_pruned_bytes",
    "repod_store_bytes",
    "repod_found_by_scan",
    "repod_inbox_depth",
    "repod_inbox_oldest_seconds",
    "repod_last_publish_timestamp_seconds",
    "repod_watcher_up",
    "repod_signing_key_expiry_timestamp_seconds",
    "repod_statement_expiry_timestamp_seconds",
    "repod_rollout_expiry_timestamp_seconds",
    "repod_build_info",
    "repod_up",
    "repod_failing_since_timestamp_seconds",
    "repod_last_scan_timestamp_seconds",
    "repod_publish_failures",
    "repod_publish_conflicts",
    "repod_expected_publish_seconds",
    "repod_filesystem_free_bytes",
    "repod_filesystem_size_bytes",
    "repod_worker_processes",
    "repod_worker_resident_memory_bytes",
    "repod_http_requests",
    "repod_http_request_seconds",
    "repod_access_refused",
    "repod_event_streams",
    "repod_hook_deliveries",
    "repod_hosts",
    "repod_hosts_left_out_builds",
    "repod_hosts_reporting",
    "repod_hosts_stale",
    "repod_hosts_oldest_report_timestamp_seconds",
    "repod_hook_pending",
    "repod_hook_oldest_timestamp_seconds",
    "repod_audit_errors",
    "process_virtual_memory_bytes",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_cpu_seconds",
    "process_open_fds",
    "process_max_fds",
}


def test_c146_reloading_the_settings_keeps_metrics_and_their_values(
    tmp_path: Path, key_file: Path, built: Path
) -> None:
    """Five reloads: the page answers each time, without an exception, and the counters stay as they are."""
    with Repod(tmp_path, key_file) as daemon:
        rpms.quick(built).rename(daemon.inbox() / "x.rpm")
        until(lambda: daemon.find_events("package published"), 60, "the package")
        for number in range(1, 6):
            os.kill(daemon.pid, signal.SIGHUP)
            until(lambda wanted=number: len(daemon.find_events("reloaded")) == wanted, 60, f"reload {number}")
            status, page = daemon.get("/metrics")
            assert status == 200
            assert b'repod_arrivals_total{repository="test",result="published"} 1.0' in page
        assert daemon.noise() == []


def test_c147_every_metric_is_there_from_the_start_under_a_name_of_its_own(make_place: MakePlace) -> None:
    """The official parser reads the page; no two families share a name; counters and histograms start at 0."""
    place = make_place()
    families = list(text_string_to_metric_families(place.metrics.page()[0].decode()))
    names = [re.sub("_(total|created)$", "", family.name) for family in families]
    assert len(set(names)) == len(names)
    assert set(names) == DOCUMENTED
    for family in families:
        if family.type in {"counter", "histogram"} and not family.name.startswith(("process_", "repod_hook_")):
            assert {sample.value for sample in family.samples} == {0.0}, family.name


def test_c148_packages_do_not_make_series(place: Place, built: Path) -> None:
    """After 40 published and 40 refused packages there are as many series as after the first 10."""
    counts = []
    for number in range(40):
        rpms.quick(place.inbox, f"good{number}")
        rpms.quick(place.inbox, f"bad{number}", arch="sparc")
        if number in {9, 39}:
            place.drain()
            counts.append(sum(len(family.samples) for family in place.metrics.registry.collect()))
    assert place.metric("repod_arrivals_total", result="published") == 40
    assert place.metric("repod_rejected_total", reason="arch") == 40
    assert counts[1] <= 1.1 * counts[0]


def test_c150_worker_processes_that_die_leave_nothing_in_the_metrics(make_place: MakePlace, built: Path) -> None:
    """20 times a worker is killed: the gauge is the true number of waiting files, and no counter goes down."""
    place = make_place({"inbox": {"incomplete_after": 600.0}})  # what is cut short waits
    published = []
    for number in range(20):
        victim = sorted(forked())[number % len(forked())]
        os.kill(victim, signal.SIGKILL)
        until(lambda gone=victim: gone not in forked(), 60, "the worker to be gone")
        (place.inbox / "half.rpm").write_bytes(b"\xed\xab\xee\xdb half")
        place.put(rpms.quick(built, f"p{number}"))
        until(lambda: place.turn() and place.waiting() == ["half.rpm"], 60, "the package to be published")
        assert place.metric("repod_inbox_depth") == 1
        (place.inbox / "half.rpm").unlink()
        place.turn()
        assert place.metric("repod_inbox_depth") == 0
        published.append(place.metric("repod_arrivals_total", result="published"))
    assert published == [float(number + 1) for number in range(20)]
    assert len(place.sound()) == 20


def test_c151_it_listens_on_loopback_and_a_busy_port_is_an_error(tmp_path: Path, key_file: Path) -> None:
    """By default 127.0.0.1; a port that is taken ends the start with status 2 and its number."""
    assert Http().host == "127.0.0.1"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = Repod(tmp_path, key_file, settings={"http": {"listen": listen}}).cli("run")
    assert ended.rc == 2
    assert f"[http] listen {listen}: cannot be bound" in ended.err


def test_c152_failed_publishes_leave_no_files(place: Place, built: Path, tmp_path: Path) -> None:
    """60 publishes, a third of which fail, each at another call of the kernel: no temporary file is left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(_made(tmp_path / "tmp")))
        place.publish(rpms.quick(built, "first"))
        before = _files(place, tmp_path)
        failed = set[str]()
        for number in range(60):
            package = rpms.quick(built, f"p{number}")
            place.put(package)
            if number % 3 == 0:
                failed.add(_failing_turn(place, 5 + 7 * number // 3))
            until(lambda: place.turn() and not place.waiting(), 60, "the package to be published")
        assert len(failed - {""}) >= 4, failed
        assert _files(place, tmp_path) == before
    assert len(place.sound()) == 61


def _failing_turn(place: Place, call: int) -> str:
    """A turn in which that call of the kernel fails; the call's name, empty where there were not so many."""
    with pytest.MonkeyPatch.context() as patch:
        failing = FailingCall(patch, call, errno.ENOSPC, sorted({*KERNEL_CALLS} - {"open"}))
        try:
            place.turn()
        except RepodError:
            assert failing.failed
        return failing.failed


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _files(place: Place, base: Path) -> list[str]:
    """The files that lie where temporary ones are made; the random part of the cache's folder is left out."""
    folders = (base / "tmp", place.state, place.store / ".repod/tmp")
    found = [str(path) for folder in folders for path in folder.rglob("*") if path.is_file()]
    return sorted(re.sub("epoch-[0-9a-f]+", "epoch", path) for path in found)


def test_c160_no_module_and_no_tool_of_rpm_is_needed(tmp_path: Path, key: Key, key_file: Path, built: Path) -> None:
    """With an empty PATH and without the ``rpm`` module a key file works; a gpg: key lists all that is missing."""
    assert importlib.util.find_spec("rpm") is None
    (tmp_path / "bare").mkdir()
    nothing = {"PATH": str(tmp_path / "no such folder")}
    bare = Repod(tmp_path / "bare", key_file, env=nothing)
    rpms.quick(built).rename(bare.inbox() / "x.rpm")
    ended = bare.once()
    assert ended.rc == 0, ended.err
    assert list(assert_sound(bare.store(), key.public)) == ["hello-1.0-1.noarch"]
    (tmp_path / "home").mkdir(mode=0o700)
    signing = {"key": f"gpg:{key.fingerprint}", "gnupghome": str(tmp_path / "home")}
    ended = Repod(tmp_path, key_file, settings={"signing": signing}, env=nothing).once()
    assert ended.rc == 2
    for program in ("gpg", "gpgconf", "gpg-connect-agent"):
        assert f"{program} is needed for a gpg: key and not found; install gnupg" in ended.err


def test_c161_any_user_id_without_home_on_a_read_only_root(key: Key, key_file: Path) -> None:
    """User 12345, no HOME, only repod's own folders writable: it works, and what is private is its own, mode 0700."""
    user = 12345
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        base = Path(name)
        own = Repod(base, Path(shutil.copy(key_file, base / "key.asc")))
        rpms.quick(own.inbox())
        for path in (base, *base.rglob("*")):
            os.chown(path, user, user)
        # Its Python may lie below a folder of root; being able to read everything lets nothing be written.
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        become += ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
        script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro / && cd / && exec "$@"'
        command = [sys.executable, "-m", "repod", "once", "-c", str(own.config)]
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, name, *become, *command],
            env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert list(assert_sound(own.store(), key.public)) == ["hello-1.0-1.noarch"]
        for private in ("work", "cache/test"):
            status = (base / "state" / private).stat()
            assert (status.st_uid, status.st_mode & 0o777) == (user, 0o700)


def test_c162_as_pid_1_it_ends_on_sigterm_while_it_sleeps(tmp_path: Path, key_file: Path) -> None:
    """In a PID namespace of its own, idle between two scans: it ends long before the next one."""
    alone = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with Repod(tmp_path, key_file, settings={"inbox": {"scan_interval": 3600}}, prefix=alone) as daemon:
        (first,) = [pid for pid in processes.children(daemon.pid) if _parent(pid) == daemon.pid]
        assert daemon.process is not None
        os.kill(first, signal.SIGTERM)
        assert daemon.process.wait(60) == 0


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_c163_what_is_wrong_with_one_package_is_told_and_the_other_is_live(
    tmp_path: Path, key_file: Path, key: Key, built: Path
) -> None:
    """The file beside the bad one gives its reasons, status counts it, the metric has the reason."""
    with Repod(tmp_path, key_file) as daemon:
        rpms.quick(built, "bad", arch="sparc").rename(daemon.inbox() / "bad.rpm")
        rpms.quick(built, "good").rename(daemon.inbox() / "good.rpm")
        until(lambda: daemon.find_events("package rejected"), 60, "the bad one to be refused")
        until(lambda: daemon.find_events("package published"), 60, "the good one to be published")
        assert b'repod_rejected_total{reason="arch",repository="test"} 1.0' in daemon.get("/metrics")[1]
        assert list(assert_sound(daemon.store(), key.public)) == ["good-1.0-1.noarch"]
    (bad,) = [path for path in daemon.rejected().iterdir() if path.suffix == ".json"]
    assert bad.name == "bad.rpm.reason.json"
    assert "arch sparc; expected one of x86_64, noarch" in bad.read_text()
    assert '"rejected": 1' in daemon.cli("status", "--json").out
