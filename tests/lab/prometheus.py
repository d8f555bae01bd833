"""Debian's Prometheus on loopback, asked over its API; and promtool."""

import contextlib
import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.lab.ports import free_port
from tests.lab.processes import environment
from tests.lab.rpms import tool
from tests.lab.wait import until

_START = 60.0
_STOP = 10.0


def promtool(*words: str | Path, data: bytes = b"") -> str:
    """``promtool WORDS`` with ``data`` as its input; its output. ``AssertionError`` where it has a complaint."""
    done = subprocess.run(
        [tool("promtool"), *words],
        input=data,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")
    return done.stdout.decode()


class Prometheus:
    """A running server."""

    def __init__(self, url: str) -> None:
        """``url``: without a slash at its end."""
        self.url = url

    def api(self, path: str, **query: str) -> Any:
        """What ``/api/v1/PATH`` answers; ``AssertionError`` with its error where it has one."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                msg = f"{query} is answered by {error.code}: {error.read().decode(errors='replace')}"
            raise AssertionError(msg) from error

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The samples of an instant query."""
        found: list[dict[str, Any]] = self.api("query", query=expr)["result"]
        return found

    def alerts(self, name: str) -> list[dict[str, Any]]:
        """The alerts of that name that are pending or firing."""
        return [alert for alert in self.api("alerts")["alerts"] if alert["labels"]["alertname"] == name]


@contextlib.contextmanager
def prometheus(folder: Path, *, rules: Path, target: str) -> Iterator[Prometheus]:
    """A server in ``folder`` that scrapes ``target`` (HOST:PORT) as job ``repod`` five times a second."""
    listen = f"127.0.0.1:{free_port()}"
    config = folder / "prometheus.yml"
    config.write_text(
        json.dumps(  # YAML, too
            {
                "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms", "evaluation_interval": "200ms"},
                "rule_files": [str(rules)],
                "scrape_configs": [{"job_name": "repod", "static_configs": [{"targets": [target]}]}],
            }
        )
    )
    words = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={listen}"]
    words += ["--enable-feature=exemplar-storage", "--log.level=warn"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [tool("prometheus"), *words], stdout=log, stderr=subprocess.STDOUT, env=environment(folder), cwd=folder
        )
    try:
        until(lambda: _ready(process, listen), _START, f"prometheus to be ready; see {folder}/prometheus.log")
        yield Prometheus(f"http://{listen}")
    finally:
        process.terminate()
        try:
            process.wait(_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(process: "subprocess.Popen[bytes]", listen: str) -> bool:
    assert process.poll() is None, f"prometheus ended with {process.returncode}"
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{listen}/-/ready", timeout=5) as answer:
        return bool(answer.status == 200)
    return False
