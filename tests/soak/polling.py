"""The polling clients: processes of ``reader.py``, and what their reads came to."""

import json
import subprocess
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from tests.lab.keys import gnupghome, gpg
from tests.soak.plan import Shape

# Debian's librepo is for Debian's Python.
_PYTHON = "/usr/bin/python3"
_READER = Path(__file__).with_name("reader.py")
_EACH = 10  # clients of one process
_WAYS = ("metalink", "metalink", "mirrorlist", "metalink", "baseurl")
_TORN = ("repomd.xml", "GPG")


class Polling:
    """Runs the clients while it is used as a context.

    ``errors``: what went wrong, with the client that it happened to. Of the live view, one read between the two
    replacements of index and signature is no error, as a client tries again: ``torn`` counts those, and a second one
    of the same client in a row is an error, unless another index came in between.
    """

    def __init__(self, shape: Shape, url: str, key: bytes, folder: Path) -> None:
        """``url``: of the daemon; ``key``: what signatures must be by."""
        self._shape, self._url, self._key, self._folder = shape, url, key, folder
        self._stack = ExitStack()
        self._processes: list[subprocess.Popen[str]] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._seen: dict[int, int] = {}
        self._tried: dict[int, str] = {}
        self.reads = Counter[str]()
        self.fetched = 0
        self.torn = 0
        self.seconds: list[float] = []
        self.errors: list[str] = []

    def __enter__(self) -> Self:
        self._folder.mkdir()
        clients = [self._client(number) for number in range(self._shape.clients)]
        for first in range(0, len(clients), _EACH):
            self._start(first, clients[first : first + _EACH])
        return self

    def _client(self, number: int) -> dict[str, Any]:
        name, way = self._shape.names[number % self._shape.repositories], _WAYS[number % len(_WAYS)]
        leaf = {"metalink": "metalink.xml", "mirrorlist": "mirrorlist", "baseurl": ""}[way]
        address = f"{self._url}/repos/{name}/{leaf}"
        return {"id": number, "repository": name, "way": way, "address": address, "every": self._shape.poll}

    def _start(self, seed: int, clients: Sequence[dict[str, Any]]) -> None:
        home = self._stack.enter_context(gnupghome())
        gpg(home, "--import", data=self._key)
        process = subprocess.Popen([_PYTHON, _READER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._processes.append(process)
        assert process.stdin
        told = {"home": str(home), "folder": str(self._folder), "seed": seed + self._shape.seed, "clients": clients}
        process.stdin.write(json.dumps(told) + "\n")
        process.stdin.flush()
        thread = threading.Thread(target=self._listen, args=(process,), name=f"reader {seed}")
        self._threads.append(thread)
        thread.start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        for line in process.stdout:
            with self._lock:
                self._note(json.loads(line))

    def _note(self, read: dict[str, Any]) -> None:
        client, way = read["client"], read["way"]
        self.reads[way] += 1
        who = f"client {client} of {read['repository']} by {way}"
        if "error" in read:
            torn = way == "baseurl" and any(word in read["error"] for word in _TORN)
            if torn and self._tried.get(client) != read.get("index", ""):
                self.torn += 1
                self._tried[client] = read.get("index", "")
            else:
                self.errors.append(f"{who}: {read['error']}")
            return
        self._tried.pop(client, None)
        self.seconds.append(read["seconds"])
        self.fetched += bool(read["fetched"])
        before = self._seen.get(client, 0)
        if read["generation"] < before:
            self.errors.append(f"{who}: went from generation {before} back to {read['generation']}")
        self._seen[client] = max(before, read["generation"])

    @property
    def total(self) -> int:
        """How many reads there were."""
        return self.reads.total()

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            assert process.stdin
            process.stdin.close()
        for process, thread in zip(self._processes, self._threads, strict=True):
            thread.join()
            if process.wait():
                self.errors.append(f"a process of clients ended with {process.returncode}")
            assert process.stdout
            process.stdout.close()
        self._stack.close()
