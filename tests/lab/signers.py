"""Settings for each kind of signer over the same key, and signers opened from them."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from repod.config import Signing
from repod.errors import Misconfigured
from repod.signing.opening import OpenSigner, open_signer
from tests.lab.keys import Key, end_agent, gnupghome, gpg

KINDS = ("keyfile", "gpg", "command")


@contextmanager
def settings(kind: str, key: Key, folder: Path, *, signing_key: str = "") -> Iterator[Signing]:
    """``[signing]`` for a kind of signer that holds ``key`` without a passphrase.

    ``signing_key`` is what the command signs with, where it is not the primary key.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "keyfile":
        path = folder / "key.asc"
        path.write_bytes(key.secret)
        yield Signing(key=str(path))
        return
    with gnupghome() as home:
        gpg(home, "--import", data=key.secret)
        end_agent(home)
        if kind == "gpg":
            yield Signing(key=f"gpg:{key.fingerprint}", gnupghome=str(home))
            return
        public = folder / "public.asc"
        public.write_bytes(key.public)
        words = f"gpg --homedir {home} --batch --local-user {signing_key or key.fingerprint}! --detach-sign"
        yield Signing(key=f"command:{script(folder, f'exec {words}')}", public_key=str(public))


def script(folder: Path, body: str, name: str = "sign-it") -> Path:
    """A shell script that may be run."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@contextmanager
def opened(of: Signing, **environ: str) -> Iterator[OpenSigner]:
    """A signer, closed in the end."""
    signer = open_signer(of, time.time(), {**os.environ, **environ})
    try:
        yield signer
    finally:
        signer.close()


def visible(pid: int) -> bytes:
    """What others may see of a process: its command line and environment; empty where it is gone."""
    found = b""
    for what in ("cmdline", "environ"):
        with suppress(OSError):
            found += Path(f"/proc/{pid}/{what}").read_bytes()
    return found


def refused(of: Signing, **environ: str) -> str:
    """The message with which settings are refused."""
    with pytest.raises(Misconfigured) as caught, opened(of, **environ):
        pass
    return str(caught.value)


def issuer(data: bytes, signature: bytes, public: bytes, folder: Path) -> str:
    """The fingerprint of the key whose good signature gpg sees, with this public key alone; empty: none."""
    (folder / "data").write_bytes(data)
    (folder / "data.sig").write_bytes(signature)
    with gnupghome() as home:
        gpg(home, "--import", data=public)
        base = ["gpg", "--homedir", str(home), "--batch", "--status-fd", "1", "--verify"]
        words = [*base, str(folder / "data.sig"), str(folder / "data")]
        status = subprocess.run(words, capture_output=True, timeout=60, check=False).stdout
    # Sequoia puts random bytes into its signatures, which gpg prints as they are.
    lines = [line.split() for line in status.decode(errors="replace").splitlines()]
    return next((words[2] for words in lines if words[1:2] == ["VALIDSIG"]), "")
