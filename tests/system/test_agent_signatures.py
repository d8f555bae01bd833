"""Who signed a rollout file, by the tools that hosts have: gpgv, and sqv where there is no GnuPG."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from repod.hosts.agent.signature import proven, tool
from repod.hosts.faults import Refused, WrongUse
from repod.signing.openpgp import armor
from tests.lab.keys import Key, add_subkey, export, generate, gnupghome, gpg

_TEXT = b'{"format": 1}'


class Signed(NamedTuple):
    """Two keys, the second of which signs with a subkey, a third that is expired, and their signatures on a text."""

    own: Key
    other: Key
    ended: Key
    by_own: bytes
    by_other: bytes
    by_ended: bytes


@pytest.fixture(scope="module")
def signed() -> Signed:
    then = ("--faked-system-time", "20240101T000000")
    with gnupghome() as home:
        own, other = (generate(home, "ed25519", uid=f"{name} <{name}@example.com>") for name in ("own", "other"))
        ended = generate(home, "ed25519", lifetime="1y", uid="ended <ended@example.com>", options=then)
        add_subkey(home, other, "ed25519")

        def sign(fingerprint: str, *options: str) -> bytes:
            return gpg(home, *options, "--local-user", fingerprint, "--detach-sign", data=_TEXT)

        signatures = [sign(own), sign(other), sign(ended, *then)]
        return Signed(*(export(home, one) for one in (own, other, ended)), *signatures)


@pytest.fixture(params=["gpgv", "sqv"])
def program(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The only tool that the host has."""
    found = shutil.which(request.param)
    assert found
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / request.param).symlink_to(found)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert tool() == str(tmp_path / "bin" / request.param)
    return str(request.param)


def keyed(folder: Path, *keys: Key) -> Path:
    path = folder / "keys.asc"
    path.write_bytes(b"# put here by a person\n" + b"\n".join(key.public for key in keys))
    return path


def test_a_signature_is_by_the_primary_key_whichever_of_its_keys_made_it(
    signed: Signed, program: str, tmp_path: Path
) -> None:
    for key, signature in ((signed.own, signed.by_own), (signed.other, signed.by_other)):
        assert proven(_TEXT, armor(signature), keyed(tmp_path, key), ()) == key.fingerprint


def test_while_keys_rotate_a_host_that_knows_one_of_both_takes_what_both_signed(
    signed: Signed, program: str, tmp_path: Path
) -> None:
    for both in (signed.by_own + signed.by_other, signed.by_other + signed.by_own):
        for key in (signed.own, signed.other):
            assert proven(_TEXT, armor(both), keyed(tmp_path, key), ()) == key.fingerprint
            pinned = (key.fingerprint,)
            assert proven(_TEXT, armor(both), keyed(tmp_path, signed.own, signed.other), pinned) == key.fingerprint


def test_what_no_key_of_the_host_signed_is_refused(signed: Signed, program: str, tmp_path: Path) -> None:
    own = keyed(tmp_path, signed.own)
    for text, signature in (
        (_TEXT, signed.by_other), (_TEXT + b" ", signed.by_own), (_TEXT, b"x"), (_TEXT, signed.by_own[:-9]),
    ):  # fmt: skip
        with pytest.raises(Refused, match="found none that verifies"):
            proven(text, armor(signature), own, ())
    with pytest.raises(
        Refused, match=f"expected a signature by {signed.other.fingerprint}, found {signed.own.fingerprint}"
    ):
        proven(_TEXT, armor(signed.by_own), keyed(tmp_path, signed.own, signed.other), (signed.other.fingerprint,))


def test_a_key_that_has_expired_proves_nothing(signed: Signed, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="found none that verifies"):
        proven(_TEXT, armor(signed.by_ended), keyed(tmp_path, signed.ended), ())


def test_keys_may_be_binary_and_what_is_none_is_told(
    signed: Signed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gnupghome() as home:
        (tmp_path / "key.gpg").write_bytes(gpg(home, "--dearmor", data=signed.own.public))
    assert proven(_TEXT, armor(signed.by_own), tmp_path / "key.gpg", ()) == signed.own.fingerprint
    (tmp_path / "key.gpg").write_text("no key")
    with pytest.raises(WrongUse, match="expected OpenPGP keys, found none"):
        proven(_TEXT, armor(signed.by_own), tmp_path / "key.gpg", ())
    with pytest.raises(WrongUse, match="RPM-GPG-KEY"):
        proven(_TEXT, armor(signed.by_own), tmp_path / "none", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WrongUse, match="install gnupg2 or sequoia-sqv"):
        tool()
