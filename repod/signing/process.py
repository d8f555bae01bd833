"""Running another program that signs: bounded in time, never by a shell."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from repod.errors import Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A program that ended by itself."""

    code: int
    output: bytes
    errors: bytes

    @property
    def failure(self) -> str:
        """How it ended, and the last line that it wrote to its standard error, shortened."""
        end = f"signal {-self.code}" if self.code < 0 else f"exit status {self.code}"
        lines = self.errors.decode(errors="replace").strip().splitlines()
        return f"{end}: {lines[-1][:300]}" if lines else f"{end}, no message"


def run(
    words: Sequence[str],
    *,
    environ: Mapping[str, str],
    timeout: float,
    data: bytes = b"",
    passed: Sequence[int] = (),
) -> Finished:
    """Run ``words`` with ``data`` on its standard input and the descriptors ``passed``.

    After ``timeout`` seconds it and its process group are killed. Raises ``Unavailable`` then,
    and where it cannot be started.
    """
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environ),
            pass_fds=passed,
            start_new_session=True,  # so that it has no terminal to ask on, and can be killed with its children
        )
    except OSError as error:
        msg = f"{words[0]} cannot be started ({error.strerror}); see that it is installed and may be run"
        raise Unavailable(msg) from error
    with process:
        try:
            output, errors = process.communicate(data, timeout)
        except BaseException as error:
            # The leader is not reaped yet, so the number of its group is still its own.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            hint = "see what it waits for, or raise [signing] timeout"
            msg = f"{words[0]} took more than {timeout:g} s and was killed; {hint}"
            raise Unavailable(msg) from None
    return Finished(code=process.returncode, output=output, errors=errors)
