"""A program that runs for this one: until its end or its time is over, and nothing of it is left."""

import os
import select
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from threading import Thread


def ended_within(process: subprocess.Popen[bytes], seconds: float, helpers: Sequence[Thread], *, after: float) -> bool:
    """Whether it ended in time. It leads a session of its own, which is ended with it.

    ``helpers`` read and write its pipes, so that it is never blocked; ``after``: seconds that each gets to finish.
    """
    descriptor = os.pidfd_open(process.pid)
    try:
        for helper in helpers:
            helper.start()
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)
        # Not reaped yet, so the number of its group is still its own.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for helper in helpers:
            helper.join(after)
