"""Processes that sign with an unlocked key.

An RSA-4096 signature takes 10 ms and holds the interpreter's lock all the time; in the daemon's
own process it would stop every other thread, and use one core only.
"""

from pydantic import SecretBytes, SecretStr

from repod.confinement.bounds import Bounds, Mode
from repod.errors import Unavailable
from repod.processes import Lost, Overtime, Processes
from repod.signing import worker
from repod.signing.openpgp import reason


class SigningProcesses:
    """``count`` processes that hold a key. Thread-safe; a lost process is replaced.

    A signature has ``timeout`` seconds from when a process begins it.
    """

    def __init__(
        self, secret: SecretBytes, passphrase: SecretStr | None, *, count: int, timeout: float, mode: Mode = "auto"
    ) -> None:
        """``secret`` has one secret key packet that may sign, unlocked by ``passphrase``.

        ``mode``: how strictly the processes keep to what they need, which is no file and no system but memory.
        """
        self._timeout = timeout
        self._processes = Processes(
            what="signing",
            count=count,
            timeout=timeout,
            begin=worker.unlock,
            arguments=(secret.get_secret_value(), None if passphrase is None else passphrase.get_secret_value()),
            bounds=Bounds(mode=mode),
        )

    def sign(self, data: bytes) -> bytes:
        """A binary detached signature over ``data``. Raises ``Unavailable``."""
        try:
            return self._processes.run(worker.sign, data)
        except Lost as error:
            msg = f"signing processes in a row ended while they signed ({error}); see the kernel's log for their end"
            raise Unavailable(msg) from error
        except Overtime as error:
            msg = f"a signature took more than {self._timeout:g} s; raise [signing] timeout, or see the machine's load"
            raise Unavailable(msg) from error
        except RuntimeError as error:
            msg = f"signing failed: {reason(error)}"
            raise Unavailable(msg) from error

    def close(self) -> None:
        """End the processes; calls of ``sign`` that wait raise ``Unavailable``."""
        self._processes.close()
