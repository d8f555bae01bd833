"""N packages dropped at once: repod's daemon against the shell pipeline that teams use today."""

import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from repod.signing.create import create_key
from repod.start import write_settings
from tests.bench.corpus import build
from tests.bench.measure import table

_BIN = Path(sys.executable).parent


def run(count: int) -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory(prefix="repod-bench-") as name:
        work = Path(name)
        paths = build(work / "corpus", count)
        made = create_key("bench <bench@localhost>", environ=os.environ)
        pipeline = _pipeline(work, paths, made.secret, made.fingerprint)
        seconds, generations = _daemon(work / "repod", paths, made.secret)
    rows = [
        ["rpmsign --addsign, then createrepo_c --update", f"{pipeline:.1f}", f"{count / pipeline:.0f}", "1", ""],
        ["repod", f"{seconds:.1f}", f"{count / seconds:.0f}", str(generations), f"{pipeline / seconds:.1f} x"],
    ]
    table(["", "seconds", "packages/s", "generations", "ratio"], rows)
    print("\nRSA-4096. The pipeline neither checks its input nor fsyncs nor signs its index.")


def _pipeline(work: Path, paths: Sequence[Path], secret: bytes, fingerprint: str) -> float:
    home = Path(tempfile.mkdtemp(prefix="rb-", dir="/tmp"))
    packages = work / "pipeline"
    packages.mkdir()
    for path in paths:
        (packages / path.name).write_bytes(path.read_bytes())
    gpg = ["gpg", "--batch", "--homedir", str(home)]
    try:
        subprocess.run([*gpg, "--import"], input=secret, check=True, capture_output=True)
        start = time.perf_counter()
        macros = {"_gpg_name": fingerprint, "_gpg_path": str(home), "__gpg": "/usr/bin/gpg"}
        defines = [word for key, value in macros.items() for word in ("--define", f"{key} {value}")]
        words = ["rpmsign", *defines, "--addsign", *map(str, sorted(packages.iterdir()))]
        subprocess.run(words, check=True, capture_output=True)
        words = [str(_BIN / "createrepo_c"), "--general-compress-type=gz", "--update", str(packages)]
        subprocess.run(words, check=True, capture_output=True)
        return time.perf_counter() - start
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
        subprocess.run(["rm", "-rf", str(home)], check=True)


def _daemon(folder: Path, paths: Sequence[Path], secret: bytes) -> tuple[float, int]:
    settings = write_settings(folder, "bench", "127.0.0.1:0")
    (folder / "signing-key.asc").write_bytes(secret)
    inbox = folder / "inbox" / "bench"
    words = [sys.executable, "-m", "repod", "run", "-c", str(settings)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(words, stderr=log)
    try:
        url = started(folder / "log")
        start = time.perf_counter()
        for path in paths:
            os.link(path, inbox / path.name)
        while _metric(url, "repod_packages") < len(paths):
            time.sleep(0.02)
        return time.perf_counter() - start, int(_metric(url, "repod_generation")) - 1
    finally:
        process.terminate()
        process.wait()


def started(log: Path) -> str:
    """The URL of a daemon that writes to ``log``, once its repository is there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        text = log.read_text()
        for line in text.splitlines():
            if '"listening"' in line and '"opened"' in text:
                return line.partition('"url": "')[2].partition('"')[0]
        time.sleep(0.02)
    raise SystemExit(f"repod did not start:\n{log.read_text()}")


def _metric(url: str, name: str) -> float:
    with urllib.request.urlopen(f"{url}metrics") as answer:
        lines = answer.read().decode().splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + "{")), 0.0)
