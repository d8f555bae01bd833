"""Asks a program which hosts there are: no shell, bounded in time and in what it prints."""

import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from repod.children import ended_within
from repod.errors import Misconfigured, Unavailable

MOST = 16 << 20
"""Bytes that an answer may have: 10,000 hosts with a page of facts each."""

_END = 2000
_HIDDEN = {"REPOCTL_TOKEN"}


def output(
    words: Sequence[str], *, folder: Path, environ: Mapping[str, str], seconds: float, left: float | None = None
) -> bytes:
    """What it prints, run in ``folder``. It gets the environment, but not the token of the daemon.

    ``seconds``: how long it may take, as the settings say it; ``left``: what others have left it of those.

    ``Misconfigured`` where it cannot be run or prints too much; ``Unavailable`` where it fails or takes too long.
    """
    shown = " ".join(words)
    try:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=without_token(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # so that all that it starts can be ended with it
        )
    except OSError as error:
        where = f"{words[0]} in {folder.resolve()}"
        msg = f"{where} cannot be run ({error.strerror}); see its path, its mode and its first line"
        raise Misconfigured(msg) from error
    printed, said = bytearray(), bytearray()
    ended = _followed(process, printed, said, seconds if left is None else left)
    if not ended:
        msg = f"{shown}: no end within {seconds:g} s{_quoted(said)}; see what it waits for, or raise timeout"
        raise Unavailable(msg)
    if process.returncode:
        how = f"signal {-process.returncode}" if process.returncode < 0 else f"exit status {process.returncode}"
        raise Unavailable(f"{shown} ended with {how}, so which hosts there are is not known{_quoted(said)}")
    if len(printed) > MOST:
        raise Misconfigured(f"{shown} printed more than {MOST >> 20} MiB; expected a list of hosts")
    return bytes(printed)


def without_token(environ: Mapping[str, str]) -> Mapping[str, str]:
    """What programs of the settings get of the environment: all but the daemon's token."""
    return {name: value for name, value in environ.items() if name not in _HIDDEN}


def _followed(process: subprocess.Popen[bytes], printed: bytearray, said: bytearray, seconds: float) -> bool:
    """Whether it ended in time; nothing of it is left."""
    helpers = [
        threading.Thread(target=_first, args=(process.stdout, printed), daemon=True),
        threading.Thread(target=_last, args=(process.stderr, said), daemon=True),
    ]
    return ended_within(process, seconds, helpers, after=5)


def _first(pipe: IO[bytes], kept: bytearray) -> None:
    """Read all, so that it is never blocked, and keep one byte more than may be."""
    with suppress(OSError, ValueError), pipe:
        while piece := pipe.read1(65536):  # type: ignore[attr-defined]
            kept += piece[: MOST + 1 - len(kept)]


def _last(pipe: IO[bytes], kept: bytearray) -> None:
    with suppress(OSError, ValueError), pipe:
        while piece := pipe.read1(65536):  # type: ignore[attr-defined]
            kept += piece
            del kept[:-_END]


def _quoted(said: bytearray) -> str:
    """The last line that it said, for the end of a sentence."""
    lines = bytes(said).decode(errors="replace").split("\n")
    texts = [text for line in lines if (text := "".join(char for char in line.strip() if char.isprintable()))]
    return f" ({texts[-1][:300]})" if texts else ""
