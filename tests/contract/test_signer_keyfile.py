"""The signer over a key file: its secrets, and the processes that sign."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pysequoia
import pytest
from pydantic import SecretBytes

from repod.config import Signing
from repod.errors import Misconfigured, Unavailable
from repod.signing.create import create_key
from repod.signing.lint import lint
from repod.signing.workers import SigningProcesses
from tests.lab import processes
from tests.lab.keys import Key, make_key, rpm_imports
from tests.lab.signers import opened, refused, visible
from tests.lab.wait import until

PASSPHRASE = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def key() -> Key:
    return make_key()


@pytest.fixture(scope="module")
def protected() -> Key:
    return make_key(passphrase=PASSPHRASE)


def written(path: Path, data: bytes | str) -> str:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return str(path)


def signing_processes() -> set[int]:
    """The processes that sign: Python's fork server has no others here."""
    mine = processes.children(os.getpid())
    servers = {pid for pid in mine if any("forkserver" in word for word in processes.command(pid))}
    return {pid for server in servers for pid in processes.children(server)}


def test_a_protected_key_signs_with_its_passphrase(protected: Key, tmp_path: Path) -> None:
    of = Signing(
        key=written(tmp_path / "key.asc", protected.secret),
        passphrase_file=written(tmp_path / "passphrase", f"{PASSPHRASE}\n"),
    )
    with opened(of) as signer:
        assert signer.sign(b"data")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is protected by a passphrase and passphrase_file is not set"),
        ("wrong\n", "cannot be unlocked with the passphrase in passphrase_file"),
        ("", "must hold one line"),
        ("\n", "must hold one line"),
        (f"{PASSPHRASE}\n{PASSPHRASE}\n", "must hold one line"),
        (b"\xff\xfe", "must hold one line"),
    ],
    ids=["none", "wrong", "empty", "newline", "two lines", "not UTF-8"],
)
def test_a_protected_key_without_its_passphrase_is_refused_and_the_passphrase_is_not_shown(
    content: str | bytes | None, message: str, protected: Key, tmp_path: Path
) -> None:
    file = "" if content is None else written(tmp_path / "passphrase", content)
    of = Signing(key=written(tmp_path / "key.asc", protected.secret), passphrase_file=file)
    with pytest.raises(Misconfigured, match=message) as caught, opened(of):
        pass
    shown = "".join(map(repr, (caught.value, caught.value.__cause__, caught.value.__context__)))
    assert "wrong" not in shown
    assert PASSPHRASE not in shown
    assert "backtrace" not in str(caught.value)


def test_key_and_passphrase_may_be_credentials_of_systemd(protected: Key, tmp_path: Path) -> None:
    written(tmp_path / "signing-key", protected.secret)
    written(tmp_path / "passphrase", PASSPHRASE)
    of = Signing(key="credential:signing-key", passphrase_file="credential:passphrase")
    with opened(of, CREDENTIALS_DIRECTORY=str(tmp_path)) as signer:
        assert signer.fingerprint == protected.fingerprint


def test_faults_of_key_and_passphrase_file_are_listed_at_once(tmp_path: Path) -> None:
    of = Signing(key=str(tmp_path / "none.asc"), passphrase_file="credential:passphrase")
    message = refused(of)
    assert "none.asc cannot be read (No such file or directory)" in message
    assert "CREDENTIALS_DIRECTORY is not set" in message
    assert "expected credential:NAME" in refused(Signing(key="credential:../key"))
    assert "found nothing" in refused(Signing(key=""))


def test_a_file_that_is_not_one_secret_key_is_refused(key: Key, protected: Key, tmp_path: Path) -> None:
    def message(data: bytes) -> str:
        return refused(Signing(key=written(tmp_path / "key.asc", data)))

    assert "holds a public key; expected one secret key" in message(key.public)
    assert "several armored blocks" in message(key.secret + protected.secret)
    both = bytes(pysequoia.Tsk.from_bytes(key.secret)) + bytes(pysequoia.Tsk.from_bytes(protected.secret))
    assert "holds 2 keys" in message(both)
    assert "is no OpenPGP key" in message(b"ssh-ed25519 AAAA")
    assert "is no OpenPGP key" in message(key.secret[: len(key.secret) // 2])


def test_a_binary_key_signs_too(key: Key, tmp_path: Path) -> None:
    path = written(tmp_path / "key.gpg", bytes(pysequoia.Tsk.from_bytes(key.secret)))
    with opened(Signing(key=path)) as signer:
        assert signer.sign(b"data")


def test_key_and_passphrase_are_in_no_command_line_and_no_environment(protected: Key, tmp_path: Path) -> None:
    of = Signing(
        key=written(tmp_path / "key.asc", protected.secret),
        passphrase_file=written(tmp_path / "passphrase", PASSPHRASE),
    )
    needles = [PASSPHRASE.encode(), protected.secret.splitlines()[2]]
    with opened(of) as signer, ThreadPoolExecutor(4) as pool:
        running = [pool.submit(signer.sign, b"data") for _ in range(200)]
        seen = 0
        while not all(future.done() for future in running) or not seen:
            for entry in processes.children(os.getpid()):
                text = visible(entry)
                seen += bool(text)
                assert not any(needle in text for needle in needles)
        assert all(future.result() for future in running)
        assert PASSPHRASE not in repr(vars(signer))


def _killed(pids: set[int]) -> bool:
    """Whether one of them was there to be killed."""
    for pid in sorted(pids)[:1]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
    return False


def test_a_signing_process_that_is_killed_is_replaced(key: Key, tmp_path: Path) -> None:
    with opened(Signing(key=written(tmp_path / "key.asc", key.secret))) as signer:
        for _ in range(2):  # while it is idle
            victims = signing_processes()
            assert victims
            for pid in victims:
                _killed({pid})
            assert signer.sign(b"data")
        with ThreadPoolExecutor(4) as pool:  # while it signs
            running = [pool.submit(signer.sign, b"data") for _ in range(300)]
            # One that was killed a moment ago may still be seen, and be gone then.
            until(lambda: _killed(signing_processes()), 30, "a process that signs to be killed")
            assert all(future.result() for future in running)


def test_a_signature_that_takes_too_long_fails_and_the_next_one_works(key: Key) -> None:
    pool = SigningProcesses(SecretBytes(key.secret), None, count=1, timeout=0.05)
    try:
        with pytest.raises(Unavailable, match=r"took more than 0\.05 s"):
            pool.sign(bytes(128_000_000))

        def signs() -> bool:
            try:
                return bool(pool.sign(b"data"))
            except Unavailable:  # the machine may be slow for a moment
                return False

        until(signs, 60, "a signature after one that took too long")
    finally:
        pool.close()


def test_closing_ends_the_processes_and_whoever_waits(key: Key, tmp_path: Path) -> None:
    large = bytes(30_000_000)
    with opened(Signing(key=written(tmp_path / "key.asc", key.secret))) as signer:
        with ThreadPoolExecutor(4) as pool:
            # So many that some still wait, however late this thread gets to close it.
            running = [pool.submit(signer.sign, large) for _ in range(400)]
            until(running[0].done, 60, "a first signature")
            signer.close()
            errors = [future.exception(timeout=60) for future in running]
        assert any(isinstance(error, Unavailable) and "shutting down" in str(error) for error in errors)
        assert all(error is None or isinstance(error, Unavailable) for error in errors)
        assert signing_processes() == set()
        with pytest.raises(Unavailable, match="shutting down"):
            signer.sign(b"data")
        signer.close()


_HOLDER = """
import os, sys, time
from repod.config import Signing
from repod.signing.opening import open_signer
if __name__ == "__main__":
    signer = open_signer(Signing(key=sys.argv[1]), time.time(), os.environ)
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(key: Key, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds an open signer."""
    program = written(tmp_path / "holder.py", _HOLDER)
    words = [sys.executable, program, written(tmp_path / "key.asc", key.secret)]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_processes_end_with_a_daemon_that_is_killed(holder: subprocess.Popen[bytes]) -> None:
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"ready\n"
    pids = processes.children(holder.pid)
    assert len(pids) >= 2
    holder.kill()
    holder.wait(30)
    until(lambda: not any(processes.command(pid) for pid in pids), 30, "the signing processes to end")


def test_an_interrupt_from_the_terminal_does_not_end_the_processes(key: Key, tmp_path: Path) -> None:
    with opened(Signing(key=written(tmp_path / "key.asc", key.secret))) as signer:
        before = signing_processes()
        assert before
        for pid in before:
            os.kill(pid, signal.SIGINT)
        assert signer.sign(b"data")
        assert signing_processes() == before


def test_a_created_key_is_what_every_host_takes_and_leaves_nothing_behind(tmp_path: Path) -> None:
    key = create_key("Example <repo@example.com>", environ=os.environ)
    assert not list(Path("/tmp").glob(f"*/openpgp-revocs.d/{key.fingerprint}.rev"))
    report = lint(key.public, time.time())
    assert (report.faults, report.warnings, report.algorithm) == ([], [], "rsa4096")
    assert report.expires is not None
    assert 729 * 86400 < report.expires - time.time() < 732 * 86400
    assert rpm_imports(key.public)
    with opened(Signing(key=written(tmp_path / "key.asc", key.secret))) as signer:
        assert signer.fingerprint == key.fingerprint


def test_a_key_cannot_be_created_without_gpg(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"gpg is needed to create a key: install gnupg, or set"):
        create_key("Example <repo@example.com>", environ={"PATH": str(tmp_path)})
    with pytest.raises(Misconfigured, match=r"a key cannot be created: gpg failed with exit status .*or set"):
        create_key("", environ=os.environ)
