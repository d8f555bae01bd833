"""The daemon: one loop per repository, one HTTP listener, signals, and systemd told of it."""

import contextlib
import select
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Protocol

from fastapi import FastAPI

from repod.accounting import Accounting
from repod.board import Board
from repod.bus import Bus
from repod.config import Settings
from repod.errors import Misconfigured, RepodError, Unavailable
from repod.letterbox import Letterbox
from repod.listening import Http
from repod.loop import Log, Loop
from repod.metrics import Metrics
from repod.notify import notify, watchdog_seconds
from repod.office import By, Office
from repod.prompt import be_prompt, tidy
from repod.web.api.door import Door
from repod.web.api.jobs import Jobs
from repod.web.api.live import make_live
from repod.web.api.routes import make_api
from repod.web.desk import Desk
from repod.web.gate import Access, Gate
from repod.web.listener import limits_for, raise_files, serving
from repod.web.pages.routes import make_pages
from repod.web.serve import make_app
from repod.web.shelves import Shelf
from repod.web.site import Site
from repod.web.tls import open_tls, renew
from repod.wording import counted

_STOP_SECONDS = 1.5  # what a turn gets to end by itself; then it is abandoned, which is safe
_RELOAD_SECONDS = 60.0
_CHANGE_SECONDS = 15.0  # what a change by hand gets to end by itself before a reload gives it up, which is safe
_THREADS = 8  # that look for API and pages
_WAITING = 64
_HANDS = 4  # that change
_QUEUED = 32
_HUNG_SECONDS = 600.0  # a loop that has not come round for so long is not alive


class Service(Protocol):
    """What the settings describe, built and ready to run."""

    @property
    def loops(self) -> Sequence[Loop]:
        """One per repository, not started."""

    @property
    def shelves(self) -> Mapping[str, Shelf]:
        """The files of each repository, for hosts."""

    @property
    def letterboxes(self) -> Mapping[str, Letterbox]:
        """Where files are brought to each repository."""

    @property
    def access(self) -> Access:
        """Who may do what over HTTP."""

    @property
    def office(self) -> Office:
        """What API and pages ask."""

    @property
    def site(self) -> Site:
        """By which names the listener is called, and where hosts find each repository."""

    @property
    def accounting(self) -> Accounting:
        """What hears for the audit log."""

    def look(self) -> None:
        """Measure what the machine has left for metrics, without waiting for it; called every few seconds."""

    def remind(self) -> None:
        """Say again, once a day, what ends soon; called every few seconds."""

    def stop(self) -> None:
        """Let no change begin any more, and end soon what can."""

    def join(self, seconds: float) -> bool:
        """Wait until no change is at work; False where one did not end in time."""

    def close(self) -> None:
        """Let go of everything; a change that is still at work fails soon, which is safe."""


class Daemon:
    """Runs what the settings describe until SIGTERM or SIGINT; SIGHUP reads them again."""

    def __init__(
        self,
        *,
        settings: Settings,
        read: Callable[[], Settings],
        build: Callable[[Settings], Service],
        metrics: Metrics,
        log: Log,
        environ: Mapping[str, str],
        ready: Callable[[str], None],
        bus: Bus,
        board: Board,
    ) -> None:
        """``read`` and ``build`` may raise ``Misconfigured``; ``ready`` is told the URL once.

        ``bus`` and ``board`` are those of what is built; they are closed at the end.
        """
        self._settings = settings
        self._read = read
        self._build = build
        self._metrics = metrics
        self._log = log
        self._environ = environ
        self._bell = _Bell()
        self._stopping = False
        self._reload = False
        self._ready = ready
        self._bus = bus
        self._board = board
        self._service: Service | None = None
        self._listen = settings.http
        self._tls: ssl.SSLContext | None = None
        self._access: Access | None = None
        self._site = Site()
        self._abandoned = False  # a change by hand

    def run(self) -> bool:
        """Run to the end. False where a turn or change had to be abandoned. Raises ``Misconfigured`` at start only."""
        handlers = {signal.SIGTERM: self.stop, signal.SIGINT: self.stop, signal.SIGHUP: self._on_hangup}
        with self._bell, _signals(handlers), listening(self._settings.http) as channel:
            self._listen = self._settings.http.at(channel.getsockname()[1])
            self._tls = open_tls(self._listen)
            self._service = self._build(self._on(self._settings))
            app = self._app(Gate(self._rules, self._log, attempted=self._attempt, count=self._metrics.refuse))
            with serving(app, channel, self._listen, self._tls, limits_for(raise_files())):
                self._start()
                while not self._stopping:
                    self._tick()
                return self._end()

    def _app(self, gate: Gate) -> FastAPI:
        desk, hands = Desk(threads=_THREADS, waiting=_WAITING), Desk(threads=_HANDS, waiting=_QUEUED)
        door = Door(office=self._office, gate=gate, desk=desk, jobs=Jobs(hands, self._log))
        live = make_live(door, letterboxes=self._letterboxes, board=self._board, bus=self._bus, log=self._log)
        return make_app(
            shelves=self._shelves,
            gate=gate,
            page=self._metrics.page,
            health=self._health,
            site=self._named,
            routers=[make_api(door, live), make_pages(door, self._board.waiting)],
            counts=self._metrics,
        )

    def stop(self) -> None:
        """End soon; may be called from any thread or signal handler."""
        self._stopping = True
        self._bell.ring()

    def _on_hangup(self) -> None:
        self._reload = True
        self._bell.ring()

    @property
    def _loops(self) -> Sequence[Loop]:
        return self._service.loops if self._service else ()

    def _shelves(self) -> Mapping[str, Shelf]:
        return self._service.shelves if self._service else {}

    def _letterboxes(self) -> Mapping[str, Letterbox]:
        return self._service.letterboxes if self._service else {}

    def _rules(self) -> Access:
        """As the settings say it; while they are read anew, as they said it before."""
        if self._service is not None:
            self._access = self._service.access
        if self._access is None:
            msg = "repod is starting; try again"
            raise Unavailable(msg)
        return self._access

    def _named(self) -> Site:
        """As the settings say it; while they are read anew, as they said it before."""
        if self._service is not None:
            self._site = self._service.site
        return self._site

    def _office(self) -> Office:
        if self._service is None:
            msg = "repod is reading its settings; try again"
            raise Unavailable(msg)
        return self._service.office

    def _health(self) -> Mapping[str, str]:
        if self._service is None:
            return {"repod": "reloading its settings"}
        audit = self._service.accounting.fault
        found = {"audit log": audit} if audit else {}
        return found | {loop.name: loop.fault for loop in self._loops if loop.fault}

    def _attempt(self, by: By, what: str, repository: str, text: str) -> None:
        if self._service is not None:
            self._service.accounting.attempt(by, what, repository, text)

    def _start(self) -> None:
        be_prompt()
        if self._service:
            self._service.look()
        for loop in self._loops:
            loop.start()
        if self._service:
            self._service.accounting.tell_head()
        url = f"{self._listen.scheme}://{self._listen.listen}/"
        self._log.info("listening", url=url, repositories=sorted(self._shelves()))
        notify(self._environ, "READY=1", f"STATUS={counted(len(self._loops), 'repository', 'repositories')}")
        self._ready(url)

    def _on(self, settings: Settings) -> Settings:
        """The settings with the address that this process listens on."""
        http = settings.http.model_copy(update=self._listen.bound)
        return settings.model_copy(update={"http": http})

    def _tick(self) -> None:
        """Wait for a signal; tell systemd's watchdog while every loop comes round."""
        beat = watchdog_seconds(self._environ)
        self._bell.wait(beat / 2 if beat else 10.0)
        if self._reload and not self._stopping:
            self._reload = False
            self._rebuild()
        if self._service:
            self._service.remind()
            self._service.look()
        if all(loop.resting for loop in self._loops):
            tidy()
        now = time.monotonic()
        if all(loop.running and now - loop.alive_at < _HUNG_SECONDS for loop in self._loops):
            notify(self._environ, "WATCHDOG=1")

    def _rebuild(self) -> None:
        """Read the settings again; where they hold a fault, everything goes on as it was."""
        notify(self._environ, "RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            fresh = self._read()
        except RepodError as error:
            self._log.error("reload failed, the settings stay as they were", problem=str(error))
            notify(self._environ, "READY=1")
            return
        self._listen_anew(fresh.http)
        # Who may hear of what may be another now: everybody asks again.
        self._bus.hang_up("repod read its settings anew")
        before, hooks = {loop.name for loop in self._loops}, {hook.name for hook in self._settings.hook}
        if not self._halt(_RELOAD_SECONDS):
            msg = f"a turn did not end within {_RELOAD_SECONDS:g} s of a reload; repod ends, to be started again"
            raise Unavailable(msg)
        self._service = None
        try:
            self._service = self._build(self._on(fresh))
            self._settings = fresh
        except RepodError as error:
            self._log.error("reload failed, the settings stay as they were", problem=str(error))
            self._service = self._again()
        for name in before - {loop.name for loop in self._loops}:
            self._metrics.forget(name)
        for name in hooks - {hook.name for hook in self._settings.hook}:
            self._metrics.forget_hook(name)
        for loop in self._loops:
            loop.start()
        self._log.info("reloaded", repositories=sorted(self._shelves()))
        notify(self._environ, "READY=1")

    def _listen_anew(self, http: Http) -> None:
        """Take over what can be changed while it listens: certificates, and who may read."""
        if http.bound != self._settings.http.bound:
            self._log.warning("a new [http] listen, tls_client_ca or proxies takes a restart", listen=http.listen)
        if self._tls is not None and http.tls_certificate:
            try:
                renew(self._tls, http)
            except Misconfigured as error:
                self._log.error("the certificate stays as it was", problem=str(error))

    def _again(self) -> Service:
        """What ran before, built anew; where that fails, a fresh process is the better try."""
        try:
            return self._build(self._on(self._settings))
        except RepodError as error:
            msg = f"the old settings do not work any more either ({error}); repod ends, to be started again"
            raise Unavailable(msg) from error

    def _halt(self, seconds: float) -> bool:
        """Stop the loops; False where one did not end in time (nothing is closed then)."""
        deadline = time.monotonic() + seconds
        if self._service:
            self._service.stop()
        for loop in self._loops:
            loop.stop()
        ended = [loop.join(max(0.0, deadline - time.monotonic())) for loop in self._loops]
        if all(ended) and self._service:
            left = max(0.0, deadline - time.monotonic())
            self._abandoned = not self._service.join(min(left, _CHANGE_SECONDS))
            self._service.close()
        return all(ended)

    def _end(self) -> bool:
        notify(self._environ, "STOPPING=1")
        self._bus.close()
        self._board.close()
        ended = self._halt(_STOP_SECONDS) and not self._abandoned
        if self._service:
            self._service.accounting.close()
            self._service.accounting.tell_head()
        self._log.info("stopped", finished=ended)
        return ended


class _Bell:
    """What the main thread sleeps on: a ring from any thread or signal ends its wait.

    Not a lock: the kernel may hand a signal to any thread, and that wakes no other from a lock,
    but Python then writes to this socket.
    """

    def __init__(self) -> None:
        self._hear, self._pull = socket.socketpair()
        self._hear.settimeout(0)
        self._pull.settimeout(0)

    def __enter__(self) -> None:
        self._before = signal.set_wakeup_fd(self._pull.fileno(), warn_on_full_buffer=False)

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._before)
        self._hear.close()
        self._pull.close()

    def ring(self) -> None:
        """End the wait, or the next one."""
        with contextlib.suppress(OSError):  # full: it rings already; closed: nobody waits
            self._pull.send(b"!")

    def wait(self, seconds: float) -> None:
        """Sleep until it rings, at most so long."""
        if select.select([self._hear], [], [], seconds)[0]:
            self._hear.recv(4096)


@contextlib.contextmanager
def _signals(handlers: Mapping[signal.Signals, Callable[[], None]]) -> Iterator[None]:
    def handler(number: int, _frame: FrameType | None) -> None:
        handlers[signal.Signals(number)]()

    before = {number: signal.signal(number, handler) for number in handlers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextlib.contextmanager
def listening(http: Http) -> Iterator[socket.socket]:
    """What listens where the settings say; ``Misconfigured`` where that cannot be."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(http.host, http.port, type=socket.SOCK_STREAM)[0]
        channel = socket.socket(family, kind, protocol)
    except OSError as error:
        msg = f"[http] listen {http.listen}: not an address of this machine ({error})"
        raise Misconfigured(msg) from error
    with channel:
        try:
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            channel.bind(address)
            channel.listen(1024)
        except OSError as error:
            msg = f"[http] listen {http.listen}: cannot be bound ({error}); choose a free address"
            raise Misconfigured(msg) from error
        yield channel
