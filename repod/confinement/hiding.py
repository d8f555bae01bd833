"""What this process holds in memory stays there."""

import ctypes
import resource

_PR_SET_DUMPABLE = 4


def hide() -> None:
    """No core dump, and no look into its memory from others of its user: it holds secrets, or will.

    Where a program takes core dumps (``kernel.core_pattern`` begins with ``|``) the limit alone would not do.
    """
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
