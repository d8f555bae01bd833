"""Who signed a text, as tools say that hosts have: gpgv (gnupg2), else sqv (sequoia-sqv)."""

from __future__ import annotations

import base64
import binascii
import re
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

from repod.hosts.faults import Refused, WrongUse

TOOLS = ("gpgv", "gpgv2", "sqv")
_SECONDS = 60.0
_ARMORED = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n(?:[^\r\n]+\r?\n)*\r?\n(.*?)-----END PGP PUBLIC KEY BLOCK-----",
    re.DOTALL,
)


def tool() -> str:
    """The tool that verifies; ``WrongUse`` where there is none."""
    found = next(filter(None, map(shutil.which, TOOLS)), None)
    if found is None:
        msg = f"none of {', '.join(TOOLS)} is installed; install gnupg2 or sequoia-sqv"
        raise WrongUse(msg)
    return found


def proven(document: bytes, signature: bytes, key: Path, fingerprints: Collection[str]) -> str:
    """The fingerprint of the key in the file ``key`` that signed ``document``; ``Refused`` where none did.

    ``fingerprints``: the only ones that count; none: all that the file holds.
    """
    program = tool()
    with tempfile.TemporaryDirectory(prefix="repod-agent-") as folder:
        ring, text, apart = (Path(folder, name) for name in ("keys.gpg", "document", "signature"))
        ring.write_bytes(_keys(key))
        text.write_bytes(document)
        apart.write_bytes(signature)
        if program.endswith("sqv"):
            signers = _by_sqv([program, "--keyring", str(ring), str(apart), str(text)])
        else:
            words = [program, "--homedir", folder, "--keyring", str(ring), "--status-fd", "1", str(apart), str(text)]
            signers = _by_gpgv(words)
    wanted = [one for one in signers if not fingerprints or one in fingerprints]
    if not wanted:
        expected = ", ".join(fingerprints) or f"a key of {key}"
        msg = f"rollout.json: expected a signature by {expected}, found {', '.join(signers) or 'none that verifies'}"
        raise Refused(msg)
    return wanted[0]


def _keys(path: Path) -> bytes:
    """The certificates of a file, binary: gpgv reads no others."""
    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"key {path}: cannot be read ({error.strerror}); it is the repository's RPM-GPG-KEY-*, put there by you"
        raise WrongUse(msg) from error
    if data[:1] >= b"\x80":
        return data
    try:
        found = b"".join(_unpacked(block) for block in _ARMORED.findall(data))
    except binascii.Error as error:
        msg = f"key {path}: expected OpenPGP keys, found a damaged one ({error})"
        raise WrongUse(msg) from error
    if not found:
        msg = f"key {path}: expected OpenPGP keys, found none"
        raise WrongUse(msg)
    return found


def _unpacked(block: bytes) -> bytes:
    lines = [line.strip() for line in block.splitlines()]
    return base64.b64decode(b"".join(line for line in lines if not line.startswith(b"=")))


def _by_gpgv(words: Sequence[str]) -> Sequence[str]:
    """Primary fingerprints of good signatures: not of expired or revoked keys, nor of expired signatures."""
    found, good = [], False
    for line in _said(words).splitlines():
        parts = line.split()
        if parts[:1] != ["[GNUPG:]"] or len(parts) < 2:  # noqa: PLR2004 - the words of a status line
            continue
        if parts[1] == "NEWSIG":
            good = False
        elif parts[1] == "GOODSIG":
            good = True
        elif parts[1] == "VALIDSIG" and good:
            found.append(parts[-1].upper())
    return found


def _by_sqv(words: Sequence[str]) -> Sequence[str]:
    return [
        line.strip().upper() for line in _said(words).splitlines() if re.fullmatch(r"[0-9A-Fa-f]{40,64}", line.strip())
    ]


def _said(words: Sequence[str]) -> str:
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_SECONDS,
        check=False,
        encoding="utf-8",
        errors="replace",
    )
    return done.stdout
