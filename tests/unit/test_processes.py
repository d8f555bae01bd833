"""Worker processes: begun when needed, replaced when lost, ended in time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from repod.errors import Unavailable
from repod.processes import Lost, Overtime, Processes
from tests.lab import processes as look
from tests.lab.bounds import temporary
from tests.lab.wait import until


@contextmanager
def _processes(count: int = 1, timeout: float = 30, tasks_each: int = 0) -> Iterator[Processes]:
    bounds = temporary()
    pool = Processes(
        what="test",
        count=count,
        timeout=timeout,
        begin=os.umask,
        arguments=[0o27],
        bounds=bounds,
        tasks_each=tasks_each,
    )
    try:
        yield pool
    finally:
        pool.close()


def test_one_caller_at_a_time_needs_one_process() -> None:
    with _processes(count=4) as pool:
        assert len({pool.run(os.getpid) for _ in range(20)}) == 1


def test_a_second_process_begins_where_the_first_is_busy(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with _processes(count=2) as pool, ThreadPoolExecutor(1) as threads:
        first = threads.submit(pool.run, Path.read_bytes, fifo)
        with fifo.open("wb") as hold:  # opens when the task has
            assert pool.run(abs, -1) == 1
            hold.write(b"done")
        assert first.result(30) == b"done"


def test_a_process_begins_before_its_first_task_and_is_replaced_after_its_last() -> None:
    with _processes(tasks_each=3) as pool:
        assert pool.run(os.umask, 0o27) == 0o27
        pids = [pool.run(os.getpid) for _ in range(8)]
        assert len(set(pids[:2])) == len(set(pids[2:5])) == len(set(pids[5:])) == 1
        assert len(set(pids)) == 3


def test_what_a_task_raises_is_raised_and_the_process_stays() -> None:
    with _processes() as pool:
        before = pool.run(os.getpid)
        with pytest.raises(FileNotFoundError):
            pool.run(os.stat, "/no/such/place")
        assert pool.run(os.getpid) == before


def test_a_process_that_ends_under_its_task_is_lost_with_its_exit_code() -> None:
    with _processes() as pool:
        with pytest.raises(Lost) as caught:
            pool.run(os._exit, 7)
        assert caught.value.exitcode == 7
        with pytest.raises(Lost) as caught:
            pool.run(signal.raise_signal, signal.SIGSEGV, attempts=1)
        assert caught.value.exitcode == -signal.SIGSEGV
        assert pool.run(abs, -1) == 1


def test_a_process_that_was_killed_while_idle_costs_nobody_anything() -> None:
    with _processes() as pool:
        pid = pool.run(os.getpid)
        os.kill(pid, signal.SIGKILL)
        assert pool.run(os.getpid) != pid


def test_a_task_that_takes_too_long_ends_with_its_process() -> None:
    with _processes(timeout=3) as pool:
        pid = pool.run(os.getpid)
        with pytest.raises(Overtime):
            pool.run(time.sleep, 60)
        until(lambda: not look.command(pid), 30, "the end of the process")
        assert pool.run(abs, -1) == 1


def test_a_timeout_longer_than_the_kernel_can_wait_is_no_error() -> None:
    with _processes(timeout=366 * 86400.0) as pool:
        assert pool.run(abs, -1) == 1


def test_after_close_there_is_no_process_and_whoever_waits_is_told() -> None:
    with _processes() as pool, ThreadPoolExecutor(3) as threads:
        pid = pool.run(os.getpid)
        waiting = [threads.submit(pool.run, time.sleep, 60) for _ in range(3)]
        until(waiting[0].running, 30, "a task to begin")
        pool.close()
        for future in waiting:
            assert isinstance(future.exception(30), Unavailable)
        assert not look.command(pid)
        with pytest.raises(Unavailable, match="shutting down"):
            pool.run(abs, -1)


def test_a_process_has_no_credentials_of_aws_in_its_environment_not_even_where_the_kernel_shows_it() -> None:
    """Also where the server of the processes was begun anew, beside credentials."""
    script = (
        "import multiprocessing.forkserver as server, os, repod.processes as processes\n"
        "from pathlib import Path\n"
        "for early in (True, False):\n"
        "    if early: processes.start_server()\n"
        "    else: server._forkserver._stop()\n"
        "    bounds = processes.Bounds(reads=[Path('/proc')])\n"
        "    pool = processes.Processes(\n"
        "        what='t', count=1, timeout=30, begin=os.umask, arguments=[0o27], bounds=bounds)\n"
        "    print(b'hidden' in pool.run(Path.read_bytes, Path('/proc/self/environ')), pool.run(os.getenv, 'AWS_X'))\n"
        "    pool.close()\n"
        "print(os.environ['AWS_X'])\n"
    )
    env = {**os.environ, "AWS_X": "hidden", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("False None\nFalse None\nhidden\n", 0), done.stderr
