"""A signing key behind another program: a key service, a hardware module, another machine.

The program gets the data on its standard input and writes a detached signature, binary or
armored, to its standard output.
"""

import shlex
import shutil
from collections.abc import Mapping, Sequence

from repod.config import Signing
from repod.errors import Misconfigured, Unavailable
from repod.signing.openpgp import read_certificate
from repod.signing.process import run
from repod.signing.secret import read


class CommandSource:
    """A ``checked.Source`` that runs a program per signature. Several may run at once."""

    held: frozenset[str] | None = None

    def __init__(self, settings: Signing, environ: Mapping[str, str]) -> None:
        """Raises ``Misconfigured`` with all faults."""
        faults: list[str] = []
        self._timeout = settings.timeout
        self._environ = environ
        self._words = _words(settings.key.removeprefix("command:"), environ, faults)
        self.certificate = b""
        if settings.public_key:
            try:
                data = read("public_key", settings.public_key, environ)
                self.certificate = read_certificate(f"[signing] public_key: {settings.public_key}", data)
            except Misconfigured as error:
                faults += error.faults
        else:
            faults.append("[signing] public_key is required where key is a command; give the file with its public key")
        if faults:
            raise Misconfigured(*faults)

    def select(self, key: str) -> None:
        """Which key signs is the program's business; every signature shows it."""

    def make(self, data: bytes) -> bytes:
        """See ``Source.make``."""
        finished = run(self._words, environ=self._environ, timeout=self._timeout, data=data)
        if finished.code != 0:
            msg = f"signing by {self._words[0]} failed with {finished.failure}"
            raise Unavailable(msg)
        return finished.output

    def close(self) -> None:
        """Nothing stays open between two signatures."""


def _words(line: str, environ: Mapping[str, str], faults: list[str]) -> Sequence[str]:
    try:
        words = shlex.split(line)
    except ValueError as error:
        faults.append(f"[signing] key: command:{line} is not a command line ({error}); see its quotes")
        return []
    if not words:
        faults.append("[signing] key: expected command:PROGRAM [ARGUMENT]..., found no program")
    elif shutil.which(words[0], path=environ.get("PATH")) is None:
        faults.append(f"[signing] key: {words[0]} is not a program that repod may run; give its path, and see its mode")
    return words
