"""The signer over gpg: its agent, its passphrase and its home directory."""

import hashlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pysequoia
import pytest

from repod.config import Signing
from repod.errors import Unavailable
from tests.lab import processes
from tests.lab.keys import (
    add_subkey,
    end_agent,
    fingerprints,
    generate,
    gnupghome,
    gpg,
    make_key,
)
from tests.lab.signers import issuer, opened, refused, visible
from tests.lab.wait import until

PASSPHRASE = "correct-horse-battery-staple"
DATA = b"what is signed"


@pytest.fixture
def home() -> Iterator[Path]:
    with gnupghome() as path:
        yield path


@pytest.fixture(scope="module")
def protected_home() -> Iterator[Path]:
    """A home directory with settings of its user and one protected key, and no agent."""
    with gnupghome() as path:
        (path / "gpg.conf").write_text("armor\ndigest-algo SHA1\n")
        # By default an agent spends 0.1 s and more on the passphrase, for each signature.
        (path / "gpg-agent.conf").write_text("s2k-count 65536\n")
        generate(path, "rsa4096", passphrase=PASSPHRASE)
        end_agent(path)
        (path / "gpg-agent.conf").unlink()
        yield path


@pytest.fixture
def protected(protected_home: Path) -> Iterator[Signing]:
    """Settings for the protected key, without the passphrase."""
    yield Signing(key=f"gpg:{fingerprints(protected_home)[0]}", gnupghome=str(protected_home))
    end_agent(protected_home)


def agent_socket(home: Path) -> Path:
    """In the home directory, or under /run/user where the machine has that."""
    asked = ["gpgconf", "--homedir", str(home), "--list-dirs", "agent-socket"]
    return Path(subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True).stdout.strip())


def agent(home: Path) -> bool:
    """Whether the home directory's agent answers."""
    with socket.socket(socket.AF_UNIX) as end:
        return end.connect_ex(str(agent_socket(home))) == 0


def agent_pid(home: Path) -> int:
    asked = ["gpg-connect-agent", "--homedir", str(home), "GETINFO pid", "/bye"]
    answer = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True).stdout
    return int(answer.split()[1])


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that hangs for a while."""

    def stops() -> bool:
        os.kill(pid, signal.SIGSTOP)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    try:
        until(stops, 10, "a process to stop")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def contents(home: Path) -> dict[str, str]:
    """Digests of all files below a home directory but the agent's keys, which it may rewrite."""
    files = [path for path in home.rglob("*") if path.is_file() and path.parent.name != "private-keys-v1.d"]
    return {str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def with_passphrase(of: Signing, folder: Path, passphrase: str) -> Signing:
    file = folder / "passphrase"
    file.write_text(f"{passphrase}\n")
    return of.model_copy(update={"passphrase_file": str(file)})


def test_a_burst_from_16_threads_is_signed_in_an_existing_home_whose_files_stay_as_they_are(
    protected_home: Path, protected: Signing, tmp_path: Path
) -> None:
    before = contents(protected_home)
    several = [b"package %d" % number for number in range(120)]
    with opened(with_passphrase(protected, tmp_path, PASSPHRASE)) as signer:
        with ThreadPoolExecutor(16) as pool:
            signatures = list(pool.map(signer.sign, several))
        certificate = pysequoia.Cert.from_bytes(signer.public_key)
    for data, signature in zip(several, signatures, strict=True):
        parsed = pysequoia.Sig.from_bytes(signature)
        pysequoia.verify(bytes=data, store=lambda _: [certificate], signature=parsed)
    assert contents(protected_home) == before


def test_a_protected_key_without_a_passphrase_is_refused_at_once(protected_home: Path, protected: Signing) -> None:
    # Were the passphrase waited for, the limit of time would be what is told.
    assert "is protected by a passphrase and passphrase_file is not set" in refused(protected)
    until(lambda: not agent(protected_home), 30, "the agent to end")


def test_a_protected_key_is_refused_even_where_the_agent_remembers_the_passphrase(
    protected_home: Path, protected: Signing, tmp_path: Path
) -> None:
    gpg(protected_home, "--detach-sign", data=DATA, passphrase=PASSPHRASE)
    assert "Bad passphrase" in refused(with_passphrase(protected, tmp_path, "wrong"))
    gpg(protected_home, "--detach-sign", data=DATA, passphrase=PASSPHRASE)
    assert "passphrase_file is not set" in refused(protected)


def test_the_passphrase_is_in_no_command_line_and_no_environment(protected: Signing, tmp_path: Path) -> None:
    seen = set()
    with opened(with_passphrase(protected, tmp_path, PASSPHRASE)) as signer, ThreadPoolExecutor(2) as pool:
        running = [pool.submit(signer.sign, DATA) for _ in range(20)]
        while not all(future.done() for future in running):
            for pid in processes.children(os.getpid()):
                text = visible(pid)
                seen.add(text.partition(b"\0")[0])
                assert PASSPHRASE.encode() not in text
        assert all(future.result() for future in running)
    assert b"gpg" in seen


def test_the_key_is_chosen_by_its_fingerprint_among_keys_of_one_user(home: Path, tmp_path: Path) -> None:
    keys = [generate(home), generate(home, "ed25519", options=("--yes",))]
    assert keys[0] != keys[1]
    end_agent(home)
    for fingerprint in keys:
        with opened(Signing(key=f"gpg:{fingerprint}", gnupghome=str(home))) as signer:
            assert signer.fingerprint == fingerprint
            certificates = pysequoia.Cert.split_bytes(signer.public_key)
            assert [certificate.fingerprint.upper() for certificate in certificates] == [fingerprint]
            for number in range(3):
                data = b"%d" % number
                assert issuer(data, signer.sign(data), signer.public_key, tmp_path) == fingerprint


def test_the_fingerprint_of_a_subkey_makes_that_subkey_sign(home: Path) -> None:
    primary = generate(home)
    subkey = add_subkey(home, primary)
    end_agent(home)
    with opened(Signing(key=f"gpg:{subkey}", gnupghome=str(home))) as signer:
        assert (signer.fingerprint, signer.signing_key) == (primary, subkey)


def test_a_key_that_is_not_there_is_refused_with_those_that_are(home: Path) -> None:
    there = generate(home)
    missing = "0" * 40
    message = refused(Signing(key=f"gpg:{missing}", gnupghome=str(home)))
    assert f"holds no secret key {missing}; it holds: {there}" in message


def test_a_key_without_its_secret_is_refused(home: Path) -> None:
    key = make_key()
    gpg(home, "--import", data=key.public)
    assert "it holds: none" in refused(Signing(key=f"gpg:{key.fingerprint}", gnupghome=str(home)))


@pytest.mark.parametrize("excess", [0, 1, 40])
def test_a_home_directory_with_a_long_path_works_or_is_refused_with_its_length(excess: int, home: Path) -> None:
    longest = 86
    deep = home / ("x" * (longest + excess - len(str(home)) - 1))
    assert len(str(deep)) == longest + excess
    deep.mkdir(0o700)
    key = make_key()
    short = home / "s"
    short.symlink_to(deep)
    gpg(short, "--import", data=key.secret)
    end_agent(short)
    of = Signing(key=f"gpg:{key.fingerprint}", gnupghome=str(deep))
    if excess == 0 or agent_socket(deep).parent != deep:
        with opened(of) as signer:
            assert signer.sign(DATA)
    else:
        message = refused(of)
        assert f"has {longest + excess} bytes" in message
        assert f"expected at most {longest}" in message
    with opened(of.model_copy(update={"gnupghome": str(short)})) as signer:
        assert signer.sign(DATA)


def test_a_home_directory_that_others_can_read_is_refused(home: Path) -> None:
    key = f"gpg:{generate(home)}"
    home.chmod(0o755)
    message = refused(Signing(key=key, gnupghome=str(home)))
    assert f"has mode 0755; expected 0700, so that no other user can read it: chmod 700 {home}" in message
    assert "gnupghome is required" in refused(Signing(key=key))
    assert "No such file" in refused(Signing(key=key, gnupghome=str(home / "none")))
    assert "is not a directory" in refused(Signing(key=key, gnupghome=str(home / "pubring.kbx")))


def test_missing_programs_are_named(home: Path, tmp_path: Path) -> None:
    message = refused(Signing(key="gpg:" + "0" * 40, gnupghome=str(home)), PATH=str(tmp_path))
    for program in ("gpg", "gpgconf", "gpg-connect-agent"):
        assert f"{program} is needed for a gpg: key" in message


def test_the_agent_ends_with_the_signer_unless_it_ran_before(home: Path) -> None:
    of = Signing(key=f"gpg:{generate(home)}", gnupghome=str(home))
    end_agent(home)
    until(lambda: not agent(home), 30, "the agent to end")  # else it ran before
    with opened(of):
        assert agent(home)
    until(lambda: not agent(home), 30, "the agent to end")
    fingerprints(home)
    gpg(home, "--detach-sign", data=DATA)
    with opened(of) as signer:
        pass
    assert agent(home)
    with pytest.raises(Unavailable, match="shutting down"):
        signer.sign(DATA)


def test_an_agent_that_hangs_costs_the_time_limit_and_no_more(home: Path) -> None:
    of = Signing(key=f"gpg:{generate(home)}", gnupghome=str(home), timeout=6)
    with opened(of) as signer:
        with stopped(agent_pid(home)), pytest.raises(Unavailable, match="gpg took more than 6 s and was killed"):
            signer.sign(DATA)
        assert signer.sign(DATA)


def test_a_hung_agent_at_the_start_is_refused_in_time(home: Path) -> None:
    of = Signing(key=f"gpg:{generate(home)}", gnupghome=str(home), timeout=1)
    with stopped(agent_pid(home)):
        assert "took more than 1 s" in refused(of)


def test_a_start_that_fails_leaves_no_agent(home: Path) -> None:
    of = Signing(key=f"gpg:{generate(home, 'rsa1024')}", gnupghome=str(home))
    for wrong in (of, of.model_copy(update={"key": "gpg:" + "0" * 40})):
        end_agent(home)
        until(lambda: not agent(home), 30, "the agent to end")
        refused(wrong)
        until(lambda: not agent(home), 30, "the agent to end")
