"""The daemon as a process: signals, reload, its log, its metrics, and what it shows to others on the machine."""

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.lab import damage, processes
from tests.lab.checker import assert_sound
from tests.lab.daemon import Repod
from tests.lab.daemon import repod as command
from tests.lab.keys import Key, make_key
from tests.lab.rpms import quick, tool
from tests.lab.wait import until

_README = Path(__file__).resolve().parents[2] / "README.md"
_METRICS = {
    "repod_arrivals_total",
    "repod_rejected_total",
    "repod_errors_total",
    "repod_queue_messages_total",
    "repod_stage_seconds_count",
    "repod_publish_seconds_count",
    "repod_generation",
    "repod_packages",
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
    "repod_publish_failures_total",
    "repod_publish_conflicts_total",
    "repod_expected_publish_seconds",
    "repod_filesystem_free_bytes",
    "repod_filesystem_size_bytes",
    "repod_worker_processes",
    "repod_worker_resident_memory_bytes",
    "repod_http_requests_total",
    "repod_http_request_seconds_count",
    "repod_access_refused_total",
    "repod_event_streams",
    "repod_audit_errors_total",
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
    "process_open_fds",
}


def _samples(page: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every series of a page with its value; no series is there twice."""
    found = {}
    for family in text_string_to_metric_families(page.decode()):
        for sample in family.samples:
            series = (sample.name, frozenset(sample.labels.items()))
            assert series not in found
            found[series] = sample.value
    return found


def _value(repod: Repod, name: str, **labels: str) -> float:
    status, page = repod.get("/metrics")
    assert status == 200
    return _samples(page)[name, frozenset(labels.items())]


def _publish(repod: Repod, package: Path, name: str = "test") -> None:
    shutil.copyfile(package, repod.inbox(name) / package.name)
    until(lambda: repod.find_events("package published", file=package.name), 30, f"{package.name} to be published")


def _reload(repod: Repod, event: str, count: int = 1) -> None:
    """SIGHUP, and wait until the log has ``event`` so many times."""
    os.kill(repod.pid, signal.SIGHUP)
    until(lambda: len(repod.find_events(event)) == count, 30, f"the event {event!r}")


# ---------------------------------------------------------------- reload


def test_five_reloads_with_repositories_that_come_and_go_keep_the_counters(tmp_path: Path, key_file: Path) -> None:
    """C146."""
    with Repod(tmp_path, key_file, ["test", "old"]) as repod:
        _publish(repod, quick(tmp_path, "before"))
        for number in range(1, 6):
            repod.retract("old" if number == 1 else f"new{number - 1}")
            repod.declare(f"new{number}")
            repod.write_config()
            _reload(repod, "reloaded", number)
            assert repod.find_events("reloaded")[-1]["repositories"] == [f"new{number}", "test"]
            assert _value(repod, "repod_arrivals_total", repository="test", result="published") == 1
            _publish(repod, quick(tmp_path, f"in{number}"), f"new{number}")
            # It is told after the package is.
            until(lambda name=f"new{number}": _value(repod, "repod_packages", repository=name) == 1, 30, "the gauge")
        status, page = repod.get("/metrics")
        gauges = {labels for name, labels in _samples(page) if name == "repod_packages"}
        assert status == 200
        assert gauges == {frozenset({("repository", "test")}), frozenset({("repository", "new5")})}
        assert repod.get("/repos/old/old.repo")[0] == 404
        assert repod.get("/readyz")[0] == 200
        assert repod.noise() == []


def test_faulty_settings_are_told_and_the_old_ones_go_on(tmp_path: Path, key_file: Path) -> None:
    with Repod(tmp_path, key_file) as repod:
        sound = repod.config.read_text()
        faults: list[Callable[[], object]] = [
            lambda: repod.config.write_text("not = [toml"),
            lambda: repod.config.write_text(sound + "\nsurprise = 1\n"),
            lambda: repod.config.write_text(sound.replace('inbox = "inbox/test"', 'inbox = "inbox/nowhere"')),
            repod.config.unlink,
        ]
        for number, spoil in enumerate(faults, start=1):
            spoil()
            _reload(repod, "reload failed, the settings stay as they were", number)
            assert repod.get("/metrics")[0] == 200
            until(lambda: repod.get("/readyz")[0] == 200, 60, "the daemon to be ready again")
            _publish(repod, quick(tmp_path, f"after{number}"))
        told = [event["problem"] for event in repod.find_events("reload failed, the settings stay as they were")]
        assert ["not TOML" in told[0], "surprise" in told[1], "inbox/nowhere" in told[2]] == [True] * 3
        assert str(repod.config) in told[3]
        assert repod.noise() == []


# ---------------------------------------------------------------- start and end


def test_a_busy_port_ends_the_start_with_one_clear_line(tmp_path: Path, key_file: Path) -> None:
    """C151."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        repod = Repod(tmp_path, key_file, settings={"http": {"listen": f"127.0.0.1:{port}"}})
        ended = command("run", "-c", repod.config, seconds=30)
    (line,) = ended.err.splitlines()
    assert ended.rc == 2
    assert f"[http] listen 127.0.0.1:{port}" in line
    assert "choose a free address" in line


def test_as_pid_1_it_ends_by_sigterm_while_it_is_idle_however_long_it_would_rest(
    tmp_path: Path, key_file: Path
) -> None:
    """C162."""
    idle = {"inbox": {"scan_interval": 600.0}}
    with Repod(tmp_path, key_file, settings=idle, prefix=["unshare", "--pid", "--fork", "--mount-proc"]) as repod:
        _publish(repod, quick(tmp_path))
        assert repod.process is not None
        (daemon,) = [pid for pid in processes.children(repod.pid) if _number_inside(pid) == 1]
        os.kill(daemon, signal.SIGTERM)
        assert repod.process.wait(60) == 0
        assert repod.find_events("stopped", finished=True)


def _number_inside(pid: int) -> int:
    """The number that a process has in its own namespace."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    return 0


# ---------------------------------------------------------------- metrics


def test_every_documented_metric_is_there_from_the_start_and_promtool_has_no_complaint(
    tmp_path: Path, key_file: Path
) -> None:
    """C147."""
    with Repod(tmp_path, key_file) as repod:
        # A thread of its own looks how much room there is: file systems may hang.
        until(lambda: b"\nrepod_filesystem_size_bytes{" in repod.get("/metrics")[1], 30, "the room to be measured")
        status, page = repod.get("/metrics")
    assert status == 200
    there = {name for name, _ in _samples(page)}
    assert there >= _METRICS
    families = [family.name for family in text_string_to_metric_families(page.decode())]
    # Hosts are counted by builds that they run, so a family of theirs has no sample before one reports.
    assert set(re.findall(r"(?<!/)\brepod_[a-z_]+", _README.read_text())) <= there | set(families)
    assert len(families) == len({name.removesuffix("_total").removesuffix("_created") for name in families})
    done = subprocess.run([tool("promtool"), "check", "metrics"], input=page, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_number_of_series_does_not_grow_with_what_is_dropped(tmp_path: Path, key_file: Path) -> None:
    """C148."""
    good = quick(tmp_path, "good")
    with Repod(tmp_path, key_file) as repod:

        def drop(first: int, last: int) -> int:
            """Drop damaged and whole packages of ever new names; the number of series afterwards."""
            for number in range(first, last):
                damage.flip_bit(good, repod.inbox() / f"bad-{number}.rpm", -1 - number)
            for number in range(first, last, 10):
                quick(repod.inbox(), f"other-{number}")
            until(lambda: len(repod.find_events("package rejected")) == last, 120, f"{last} to be rejected")
            until(lambda: not [*repod.inbox().iterdir()], 30, "the inbox to be cleared")
            return len(_samples(repod.get("/metrics")[1]))

        few = drop(0, 10)
        assert drop(10, 210) <= 1.1 * few
        assert _value(repod, "repod_arrivals_total", repository="test", result="rejected") == 210
        # A bit of the index of a header is told before any digest.
        reasons = ("digest", "not-rpm")
        assert sum(_value(repod, "repod_rejected_total", repository="test", reason=one) for one in reasons) == 210


# ---------------------------------------------------------------- log and secrets


def test_every_line_of_the_log_is_one_json_event_that_says_when_and_what(tmp_path: Path, key_file: Path) -> None:
    good, before = quick(tmp_path, "good"), time.time()
    with Repod(tmp_path, key_file) as repod:
        _publish(repod, good)
        damage.flip_bit(good, repod.inbox() / 'bad "quoted"\n\x1b[31mé.rpm', -1)
        until(lambda: repod.find_events("package rejected"), 30, "the damaged package to be rejected")
    events = repod.log_events()
    assert repod.noise() == []
    assert all({"timestamp", "level", "event"} <= event.keys() for event in events)
    # Two threads may say something at once: whoever took the time first need not write first.
    assert all(before <= datetime.fromisoformat(event["timestamp"]).timestamp() <= time.time() for event in events)
    (told,) = repod.find_events("package published")
    assert (told["package"], told["repository"], told["generation"]) == ("good-1.0-1.noarch", "test", 2)
    assert b"\x1b" not in repod.log.read_bytes()


@contextmanager
def _watching(daemon: int, secret: str) -> Iterator[list[str]]:
    """Look for a secret in what the machine shows of a daemon and its children, all the time."""
    found: list[str] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for pid in {daemon, *processes.children(daemon)}:
                for file in ("cmdline", "environ", "comm"):
                    with suppress(OSError):
                        if secret.encode() in Path(f"/proc/{pid}/{file}").read_bytes():
                            found.append(f"{file} of {processes.command(pid)}")
            over.wait(0.005)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def test_the_passphrase_is_seen_in_no_command_line_environment_or_log(tmp_path: Path) -> None:
    """C169."""
    secret = "correct-horse-battery-staple"
    key: Key = make_key(passphrase=secret)
    for name, data in (("key.asc", key.secret), ("passphrase", secret.encode() + b"\n")):
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_bytes(data)
    good = quick(tmp_path, "good")
    signing = {"passphrase_file": str(tmp_path / "passphrase"), "key": str(tmp_path / "key.asc")}
    repod = Repod(tmp_path, tmp_path / "key.asc", settings={"signing": signing})
    repod.spawn()
    with _watching(repod.pid, secret) as found:
        until(lambda: repod.find_events("opened"), 30, "the repository to be opened")
        for number in range(60):
            quick(repod.inbox(), f"p{number}")
        damage.flip_bit(good, repod.inbox() / "bad.rpm", -1)
        until(lambda: len(repod.find_events("package published")) == 60, 60, "all to be published")
        until(lambda: repod.find_events("package rejected"), 30, "the damaged one to be rejected")
        # A key that cannot be unlocked any more is an error that speaks of the passphrase.
        (tmp_path / "passphrase").write_text(f"{secret}-not\n")
        os.kill(repod.pid, signal.SIGHUP)
        until(lambda: repod.process and repod.process.poll() is not None, 30, "the daemon to give up")
    assert repod.stop() == 4
    assert len(assert_sound(repod.store(), key.public)) == 60
    assert found == []
    assert secret not in repod.log.read_text()
    assert "passphrase" in repod.log.read_text()
    for path in (tmp_path / "state", repod.store()):
        assert not [file for file in path.rglob("*") if file.is_file() and secret.encode() in file.read_bytes()]
