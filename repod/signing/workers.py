"""Processes that sign with an unlocked key.

An RSA-4096 signature takes 10 ms and holds the interpreter's lock all the time; in the daemon's
own process it would stop every other thread, and use one core only.
"""

import ctypes
import multiprocessing
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from threading import BoundedSemaphore, Lock

import pysequoia
from pebble import ProcessExpired, ProcessFuture, ProcessPool
from pydantic import SecretBytes, SecretStr

from repod.errors import Unavailable
from repod.signing.openpgp import reason

_PR_SET_DUMPABLE = 4
_START = 30.0  # seconds until a new process can sign, on a busy machine
_ATTEMPTS = 3  # a lost process costs one

# The key of a process that signs; the initializer of the process puts it here.
_unlocked: list[pysequoia.PySigner] = []


class SigningProcesses:
    """``count`` processes that hold a key. Thread-safe; a lost process is replaced.

    A signature has ``timeout`` seconds from when a process begins it.
    """

    def __init__(self, secret: SecretBytes, passphrase: SecretStr | None, *, count: int, timeout: float) -> None:
        """``secret`` has one secret key packet that may sign, unlocked by ``passphrase``."""
        self._unlocking = (secret, passphrase)
        self._count = count
        self._timeout = timeout
        # Callers wait here for a free process, so that none waits in the pool's own queue.
        self._free = BoundedSemaphore(count)
        self._lock = Lock()
        self._running: set[ProcessFuture[bytes]] = set()
        self._pool: ProcessPool | None = self._start()

    def sign(self, data: bytes) -> bytes:
        """A binary detached signature over ``data``. Raises ``Unavailable``."""
        with self._free:
            for _ in range(_ATTEMPTS):
                made = self._attempt(data)
                if made is not None:
                    return made
        msg = f"{_ATTEMPTS} signing processes in a row ended while they signed; see the kernel's log for their end"
        raise Unavailable(msg)

    def close(self) -> None:
        """End the processes; calls of ``sign`` that wait raise ``Unavailable``."""
        with self._lock:
            pool, self._pool = self._pool, None
            running = list(self._running)
        for future in running:
            future.cancel()  # type: ignore[no-untyped-call]
        if pool is not None:
            _end(pool)

    def _start(self) -> ProcessPool:
        return ProcessPool(
            max_workers=self._count,
            initializer=_unlock,
            initargs=self._unlocking,
            context=multiprocessing.get_context("spawn"),
        )

    def _attempt(self, data: bytes) -> bytes | None:
        """A signature, or None where its process was lost."""
        future = self._schedule(data)
        try:
            return future.result(self._timeout + _START)
        except (ProcessExpired, BrokenProcessPool):
            return None
        except CancelledError as error:
            msg = "the signing key was closed; repod is shutting down"
            raise Unavailable(msg) from error
        except TimeoutError as error:
            future.cancel()  # type: ignore[no-untyped-call]
            msg = f"a signature took more than {self._timeout:g} s; raise [signing] timeout, or see the machine's load"
            raise Unavailable(msg) from error
        except RuntimeError as error:
            msg = f"signing failed: {reason(error)}"
            raise Unavailable(msg) from error
        finally:
            with self._lock:
                self._running.discard(future)

    def _schedule(self, data: bytes) -> ProcessFuture[bytes]:
        with self._lock:
            if self._pool is None:
                msg = "the signing key was closed; repod is shutting down"
                raise Unavailable(msg)
            if not self._pool.active:
                # pebble gives a pool up whose process ends while it is idle.
                _end(self._pool)
                self._pool = self._start()
            future = self._pool.schedule(_sign, args=[data], timeout=self._timeout)
            self._running.add(future)
            return future


def _end(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]
    pool.join()


def _unlock(secret: SecretBytes, passphrase: SecretStr | None) -> None:
    """Begin a process: no core dump, no look from others of the same user, the key unlocked."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    key = pysequoia.Tsk.from_bytes(secret.get_secret_value())
    _unlocked.append(key.signer(None if passphrase is None else passphrase.get_secret_value()))


def _sign(data: bytes) -> bytes:
    return pysequoia.sign(_unlocked[0], data, mode=pysequoia.SignatureMode.DETACHED, armor=False)
