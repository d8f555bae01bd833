"""The signer over a command: what programs do wrong never becomes a signature."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from repod.config import Signing
from repod.errors import Unavailable
from repod.signing.opening import OpenSigner
from tests.lab import processes
from tests.lab.keys import Key, gnupghome, gpg, make_key
from tests.lab.signers import issuer, opened, refused, script
from tests.lab.wait import until

DATA = b"what is signed"


@pytest.fixture(scope="module")
def key() -> Key:
    return make_key()


@pytest.fixture(scope="module")
def other() -> Key:
    return make_key()


@pytest.fixture(scope="module")
def home(key: Key, other: Key) -> Iterator[Path]:
    with gnupghome() as path:
        for each in (key, other):
            gpg(path, "--import", data=each.secret)
        yield path


@pytest.fixture
def public(key: Key, tmp_path: Path) -> str:
    path = tmp_path / "public.asc"
    path.write_bytes(key.public)
    return str(path)


@pytest.fixture
def signs(key: Key, home: Path) -> str:
    """The words that sign as they should."""
    return f"gpg --homedir {home} --batch --local-user {key.fingerprint} --detach-sign"


Breaks = Callable[..., OpenSigner]


@pytest.fixture
def breaks(signs: str, public: str, tmp_path: Path) -> Iterator[Breaks]:
    """A signer whose command signs as it should once, for the start, and then runs ``body``."""
    with ExitStack() as stack:

        def make(body: str, timeout: float = 30) -> OpenSigner:
            once = tmp_path / "once"
            program = script(tmp_path, f"if [ ! -e {once} ]; then touch {once}; exec {signs}; fi\n{body}")
            of = Signing(key=f"command:{program}", public_key=public, timeout=timeout)
            return stack.enter_context(opened(of))

        yield make


def test_an_armored_signature_and_arguments_with_spaces_are_taken(
    signs: str, public: str, key: Key, tmp_path: Path
) -> None:
    program = script(tmp_path, f'test "$1" = "two words" || exit 9\nexec {signs} --armor')
    with opened(Signing(key=f"command:{program} 'two words'", public_key=public)) as signer:
        assert issuer(DATA, signer.sign(DATA), signer.public_key, tmp_path) == key.fingerprint


def test_no_shell_reads_the_words(public: str, tmp_path: Path) -> None:
    program = script(tmp_path, 'echo "$1" >&2; exit 1')
    message = refused(Signing(key=f"command:{program} $(id)", public_key=public))
    assert message.endswith("failed with exit status 1: $(id)")


@pytest.mark.parametrize("lines", ["", "6"], ids=["every line", "one line"])
def test_a_signature_with_overwritten_bytes_never_leaves(lines: str, breaks: Breaks, signs: str) -> None:
    signer = breaks(f"{signs} --armor | sed '{lines}s/^..../AAAA/' | grep -v ^=")
    with pytest.raises(Unavailable):
        signer.sign(DATA)


def test_a_signature_with_any_one_byte_flipped_never_leaves(breaks: Breaks, signs: str, tmp_path: Path) -> None:
    flipped = tmp_path / "flipped"
    signer = breaks(f"cat {flipped}")
    with opened(
        Signing(key=f"command:{script(tmp_path, f'exec {signs}', 'good')}", public_key=str(tmp_path / "public.asc"))
    ) as good:
        signature = good.sign(DATA)
    for at in range(0, len(signature), 5):
        flipped.write_bytes(signature[:at] + bytes([signature[at] ^ 0x10]) + signature[at + 1 :])
        try:
            made = signer.sign(DATA)
        except Unavailable:
            continue
        # What is not covered by the signature may differ, as long as it verifies.
        assert issuer(DATA, made, signer.public_key, tmp_path)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("echo no token inserted >&2; exit 7", "failed with exit status 7: no token inserted"),
        ("exit 7", "failed with exit status 7, no message"),
        ("exit 0", "gave 0 bytes that are no OpenPGP signature"),
        ("echo hello", "gave 6 bytes that are no OpenPGP signature"),
        ("kill -9 $$", "failed with signal 9, no message"),
    ],
)
def test_a_command_that_fails_is_reported_with_what_it_said(body: str, message: str, breaks: Breaks) -> None:
    with pytest.raises(Unavailable, match=message):
        breaks(body).sign(DATA)


def test_a_signature_over_other_data_never_leaves(breaks: Breaks, signs: str) -> None:
    with pytest.raises(Unavailable, match="does not verify with the public key"):
        breaks(f"echo other data | {signs}").sign(DATA)


def test_a_signature_by_another_key_never_leaves(breaks: Breaks, home: Path, other: Key) -> None:
    signer = breaks(f"exec gpg --homedir {home} --batch --local-user {other.fingerprint} --detach-sign")
    with pytest.raises(Unavailable, match=other.fingerprint.lower()):
        signer.sign(DATA)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--digest-algo SHA1", "uses SHA-1; EL9 refuses it; sign again with SHA-256"),
        ("--textmode", "is of type 0x01; expected 0x00"),
        ("--default-sig-expire 1y", "expires, and what it signs would with it"),
        ("--sig-policy-url !https://example.com", "marks subpackets of type 26 as critical"),
    ],
)
def test_a_sound_signature_that_hosts_would_refuse_never_leaves(
    option: str, message: str, breaks: Breaks, signs: str
) -> None:
    with pytest.raises(Unavailable, match=message):
        breaks(f"exec {signs} {option}").sign(DATA)


def test_what_follows_the_signature_is_cut_off(breaks: Breaks, signs: str, key: Key, tmp_path: Path) -> None:
    made = breaks(f"{signs}; echo; echo done").sign(DATA)
    assert not made.endswith(b"done\n")
    assert issuer(DATA, made, key.public, tmp_path) == key.fingerprint


def test_a_command_that_hangs_is_killed_with_its_children(breaks: Breaks, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    # As long as its first signature may take, for the start, and the little that it does before it hangs.
    signer = breaks(f"sleep 1000 & echo $! $$ > {pids}.new; mv {pids}.new {pids}; wait", timeout=6)
    with pytest.raises(Unavailable, match=r"took more than 6 s and was killed; .*raise \[signing\] timeout"):
        signer.sign(DATA)
    running = [int(pid) for pid in pids.read_text().split()]
    until(lambda: not any(processes.command(pid) for pid in running), 30, "the command to end")


def test_a_command_that_does_not_read_its_input_is_no_problem(breaks: Breaks) -> None:
    with pytest.raises(Unavailable, match="exit status 3"):
        breaks("exit 3").sign(bytes(10_000_000))


def test_a_first_signature_that_fails_is_refused_at_the_start(public: str, tmp_path: Path) -> None:
    program = script(tmp_path, "echo no token inserted >&2; exit 1")
    message = refused(Signing(key=f"command:{program}", public_key=public))
    assert "a first signature failed" in message
    assert "no token inserted" in message


def test_faults_of_command_and_public_key_are_listed_at_once(key: Key, tmp_path: Path) -> None:
    secret = tmp_path / "secret.asc"
    secret.write_bytes(key.secret)
    message = refused(Signing(key=f"command:{tmp_path / 'none'} x", public_key=str(secret)))
    assert "none is not a program that repod may run" in message
    assert "holds a secret key; expected the public one" in message
    assert "public_key is required" in refused(Signing(key="command:cat"))
    assert "found no program" in refused(Signing(key="command: "))
    assert "see its quotes" in refused(Signing(key="command:cat 'x"))
    assert "cannot be read" in refused(Signing(key="command:cat", public_key=str(tmp_path / "no.asc")))


def test_a_command_gets_the_environment_of_the_daemon(signs: str, public: str, tmp_path: Path) -> None:
    program = script(tmp_path, f'test "$TOKEN" = secret || exit 9\nexec {signs}')
    of = Signing(key=f"command:{program}", public_key=public)
    with opened(of, TOKEN="secret") as signer:
        assert signer.sign(DATA)
    assert "exit status 9" in refused(of)
