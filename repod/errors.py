"""Every error repod raises on purpose, named for what the caller may do next.

The message of each is one line that says which thing, what was expected, what
was found and what to do. ``exit_code`` is what a command line answers with.
"""

from collections.abc import Sequence
from typing import ClassVar

_LONGEST = 2000


def shown(text: str) -> str:
    """``text`` as one line for a log or a terminal: bounded, and what cannot be printed is escaped.

    Names, versions and values that strangers chose stand in messages; none of them may begin a line of its own,
    move a cursor, or fill a log.
    """
    line = text[:_LONGEST]
    if not line.isprintable():
        # By no codec: a process that may open no files could not load one.
        line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
    return f"{line[:_LONGEST]}… ({len(text)} characters)" if len(line) > _LONGEST or len(text) > _LONGEST else line


def brief(error: BaseException) -> str:
    """What went wrong, in a few words: without an errno."""
    return str(error).rpartition("] ")[2] or type(error).__name__


class RepodError(Exception):
    """Root of all errors that repod raises on purpose. Each line of a message is ``shown``."""

    exit_code: ClassVar[int] = 1

    def __init__(self, *messages: object) -> None:
        """``messages``: one, as a rule; of one line, or of a line for each fault."""
        super().__init__(*("\n".join(map(shown, str(each).split("\n"))) for each in messages))


class Misconfigured(RepodError):
    """The settings, a key or a place cannot work as they are: a person must change them."""

    exit_code = 2

    def __init__(self, *faults: str) -> None:
        """``faults``: one line each; all that were found, not only the first."""
        self.faults: Sequence[str] = tuple(map(shown, faults))
        super().__init__("\n".join(self.faults))


class NotFound(RepodError):
    """The thing asked for is certainly not there (a failed look is ``Unavailable``)."""


class Refused(RepodError):
    """A policy says no; asking again changes nothing."""

    exit_code = 3


class Conflict(RepodError):
    """Somebody else changed it first: read again, plan again, try again."""

    exit_code = 4


class Unavailable(RepodError):
    """It cannot be read or written now; nothing is known to have changed. Try again later."""

    exit_code = 4


class NoRoom(Unavailable):
    """There is no room for it where it would lie; nothing of it was kept."""


class OutcomeUnknown(Unavailable):
    """A write may or may not have happened: delete nothing, read back."""


class Unfit(RepodError):
    """A change does not fit what is there; nothing was made visible. Ask for another one."""


class Corrupt(RepodError):
    """Bytes are not what their checksum or format says; nothing was made visible."""
