"""What a command line stands on, whoever started it: three standard streams, and names that are UTF-8.

Imported before anything else, so it imports nothing of weight.
"""

import atexit
import io
import os
import sys

_STREAMS = {"stdin": "r", "stdout": "w", "stderr": "w"}  # by their numbers, from 0


def stand() -> None:
    """Make this process fit to run a command; may begin the program anew, under the same process id."""
    _open_missing()
    _speak_utf8()
    _never_fail_to_say()


def _open_missing() -> None:
    # Where one is closed, the next file that is opened takes its number: a package that is being written, say, and
    # what a program that repod starts has to complain of goes into it.
    for number, (name, mode) in enumerate(_STREAMS.items()):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - its signature
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def _speak_utf8() -> None:
    # createrepo_c, rpm-rs and libsolv take names as UTF-8 and nothing else: in another locale a path that is not
    # ASCII would be another one for them, and a sound package be refused for that.
    if not sys.flags.utf8_mode and sys.getfilesystemencoding() != "utf-8":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606  # nosec B606


def _never_fail_to_say() -> None:
    # A terminal that has no sign for a letter gets its number; what is asked for is told all the same.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    atexit.register(_let_go)


def _let_go() -> None:
    # Python ends with 120 where standard error does not take what is left: work that was done would be no success.
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
