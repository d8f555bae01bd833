"""One package added to a repository of N: repod's daemon and ``repod once`` against the peers, gzip all."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import createrepo_agent

from repod.signing.create import create_key
from repod.start import write_settings
from tests.bench.corpus import build
from tests.bench.measure import Cost, command, peak, table

_BIN = Path(sys.executable).parent


def run(sizes: Sequence[int], rounds: int) -> None:
    """Measure every size and print the table."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="repod-bench-") as name:
        work = Path(name)
        paths = build(work / "corpus", max(sizes) + 2 * rounds)
        key = work / "key.asc"
        key.touch(mode=0o600)
        key.write_bytes(create_key("bench <bench@localhost>", environ=os.environ).secret)
        for size in sizes:
            added, more = paths[-2 * rounds : -rounds], paths[-rounds:]
            rows.append(_row(work / str(size), key, paths[:size], added, more))
    header = [
        "packages",
        "createrepo_c --update (cold)",
        "createrepo-agent (warm)",
        "repod daemon (warm)",
        "repod once (cold)",
        "daemon : createrepo_c",
        "daemon : agent",
        "once : createrepo_c",
        "peak MiB: createrepo_c / agent / daemon / once",
    ]
    table(header, rows)
    print("\nMilliseconds, median; repod fsyncs and signs its index with RSA-4096, the others do neither;")
    print("repod once also verifies, signs and stores the package.")


def _row(work: Path, key: Path, base: Sequence[Path], added: Sequence[Path], more: Sequence[Path]) -> list[str]:
    work.mkdir()
    update = _createrepo_c(work / "createrepo_c", base, added)
    agent = _agent(work / "agent", base, added)
    daemon = _daemon(work / "daemon", key, base, added)
    once = _once(work / "once", key, more)
    ms = [f"{cost.seconds * 1000:.0f}" for cost in (update, agent, daemon, once)]
    ratios = [
        f"{update.seconds / daemon.seconds:.0f} x",
        f"{agent.seconds / daemon.seconds:.1f} x",
        f"{update.seconds / once.seconds:.1f} x",
    ]
    memory = " / ".join(f"{cost.mib:.0f}" for cost in (update, agent, daemon, once))
    return [f"{len(base):,}", *ms, *ratios, memory]


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(seconds=statistics.median(c.seconds for c in costs), mib=max(c.mib for c in costs))


def _link(paths: Sequence[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        os.link(path, folder / path.name)


def _createrepo_c(folder: Path, base: Sequence[Path], added: Sequence[Path]) -> Cost:
    _link(base, folder / "Packages")
    words = [str(_BIN / "createrepo_c"), "--general-compress-type=gz", "--update", str(folder)]
    command(words)
    costs = []
    for path in added:
        _link([path], folder / "Packages")
        costs.append(command(words))
    return _median(costs)


@contextmanager
def _agent_server(folder: Path) -> Iterator[int]:
    process = subprocess.Popen([str(_BIN / "createrepo-agent"), "--server", str(folder)])
    try:
        while not (folder / createrepo_agent.SOCK_NAME).exists():
            if process.poll() is not None:
                raise SystemExit("createrepo-agent ended")
            time.sleep(0.01)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _agent(folder: Path, base: Sequence[Path], added: Sequence[Path]) -> Cost:
    folder.mkdir()
    with _agent_server(folder) as pid, createrepo_agent.Client(str(folder)) as client:
        for path in base:
            client.add(str(path), ["x86_64"])
        client.commit()
        costs = []
        for path in added:
            start = time.perf_counter()
            client.add(str(path), ["x86_64"])
            client.commit()
            costs.append(Cost(seconds=time.perf_counter() - start, mib=peak(pid)))
    return _median(costs)


def _daemon(folder: Path, key: Path, base: Sequence[Path], added: Sequence[Path]) -> Cost:
    folder.mkdir()
    (folder / "base").write_text("\n".join(map(str, base)))
    (folder / "added").write_text("\n".join(map(str, added)))
    words = [sys.executable, "-m", "tests.bench.publisher", str(folder), str(key), str(folder / "base")]
    made = subprocess.run([*words, str(folder / "added")], check=True, capture_output=True, text=True)
    answer = json.loads(made.stdout.splitlines()[-1])
    return Cost(seconds=statistics.median(answer["seconds"]), mib=answer["peak"])


def _once(folder: Path, key: Path, added: Sequence[Path]) -> Cost:
    """A command per package, with the repository and its cache as the daemon's run left them."""
    settings = write_settings(folder, "bench", "127.0.0.1:0")
    os.link(key, folder / "signing-key.asc")
    store, cache = folder / "www" / "bench", folder / "state" / "cache" / "bench"
    store.rmdir()
    cache.parent.mkdir(parents=True)
    (folder.parent / "daemon" / "store").rename(store)
    (folder.parent / "daemon" / "cache").rename(cache)
    words = [sys.executable, "-m", "repod", "once", "-c", str(settings)]
    costs = []
    for path in added:
        _link([path], folder / "inbox" / "bench")
        costs.append(command(words))
    return _median(costs)
