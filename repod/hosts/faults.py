"""What goes wrong on a host. Each message is one line: which thing, what was found, what to do."""

from __future__ import annotations

import re

_LONGEST = 2000
_CREDENTIALS = re.compile(r"://[^/\s]+@")  # a password may have an @ in it: the last one ends it


def bare(text: str) -> str:
    """``text`` without the names and passwords of its URLs, which `.repo` files may have."""
    return _CREDENTIALS.sub("://", text)


def shown(text: str) -> str:
    """``text`` as one line for a log or a terminal: bounded, ``bare``, and what cannot be printed is escaped."""
    line = bare(text)[:_LONGEST]
    if not line.isprintable():
        line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
    return f"{line[:_LONGEST]}... ({len(text)} characters)" if len(line) > _LONGEST or len(text) > _LONGEST else line


class Fault(Exception):
    """The root; ``status`` is the HTTP status by which the proxy tells it. Its message is ``shown``."""

    status = 500

    def __init__(self, message: str) -> None:
        """``message``: names and values in it may be a stranger's."""
        super().__init__(shown(message))


class WrongUse(Fault):
    """A setting or an option must be changed by a person."""

    status = 500


class Refused(Fault):
    """Not allowed: by the settings here, or by S3."""

    status = 403


class Malformed(Fault):
    """A request that names no object."""

    status = 400


class Absent(Fault):
    """There is no such object."""

    status = 404


class NoCredentials(Fault):
    """This host has nothing to sign with, now."""

    status = 503


class Unreachable(Fault):
    """S3 did not answer, or not as it should."""

    status = 502
