"""The tools that repod is measured against, each on a repository of its own that grows."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import createrepo_agent
import createrepo_c

from tests.bench.measure import Cost, command, peak

_BIN = Path(sys.executable).parent


def link(paths: Sequence[Path], folder: Path) -> None:
    """Hard links to ``paths`` in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        os.link(path, folder / path.name)


class Createrepo:
    """``createrepo_c --update``, which starts cold every time; ``form`` is gz or zstd."""

    def __init__(self, folder: Path, form: str) -> None:
        self._folder = folder
        self._words = [str(_BIN / "createrepo_c"), f"--general-compress-type={form}", "--update", str(folder)]

    def add(self, paths: Sequence[Path]) -> Cost:
        """Add packages and run it."""
        link(paths, self._folder / "Packages")
        return command(self._words)

    def size(self) -> int:
        """Bytes of primary, filelists and other."""
        return sum(row.size for row in self._records())

    def _records(self) -> list[createrepo_c.RepomdRecord]:
        return list(createrepo_c.Repomd(str(self._folder / "repodata/repomd.xml")).records)


class Agent:
    """createrepo-agent as a server that keeps everything in memory; gzip only."""

    def __init__(self, folder: Path, pid: int) -> None:
        self._folder = folder
        self._pid = pid

    def add(self, paths: Sequence[Path]) -> Cost:
        """Add packages and commit."""
        with createrepo_agent.Client(str(self._folder)) as client:
            start = time.perf_counter()
            for path in paths:
                client.add(str(path), ["x86_64"])
            client.commit()
            return Cost(seconds=time.perf_counter() - start, mib=peak(self._pid))


@contextmanager
def agent(folder: Path) -> Iterator[Agent]:
    """A running agent."""
    folder.mkdir()
    process = subprocess.Popen([str(_BIN / "createrepo-agent"), "--server", str(folder)])
    try:
        while not (folder / createrepo_agent.SOCK_NAME).exists():
            if process.poll() is not None:
                raise SystemExit("createrepo-agent ended")
            time.sleep(0.01)
        yield Agent(folder, process.pid)
    finally:
        process.terminate()
        process.wait()
