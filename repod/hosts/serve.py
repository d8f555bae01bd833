"""`repod-s3 serve`: as a service, socket-activated or not, or as the child of a package manager."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from repod import jsontext
from repod.hosts.bucket import Buckets
from repod.hosts.faults import WrongUse
from repod.hosts.place import Prefix
from repod.hosts.proxy import Policy, Proxy, listening, say
from repod.hosts.settings import Listen, Settings

_FIRST_SOCKET = 3  # sd_listen_fds(3)
_LOOK = 0.5
_PATIENCE = 30.0


@dataclass(frozen=True)
class Errand:
    """What a package manager tells its child on the first line of its input, as JSON.

    The child ends when ``parent`` does (a pid), or, where that is 0, when its input ends.
    """

    allow: tuple[Prefix, ...]
    password: str = ""
    parent: int = 0

    @classmethod
    def parse(cls, line: str) -> Errand:
        """``{"allow": ["s3://…"], "password": "…", "parent": 0}``."""
        try:
            told = jsontext.loads(line)
            allow = tuple(Prefix.parse(text) for text in told["allow"])
            return cls(allow, str(told.get("password", "")), int(told.get("parent", 0)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            msg = f"--child: expected a line of JSON with allow on standard input, found {line!r}"
            raise WrongUse(msg) from error


def serve(settings: Settings, environ: Mapping[str, str], *, verbose: bool) -> None:
    """Answer until told to stop, or until idle where systemd holds the socket and would start it again."""
    if not settings.allow:
        msg = "allow: expected at least one s3://BUCKET/PREFIX/ that this host may read, found none"
        raise WrongUse(msg)
    passed = activated(environ)
    listener = passed or listening(settings.listen)
    proxy = Proxy(listener, _policy(settings, verbose=verbose), Buckets(settings))
    limit = settings.idle if passed else 0.0
    say(f"listening on http://{proxy.own}/ for {' '.join(map(str, settings.allow))}")
    _run(proxy, lambda: 0 < limit < proxy.idle(), lambda: _notify(environ, "READY=1"))
    _notify(environ, "STOPPING=1")


def serve_child(settings: Settings, *, verbose: bool) -> None:
    """Answer one package manager, on a port of its own, as long as that lives."""
    errand = Errand.parse(sys.stdin.readline())
    settings = replace(settings, allow=errand.allow)
    policy = replace(_policy(settings, verbose=verbose), password=errand.password)
    proxy = Proxy(listening(Listen("127.0.0.1", 0)), policy, Buckets(settings))
    print(proxy.server_port, flush=True)
    os.close(1)  # who reads it to the end waits no longer
    with contextlib.suppress(OSError):
        os.setsid()  # Ctrl-C is dnf's to handle: it ends downloads one by one, and asks again
    began = _began(errand.parent) if errand.parent else ""
    if errand.parent:
        _run(proxy, lambda: _began(errand.parent) != began or 0 < settings.idle < proxy.idle())
    else:
        _run(proxy, _end_of_input())


def activated(environ: Mapping[str, str]) -> socket.socket | None:
    """The socket that systemd opened for this process, if it did; ``WrongUse`` where it is not of loopback."""
    if environ.get("LISTEN_PID") != str(os.getpid()) or environ.get("LISTEN_FDS") != "1":
        return None
    listener = socket.socket(fileno=_FIRST_SOCKET)
    if listener.family not in {socket.AF_INET, socket.AF_INET6}:
        msg = "repod-s3.socket: expected ListenStream= with an address of loopback, found another kind of socket"
        raise WrongUse(msg)
    listener.set_inheritable(False)
    Listen.parse(str(Listen(*listener.getsockname()[:2])))
    return listener


def _policy(settings: Settings, *, verbose: bool) -> Policy:
    users = (0, os.geteuid(), *settings.allow_users)
    return Policy(settings.allow, users, verbose=verbose)


def _run(proxy: Proxy, done: Callable[[], bool], ready: Callable[[], object] = bool) -> None:
    """Answer until ``done`` or SIGTERM; what is under way then is finished."""
    stop = threading.Event()

    def asked_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    def watch() -> None:
        while not done() and not stop.wait(_LOOK):
            pass
        proxy.shutdown()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, asked_to_stop)
    threading.Thread(target=watch, daemon=True).start()
    ready()
    with proxy:
        proxy.serve_forever(poll_interval=_LOOK)
    # No new connections from here on: with a socket of systemd's they wait for the next process.
    deadline = time.monotonic() + (_PATIENCE if stop.is_set() or not done() else 1.0)
    while not proxy.idle() and time.monotonic() < deadline:
        time.sleep(0.05)


def _end_of_input() -> Callable[[], bool]:
    """Whether whoever holds the other end of the standard input is gone, however it went."""
    ended = threading.Event()

    def wait() -> None:
        while os.read(0, 4096):
            pass
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    return ended.is_set


def _began(pid: int) -> str:
    """When a process began, which tells it from a later one of that number; empty where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in {"Z", "X"} else fields[19]


def _notify(environ: Mapping[str, str], line: str) -> None:
    """sd_notify(3)."""
    address = environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel, contextlib.suppress(OSError):
            channel.sendto(line.encode(), "\0" + address[1:] if address.startswith("@") else address)
