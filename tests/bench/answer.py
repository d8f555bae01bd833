"""How long ``/metrics`` and ``/healthz`` take while the daemon that answers them works at its hardest."""

import http.client
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from repod.signing.create import create_key
from repod.start import write_settings
from tests.bench.corpus import build
from tests.bench.measure import table

_PATHS = ("/metrics", "/healthz")
_POLLS = 200  # at least, also where the work is done sooner
_PAUSE = 0.005
_MODELS = 500  # real packages that the entries are made of


def run(count: int, drops: int) -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory(prefix="repod-bench-") as name:
        work = Path(name)
        paths = build(work / "corpus", _MODELS + drops)
        entries, folder = work / "entries", work / "repod"
        words = [sys.executable, "-m", "tests.bench.answering"]
        subprocess.run([*words, "make", entries, str(count), *paths[:_MODELS]], check=True)
        settings = write_settings(folder, "bench", "127.0.0.1:0")
        (folder / "signing-key.asc").write_bytes(create_key("b <b@localhost>", environ=os.environ).secret)
        start = [*words, "run", str(settings), str(entries)]
        rows = []
        with _daemon(start, folder / "log") as daemon:
            rows += [daemon.during("nothing to do", lambda: time.sleep(2))]
            rows += [daemon.during(f"publish of {count} at once", lambda: daemon.tell("publish"))]
            rows += [daemon.during("its catalog and front page", lambda: daemon.tell("follow"))]
            inbox = folder / "inbox" / "bench"
            rows += [daemon.during(f"{drops} packages dropped", lambda: _dropped(paths[_MODELS:], inbox))]
            daemon.tell("follow")
        shutil.rmtree(folder / "state")
        (folder / "state").mkdir()
        with _daemon(start, folder / "log") as daemon:
            rows += [daemon.during("start without any cache", lambda: daemon.tell("follow"))]
            rows += [daemon.during(f"removal of {count} at once", lambda: daemon.tell("remove"))]
    head = [f"{path} {what}" for path in _PATHS for what in ("p50", "p99", "max")]
    table([f"{count} packages; milliseconds", "seconds", "polls", *head], rows)


class _Daemon:
    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self._process = process
        self._log = log
        assert process.stdout
        self._url = urlsplit(process.stdout.readline().strip())

    def tell(self, word: str) -> None:
        """Have it do something, and wait until it is done."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert answer == word, f"it answered {answer!r}; its log: {self._log}"

    def during(self, what: str, work: Callable[[], None]) -> list[str]:
        """Poll while ``work`` is done; a row of the table."""
        worker = threading.Thread(target=work)
        began = time.perf_counter()
        worker.start()
        took: dict[str, list[float]] = {path: [] for path in _PATHS}
        connection = http.client.HTTPConnection(self._url.hostname or "", self._url.port, timeout=60)
        ended = 0.0
        while not ended or len(took[_PATHS[0]]) < _POLLS:
            for path in _PATHS:
                asked = time.perf_counter()
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200, answer.status
                took[path].append(time.perf_counter() - asked)
                time.sleep(_PAUSE)
            if not worker.is_alive() and not ended:
                ended = time.perf_counter() - began
        connection.close()
        worker.join()
        polls = [str(len(took[_PATHS[0]]))]
        return [what, f"{ended:.1f}", *polls, *(text for path in _PATHS for text in _figures(took[path]))]


def _figures(seconds: Sequence[float]) -> Iterator[str]:
    ordered = sorted(seconds)
    for value in (statistics.median(ordered), ordered[int(len(ordered) * 0.99) - 1], ordered[-1]):
        yield f"{1000 * value:.1f}"


@contextmanager
def _daemon(words: Sequence[str], log: Path) -> Iterator[_Daemon]:
    with log.open("a") as out:
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=out, text=True)
    try:
        yield _Daemon(process, log)
    finally:
        process.terminate()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


def _dropped(paths: Sequence[Path], inbox: Path) -> None:
    """Drop packages, and wait until the inbox is empty again."""
    for path in paths:
        shutil.copyfile(path, inbox / f".{path.name}")
        (inbox / f".{path.name}").rename(inbox / path.name)
    while any(inbox.iterdir()):
        time.sleep(0.05)
