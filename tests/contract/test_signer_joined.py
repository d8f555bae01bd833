"""The keys beside the one that signs: one that cosigns the indexes, and those that hosts only get."""

import time
from pathlib import Path

import pysequoia
import pytest

from repod.config import Signing
from repod.errors import Misconfigured
from repod.hostkeys import COSIGNS, PUBLISHED, SIGNS, ending
from repod.signing.verify import signature_issuers, verify_detached
from tests.lab.keys import Key, make_key
from tests.lab.signers import KINDS, opened, refused, settings

INDEX = b"<repomd/>\n"
DAY = 86400.0


@pytest.fixture(scope="module")
def own() -> Key:
    return make_key()


@pytest.fixture(scope="module")
def other() -> Key:
    return make_key("ed25519")


@pytest.fixture
def signing(own: Key, other: Key, tmp_path: Path) -> Signing:
    """``own`` signs; files of ``other`` lie beside it."""
    (tmp_path / "own.asc").write_bytes(own.secret)
    (tmp_path / "other.asc").write_bytes(other.secret)
    (tmp_path / "other.pub").write_bytes(other.public)
    return Signing(key=str(tmp_path / "own.asc"))


def _with(signing: Signing, **values: object) -> Signing:
    return Signing.model_validate(signing.model_dump() | values)


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_has_the_signature_of_the_cosigning_key_first_and_a_package_ours_alone(
    kind: str, signing: Signing, own: Key, other: Key, tmp_path: Path
) -> None:
    with settings(kind, other, tmp_path / "second") as second:
        both = _with(signing, cosign=second.key, cosign_public_key=second.public_key, gnupghome=second.gnupghome)
        with opened(both) as signer:
            made = signer.sign_index(INDEX)
            assert signature_issuers(made) == [other.fingerprint, own.fingerprint]
            assert verify_detached(own.public, INDEX, made)
            assert verify_detached(other.public, INDEX, made)
            assert not verify_detached(make_key("ed25519").public, INDEX, made)
            assert not verify_detached(own.public, INDEX + b"x", made)
            assert signature_issuers(signer.sign(INDEX)) == [own.fingerprint]
            assert [(key.role, key.fingerprint) for key in signer.keys] == [
                (SIGNS, own.fingerprint),
                (COSIGNS, other.fingerprint),
            ]


def test_hosts_get_all_keys_ours_first_and_each_once(signing: Signing, own: Key, other: Key, tmp_path: Path) -> None:
    third = make_key("ed25519")
    (tmp_path / "many.pub").write_bytes(other.public + b"\n" + third.public + own.public)
    places = [str(tmp_path / "other.pub"), str(tmp_path / "many.pub")]
    with opened(_with(signing, published=places)) as signer:
        found = [one.fingerprint.upper() for one in pysequoia.Cert.split_bytes(signer.published)]
        assert found == [own.fingerprint, other.fingerprint, third.fingerprint]
        assert [key.role for key in signer.keys] == [SIGNS, PUBLISHED, PUBLISHED]
        assert signer.public_key == signer.keys[0].certificate
        assert signature_issuers(signer.sign_index(INDEX)) == [own.fingerprint]


def test_a_published_key_may_be_handed_over_by_systemd(signing: Signing, other: Key, tmp_path: Path) -> None:
    with opened(_with(signing, published=["credential:other.pub"]), CREDENTIALS_DIRECTORY=str(tmp_path)) as signer:
        assert signer.keys[1].fingerprint == other.fingerprint


def test_all_faults_of_all_keys_are_listed_at_once(signing: Signing, tmp_path: Path) -> None:
    (tmp_path / "weak.pub").write_bytes(make_key("nistp256").public)
    protected = make_key("ed25519", passphrase="secret")
    (tmp_path / "protected.asc").write_bytes(protected.secret)
    places = [str(tmp_path / name) for name in ("weak.pub", "none.pub", "other.asc")]
    said = refused(_with(signing, published=places, cosign=str(tmp_path / "protected.asc"))).splitlines()
    assert len(said) == 5, said
    assert "ecdsa; rpm up to 4.18 takes RSA and Ed25519" in said[0]
    assert "none.pub cannot be read" in said[2]
    assert "other.asc holds a secret key" in said[3]
    assert said[4].startswith("[signing] cosign: ")
    assert "cosign_passphrase_file is not set" in said[4]


def test_the_key_that_signs_does_not_cosign_too(signing: Signing) -> None:
    assert "which signs already" in refused(_with(signing, cosign=signing.key))


def test_a_key_that_expired_is_still_given_to_hosts_and_signs_nothing(signing: Signing, tmp_path: Path) -> None:
    expired = make_key("ed25519", lifetime="1d", options=("--faked-system-time", "20200101T000000!"))
    for name, data in (("expired.asc", expired.secret), ("expired.pub", expired.public)):
        (tmp_path / name).write_bytes(data)
    with opened(_with(signing, published=[str(tmp_path / "expired.pub")])) as signer:
        assert "(published) expired at 2020-01-02" in ending(signer.keys[1], time.time())
    said = refused(_with(signing, cosign=str(tmp_path / "expired.asc")))
    assert "[signing] cosign: key" in said
    assert "expired at 2020-01-02" in said


def test_nothing_is_signed_once_either_key_has_expired(signing: Signing, tmp_path: Path) -> None:
    short = make_key("ed25519", lifetime="20d")
    (tmp_path / "short.asc").write_bytes(short.secret)
    with opened(_with(signing, cosign=str(tmp_path / "short.asc"))) as signer:
        signer.refuse_expired(time.time())
        with pytest.raises(Misconfigured, match=short.fingerprint):
            signer.refuse_expired(time.time() + 21 * DAY)
        assert "(cosigns) expires in 19 days" in ending(signer.keys[1], time.time())
        assert ending(signer.keys[1], time.time() - 11 * DAY) == ""
