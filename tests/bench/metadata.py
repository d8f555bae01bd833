"""The documents of a repository of N: one and a hundred packages added, gz and zstd, against the machine's floor."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from repod.signing.create import create_key
from tests.bench.corpus import build
from tests.bench.measure import table

_HUNDREDS = 3


def run(sizes: Sequence[int], rounds: int) -> None:
    """Measure every size and print the table."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="repod-bench-") as name:
        work = Path(name)
        paths = build(work / "corpus", max(sizes) + rounds + 100 * _HUNDREDS)
        key = work / "key.asc"
        key.touch(mode=0o600)
        key.write_bytes(create_key("bench <bench@localhost>", environ=os.environ).secret)
        for size in sizes:
            for compression in ("gz", "zstd"):
                folder = work / "repository"
                folder.mkdir()
                rows.append(_row(folder, key, paths, size, rounds, compression))
                shutil.rmtree(folder)
    header = [
        "packages",
        "format",
        "one added",
        "best",
        "floor",
        "best : floor",
        "a hundred added",
        "hundred : one",
        "cold start s",
        "resident MiB after it",
        "packed MB",
    ]
    table(header, rows)
    print("\nMilliseconds, median, in a warm process, with every fsync and two RSA-4096 signatures. The floor, in the")
    print("same process: SHA-256 of the plain and the packed documents on two processors, and a durable copy of them.")


def _row(folder: Path, key: Path, paths: Sequence[Path], size: int, rounds: int, compression: str) -> list[str]:
    lists = {"base": paths[:size], "added": paths[size : size + rounds], "hundreds": paths[-100 * _HUNDREDS :]}
    for name, items in lists.items():
        (folder / name).write_text("\n".join(map(str, items)))
    base, added, hundreds = (str(folder / name) for name in lists)
    grown = _process(str(folder), str(key), base, added, compression, hundreds)
    shutil.rmtree(folder / "cache")
    cold = _process(str(folder), str(key))
    one, hundred = statistics.median(grown["seconds"]), statistics.median(grown["hundreds"])
    best = min(grown["seconds"])
    return [
        f"{size:,}",
        compression,
        *(f"{seconds * 1000:.0f}" for seconds in (one, best, grown["floor"])),
        f"{best / grown['floor']:.2f}",
        f"{hundred * 1000:.0f}",
        f"{hundred / one:.1f}",
        f"{cold['seconds']:.1f}",
        f"{cold['rest']:.0f}",
        f"{sum(grown['sizes'].values()) / 1e6:.1f}",
    ]


def _process(*words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.publisher", *words]
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(made.stdout.splitlines()[-1])
    return answer
