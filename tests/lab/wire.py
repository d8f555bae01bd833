"""A wire to a TCP server that a test can cut or stall in the middle."""

import selectors
import socket
import threading
from contextlib import suppress
from typing import Self


class Wire:
    """Passes on all bytes between who connects to ``address`` and the server; as a context it is up while inside."""

    def __init__(self, host: str, port: int) -> None:
        """``host`` and ``port`` of the server."""
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._wake, self._woken = socket.socketpair()
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []
        self._flows = threading.Event()
        self._flows.set()
        self._down = False
        self._left = -1
        self.connections = 0
        """How many were made."""
        self.most = 0
        """The most at one time."""

    @property
    def host(self) -> str:
        """Where it listens."""
        return "127.0.0.1"

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        """End all connections and threads."""
        self._down = True
        self._wake.send(b".")
        self._flows.set()
        self.cut()
        for thread in self._threads:
            thread.join()
        for one in (self._listener, self._wake, self._woken):
            one.close()

    def cut(self) -> None:
        """End all connections that there are, as a firewall does that sends a reset; new ones are fine."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            for one in pair:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def cut_after(self, count: int) -> None:
        """End the connection over which the server has sent ``count`` more bytes, once."""
        self._left = count

    def stall(self) -> None:
        """Pass on nothing, and end nothing, as if the cable was pulled."""
        self._flows.clear()

    def flow(self) -> None:
        """Pass on again, also what came meanwhile."""
        self._flows.set()

    def _start(self, what: object, *arguments: object) -> None:
        thread = threading.Thread(target=what, args=arguments, name="wire", daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with selectors.DefaultSelector() as ready:
            ready.register(self._listener, selectors.EVENT_READ)
            ready.register(self._woken, selectors.EVENT_READ)
            while not self._down:
                if any(key.fileobj is self._woken for key, _ in ready.select()):
                    return
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(self._server, timeout=10)
                except OSError:
                    client.close()
                    continue
                server.settimeout(None)
                with self._lock:
                    self._pairs.append((client, server))
                    self.connections += 1
                    self.most = max(self.most, len(self._pairs))
                self._start(self._carry, client, server, False)
                self._start(self._carry, server, client, True)

    def _carry(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                if counted and self._left >= 0:
                    data, over = data[: self._left], len(data) >= self._left
                    self._left = -1 if over else self._left - len(data)
                    target.sendall(data)
                    if over:
                        break
                else:
                    target.sendall(data)
        self._end(source, target)

    def _end(self, source: socket.socket, target: socket.socket) -> None:
        """Both ends of a pair are shut down by its first thread, and closed by its second."""
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        with self._lock:
            for pair in [pair for pair in self._pairs if set(pair) == {source, target}]:
                self._pairs.remove(pair)
                return
        source.close()
        target.close()
