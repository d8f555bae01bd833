"""Joins hooks: each with its receiver, its outboxes, and what delivers."""

import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from repod.backlog import Told as About
from repod.config import Repository, Settings
from repod.courier import Courier, Tally, Told
from repod.delivery import Delivery, Standing, Tried
from repod.doors import Store
from repod.errors import Misconfigured
from repod.hooking import Hook, Sink
from repod.outbox import Outbox, Post
from repod.posting import hooks_of
from repod.pruning import Log
from repod.signing.secret import locate
from repod.wiring import public_url

if TYPE_CHECKING:
    from repod.metrics import Metrics

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def open_sink(hook: Hook, environ: Mapping[str, str]) -> Sink:
    """The receiver of a hook; ``Misconfigured`` where it cannot be one."""
    match hook.way:
        case "url":
            from repod.hooks.webhook import Webhook  # noqa: PLC0415 - it brings an HTTP client

            return Webhook(hook, read_secrets(hook, environ), time.time)
        case "exec":
            from repod.hooks.program import Program  # noqa: PLC0415

            return Program(hook, environ)
    from repod.hooks.aws import Bus, Topic  # noqa: PLC0415 - it brings boto3

    return Topic(hook) if hook.way == "sns" else Bus(hook)


def read_secrets(hook: Hook, environ: Mapping[str, str]) -> Sequence[bytes]:
    """The keys that a webhook signs with; none where it has none. ``Misconfigured`` where they cannot be read."""
    if not hook.secret:
        return ()
    from repod.hooks.webhook import read_secrets as read  # noqa: PLC0415 - it brings an HTTP client

    what = f"hook {hook.name!r}: secret"
    path = locate("secret", hook.secret, environ, table=what.removesuffix(": secret"))
    try:
        return read(f"{what} {path}", path.read_bytes())
    except OSError as error:
        msg = f"{what}: {path} cannot be read ({error.strerror}); give a file that repod may read"
        raise Misconfigured(msg) from error


def open_delivery(
    settings: Settings,
    repository: Repository,
    hook: Hook,
    store: Store,
    tell: Callable[[Tried], object],
    *,
    stopping: Callable[[], bool] = lambda: False,
    log: Log | None = None,
) -> Delivery:
    """What delivers for a hook."""

    def lost(problem: str) -> None:
        if log:
            log.error("event dropped", hook=hook.name, repository=repository.name, problem=problem)

    return Delivery(
        About(
            hook=hook,
            repository=repository.name,
            url=public_url(settings, repository),
            store=store,
            began=int(time.time()),
        ),
        sink=partial(open_sink, hook, os.environ),
        holder=_this_process(),
        clock=time.time,
        chance=random.random,
        tell=tell,
        gone=_is_gone,
        lost=lost,
        stopping=stopping,
    )


def open_couriers(
    settings: Settings, repository: Repository, store: Store, tally: Tally, log: Log
) -> Sequence[Courier]:
    """What tells the hooks of a repository; not started."""
    found = []
    for hook in hooks_of(settings, repository.name):
        told = Told(hook=hook, repository=repository.name, log=log, tally=tally, last=[])

        def delivery(stopping: Callable[[], bool], hook: Hook = hook, told: Told = told) -> Delivery:
            return open_delivery(settings, repository, hook, store, told, stopping=stopping, log=log)

        courier = Courier(
            hook=hook,
            repository=repository.name,
            outbox=Post(store, [(hook.wants, Outbox(hook.name, store))]),
            delivery=delivery,
            tally=tally,
            log=log,
        )
        found.append(courier)
    return found


class Tallies:
    """A ``Tally`` for metrics: what waits for a hook is counted over all its repositories."""

    def __init__(self, metrics: "Metrics") -> None:
        """``metrics``: those of the process."""
        self._metrics = metrics
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, Standing]] = {}

    def tried(self, hook: str, result: str) -> None:
        """See ``Tally``."""
        self._metrics.hook_deliveries.labels(hook, "failed" if result == "paused" else result).inc()

    def waits(self, hook: str, repository: str, standing: Standing) -> None:
        """See ``Tally``."""
        with self._lock:
            known = self._known.setdefault(hook, {})
            known[repository] = standing
            oldest = min((one.oldest for one in known.values() if one.oldest), default=0.0)
            self._metrics.hook_pending.labels(hook).set(sum(one.pending for one in known.values()))
            self._metrics.hook_oldest.labels(hook).set(oldest)


def _this_process() -> str:
    """A name that no other process ever has, and by which another one on this machine can tell that it is gone."""
    machine, pid = _machine(), os.getpid()
    return f"{machine} {pid} {_started(pid)} {secrets.token_hex(4)}"


def _is_gone(holder: str) -> bool:
    """Whether the process of that name certainly lives no more: it was on this machine, and is not there."""
    words = holder.rsplit(" ", 3)
    if len(words) != 4 or words[0] != _machine() or not words[1].isdecimal():  # noqa: PLR2004 - as _this_process makes it
        return False
    return _started(int(words[1])) != words[2]


def _machine() -> str:
    try:
        boot = _BOOT.read_text().strip()
    except OSError:
        boot = ""
    return f"{socket.gethostname()} {boot}"


def _started(pid: int) -> str:
    """When a process began, in ticks since the machine did; empty where there is none."""
    try:
        # After the name, which may hold anything: state, and from there the 20th field.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
