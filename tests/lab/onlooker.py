"""Looks at a repository in a bucket again and again, as hosts do, and notes whatever moved back."""

import json
import re
import threading
from collections.abc import Mapping
from typing import Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from repod.generation import HEAD
from tests.lab.seaweed import Seaweed

_NUMBERS = {
    HEAD: lambda data: json.loads(data)["generation"],
    "repodata/repomd.xml": lambda data: re.search(rb"<revision>(\d+)</revision>", data)[1],
    "mirrorlist": lambda data: re.search(rb"generations/(\d+)/", data)[1],
    "metalink.xml": lambda data: re.search(rb"generations/(\d+)/", data)[1],
}
"""What tells of a generation, and where its number stands in it."""


class Onlooker:
    """Runs while it is used as a context; raises in the end where something moved back."""

    def __init__(self, server: Seaweed, place: str, seconds: float = 0.05) -> None:
        """``place``: ``s3://BUCKET/PREFIX/``, asked directly; ``seconds`` between two looks."""
        self._bucket, _, self._prefix = place.removeprefix("s3://").partition("/")
        self._client = server.client()
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="onlooker")
        self.highest: dict[str, int] = {}
        self.faults: list[str] = []
        self.looks = 0

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Look a last time."""
        self._stop.set()
        self._thread.join()
        if kind is None:
            self.look()
            assert self.faults == []

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self.look()

    @property
    def generation(self) -> int:
        """The highest number that the pointer was seen at."""
        return self.highest.get(HEAD, 0)

    def look(self) -> Mapping[str, int]:
        """Look once; the numbers as they are now."""
        now = {}
        for path, number in _NUMBERS.items():
            data = self._read(path)
            before = self.highest.get(path, 0)
            found = int(number(data)) if data else 0
            if found < before:
                self.faults.append(f"{path} went from {before} back to {found}")
            self.highest[path] = max(found, before)
            now[path] = found
        self.looks += 1
        return now

    def _read(self, path: str) -> Any:
        for _ in range(3):
            try:
                return self._client.get_object(Bucket=self._bucket, Key=self._prefix + path)["Body"].read()
            except self._client.exceptions.NoSuchKey:
                return b""
            except (ClientError, BotoCoreError):
                continue
        self.faults.append(f"{path} could not be read")
        return b""
