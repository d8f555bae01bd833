"""Hosts that read a private bucket: `repod-s3` as a process, and as installed for dnf and zypper."""

import contextlib
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from email.message import Message
from pathlib import Path
from typing import NamedTuple

from tests.lab.clients import Completed, run
from tests.lab.processes import environment
from tests.lab.seaweed import Seaweed
from tests.lab.wait import until

ROOT = Path(__file__).resolve().parents[2]
WORDS = (sys.executable, "-m", "repod.hosts")


class Said(NamedTuple):
    """An answer over HTTP."""

    status: int
    headers: Message
    body: bytes


def ask(url: str, method: str = "GET", **headers: str) -> Said:
    """What ``url`` answers, sent as it is written, without a proxy; underscores in ``headers`` are hyphens."""
    asked = urllib.request.Request(url, method=method)
    for name, value in headers.items():
        asked.add_header(name.replace("_", "-"), value)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(asked, timeout=60) as answer:
            return Said(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Said(error.code, error.headers, error.read())


class Proxy:
    """A running `repod-s3 serve`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    def log(self) -> str:
        """All that it said."""
        return self._log.read_text()

    @property
    def url(self) -> str:
        """Where it listens, with a slash at the end."""
        until(lambda: "listening on " in self.log() or self.process.poll() is not None, 60, "the proxy to listen")
        assert "listening on " in self.log(), self.log()
        return self.log().split("listening on ")[1].split()[0]

    def ask(self, path: str, method: str = "GET", **headers: str) -> Said:
        """What it answers for BUCKET/KEY."""
        return ask(self.url + path, method, **headers)


def raw(running: Proxy, text: str) -> bytes:
    """All that the proxy answers to exactly this text."""
    host, _, port = running.url.removeprefix("http://").rstrip("/").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as channel:
        channel.sendall(text.encode())
        channel.shutdown(socket.SHUT_WR)
        said = b""
        while piece := channel.recv(65536):
            said += piece
    return said


@contextlib.contextmanager
def proxy(
    home: Path,
    *allow: str,
    environ: Mapping[str, str],
    options: Sequence[str] = (),
    listener: socket.socket | None = None,
) -> Iterator[Proxy]:
    """Run it with ``allow`` on a port of its own, or on ``listener`` as systemd hands it on."""
    home.mkdir(parents=True, exist_ok=True)
    prefix: list[str] = []
    if listener is not None:
        prefix = ["bash", "-euc", f'export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@" 3<&{listener.fileno()}', "sh"]
    elif "--listen" not in options:
        options = ["--listen", "127.0.0.1:0", *options]
    wanted = [word for place in allow for word in ("--allow", place)]
    with (home / "proxy.log").open("wb") as log:
        process = subprocess.Popen(
            [*prefix, *WORDS, "serve", *options, *wanted],
            cwd=ROOT,
            env=environment(home, PYTHONPATH=str(ROOT), **environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[listener.fileno()] if listener else [],
        )
    try:
        yield Proxy(process, home / "proxy.log")
    finally:
        process.terminate()
        process.wait(40)


def hosts(home: Path, *words: str | Path, environ: Mapping[str, str] | None = None) -> Completed:
    """``repod-s3 WORDS`` to its end."""
    return run([*WORDS, *words], home, PYTHONPATH=str(ROOT), **(environ or {}))


def upload(s3: Seaweed, folder: Path, bucket: str, prefix: str) -> None:
    """Every file of a repository as an object below ``prefix``, as the store of a bucket has it."""
    client = s3.client()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            client.upload_file(str(path), bucket, f"{prefix}{path.relative_to(folder)}")


def installed(root: Path, *parts: str, plugins: Path | None = None) -> Completed:
    """``repod-s3 install`` below ``root``, run by this Python, which has botocore."""
    more: list[str | Path] = ["--dnf-plugins", plugins] if plugins else []
    return hosts(root, "install", "--root", root, "--python", sys.executable, *more, *parts)


def with_program(root: Path) -> list[str | Path]:
    """Words before a command that sees what was installed below ``root`` in /usr/lib and /usr/local/bin."""
    mounts = "; ".join(
        f"mount -t overlay overlay -o lowerdir='{root}/{place}':/{place} /{place}"
        for place in ("usr/lib", "usr/local/bin")
    )
    return ["unshare", "--mount", "sh", "-euc", f'{mounts}; exec "$@"', "sh"]
