"""Drops as CI jobs make them, and changes that people ask for, each at its time."""

import json
import shutil
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.lab.uploads import Curl
from tests.soak.plan import Day, Deed, Drop
from tests.soak.system import System

_HANDS = 8
_TAKEN, _REJECTED = {200, 202}, 422
# A policy may say no, and so may a repository that has nothing to go back to.
_ANSWERED = {200, 404, 409, 422}


class Dropping:
    """Drops and deeds of a day; ``begun`` is told of a drop at the moment at which it begins."""

    def __init__(self, system: System, files: Mapping[int, Path], begun: Callable[[Drop, float], object]) -> None:
        """``files``: those of ``material.make``."""
        self._system = system
        self._files = files
        self._begun = begun
        self._curls = {name: Curl(system.repod, system.secret, name) for name in system.shape.names}
        self.dropped = 0
        self.late = 0.0  # seconds by which a drop began after its time, at the most
        self.deeds = Counter[str]()
        self.errors: list[str] = []

    def run(self, day: Day, stopped: Callable[[float], bool]) -> None:
        """All of the day, in time; ``stopped(seconds)`` waits, and says whether it is over."""
        todo: list[Drop | Deed] = sorted([*day.drops, *day.deeds], key=lambda one: one.at)
        start = time.monotonic()
        with ThreadPoolExecutor(_HANDS, thread_name_prefix="ci") as hands:
            for one in todo:
                if stopped(max(0.0, start + one.at - time.monotonic())):
                    return
                hands.submit(self._done, one, start + one.at)

    def _done(self, one: Drop | Deed, due: float) -> None:
        try:
            if isinstance(one, Deed):
                self._ask(one)
            else:
                self.late = max(self.late, time.monotonic() - due)
                self._drop(one)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the run's to tell
            self.errors.append(f"{one}: {error!r}")

    def _drop(self, drop: Drop) -> None:
        inbox, source = self._system.repod.inbox(drop.repository), self._files[drop.number]
        self._begun(drop, time.monotonic())
        if drop.way == "cp":
            shutil.copyfile(source, inbox / drop.file)
        elif drop.way == "rename":
            shutil.copyfile(source, inbox / f"{drop.file}.part")
            (inbox / f"{drop.file}.part").rename(inbox / drop.file)
        else:
            curl = self._curls[drop.repository]
            done = curl.put(source, url=curl.inbox + drop.file)
            # What is bad may be rejected before the upload is answered.
            if done.status not in _TAKEN and not (drop.fault and done.status == _REJECTED):
                self.errors.append(f"upload of {drop.file} to {drop.repository}: {done.status} {done.text.strip()}")
        self.dropped += 1

    def _ask(self, deed: Deed) -> None:
        body: dict[str, Any] = {"why": "soak"}
        if deed.what == "promote":
            body |= {"from": deed.source, "names": [f"{deed.source}-app1"]}
        status, answer = self._post(f"{deed.repository}/{deed.what}s", {} if deed.what == "prune" else body)
        self.deeds[f"{deed.what} {status}"] += 1
        if status not in _ANSWERED:
            self.errors.append(f"{deed.what} of {deed.repository}: {status} {answer}")

    def prune_all(self) -> None:
        """Have retention carried out everywhere, now."""
        for name in self._system.shape.names:
            self._ask(Deed(at=0, what="prune", repository=name))

    def _post(self, path: str, body: Mapping[str, Any]) -> tuple[int, str]:
        path = path.replace("promotes", "promotions")
        asked = urllib.request.Request(
            f"{self._system.url}/api/v1/repositories/{path}?wait=60",
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._system.secret}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(asked, timeout=120) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
