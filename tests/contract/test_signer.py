"""What every Signer does, whatever holds its key: a file, gpg or a command."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pysequoia
import pytest
import rpm_rs
from pysequoia.packet import PacketPile, SignatureType

from repod.config import Signing
from repod.errors import Misconfigured, Unavailable
from repod.signing.opening import OpenSigner
from repod.signing.openpgp import PUBLIC_KEY, SIGNATURE, USER_ID, armor
from tests.lab import rpms
from tests.lab.keys import (
    Key,
    add_subkey,
    export,
    generate,
    gnupghome,
    gpg,
    make_key,
    rpm_imports,
    rpm_verifies,
)
from tests.lab.signers import KINDS, issuer, opened, settings
from tests.lab.wait import until

DATA = b"what is signed\n" * 500


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def key() -> Key:
    return make_key()


@pytest.fixture
def signing(kind: str, key: Key, tmp_path: Path) -> Iterator[Signing]:
    with settings(kind, key, tmp_path / "settings") as found:
        yield found


@pytest.fixture
def signer(signing: Signing) -> Iterator[OpenSigner]:
    with opened(signing) as found:
        yield found


def sign_package(folder: Path, signer: OpenSigner) -> Path:
    """A package with a signature by ``signer``."""
    path = rpms.quick(folder)
    package = rpm_rs.Package.open(str(path))
    package.apply_signature(signer.sign(bytes(package.header_bytes())))
    package.write_file(str(path))
    return path


def test_gpg_finds_the_signature_good_with_the_public_key_alone(signer: OpenSigner, key: Key, tmp_path: Path) -> None:
    signature = signer.sign(DATA)
    assert issuer(DATA, signature, signer.public_key, tmp_path) == key.fingerprint
    assert issuer(DATA + b"x", signature, signer.public_key, tmp_path) == ""


def test_a_signature_is_one_binary_packet_over_a_binary_document(signer: OpenSigner) -> None:
    signature = signer.sign(DATA)
    parsed = pysequoia.Sig.from_bytes(signature)
    assert bytes(parsed) == signature
    assert parsed.version == 4
    assert parsed.signature_type == SignatureType.Binary
    assert parsed.expiration is None


def test_an_armored_signature_is_the_same_signature(signer: OpenSigner) -> None:
    signature = signer.sign(DATA)
    text = armor(signature)
    assert text.startswith(b"-----BEGIN PGP SIGNATURE-----\n")
    assert bytes(pysequoia.Sig.from_bytes(text)) == signature


def test_rpm_verifies_a_package_with_the_public_key(signer: OpenSigner, tmp_path: Path) -> None:
    package = sign_package(tmp_path, signer)
    assert rpm_verifies(package, signer.public_key)
    assert not rpm_verifies(package, make_key().public)


def test_a_signer_names_its_key_in_full(signer: OpenSigner, key: Key) -> None:
    assert signer.fingerprint == signer.signing_key == key.fingerprint
    assert signer.report.algorithm == "rsa2048"
    assert signer.report.warnings == []


def test_empty_and_large_data_are_signed(signer: OpenSigner, tmp_path: Path) -> None:
    for data in (b"", bytes(5_000_000)):
        assert issuer(data, signer.sign(data), signer.public_key, tmp_path)


def test_threads_that_sign_at_once_each_get_the_signature_of_their_data(signer: OpenSigner, tmp_path: Path) -> None:
    several = [b"document %d" % number for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        signatures = list(pool.map(signer.sign, several))
    assert len(set(signatures)) == len(several)
    certificate = pysequoia.Cert.from_bytes(signer.public_key)
    for data, signature in zip(several, signatures, strict=True):
        parsed = pysequoia.Sig.from_bytes(signature)
        assert pysequoia.verify(bytes=data, store=lambda _: [certificate], signature=parsed).valid_sigs


def test_a_signer_knows_when_it_ends(signer: OpenSigner) -> None:
    assert signer.expires is not None
    signer.refuse_expired(signer.expires - 1)
    with pytest.raises(Misconfigured, match=r"expired at .*nothing is published.*quick-set-expire"):
        signer.refuse_expired(signer.expires)


def test_a_key_that_hosts_refuse_is_refused_with_all_its_faults(kind: str, tmp_path: Path) -> None:
    key = make_key("rsa1024", options=("--cert-digest-algo", "SHA1"))
    with settings(kind, key, tmp_path) as signing, pytest.raises(Misconfigured) as caught, opened(signing):
        pass
    assert len(caught.value.faults) == 2
    assert "below 2048 bits" in str(caught.value)
    assert "SHA-1" in str(caught.value)


def test_an_expired_key_is_refused(kind: str, tmp_path: Path) -> None:
    key = make_key("ed25519", options=("--faked-system-time", "20200101T000000"))
    with (
        settings(kind, key, tmp_path) as signing,
        pytest.raises(Misconfigured, match="expired at"),
        opened(signing),
    ):
        pass


def test_a_subkey_signs_where_the_primary_key_only_certifies_and_rpm_verifies_it(kind: str, tmp_path: Path) -> None:
    with gnupghome() as home:
        primary = generate(home, "rsa2048", "cert")
        subkey = add_subkey(home, primary, "rsa2048")
        key = export(home, primary)
    with settings(kind, key, tmp_path / "s", signing_key=subkey) as signing, opened(signing) as signer:
        assert (signer.fingerprint, signer.signing_key) == (primary, subkey)
        assert any("EL7" in warning for warning in signer.report.warnings)
        assert issuer(DATA, signer.sign(DATA), signer.public_key, tmp_path) == subkey
        assert rpm_verifies(sign_package(tmp_path, signer), signer.public_key)


def test_a_subkey_signs_where_the_primary_secret_is_kept_elsewhere(kind: str, tmp_path: Path) -> None:
    with gnupghome() as home:
        primary = generate(home, "rsa2048", "sign")
        subkey = add_subkey(home, primary, "ed25519")
        key = export(home, primary, secret="--export-secret-subkeys")
    with settings(kind, key, tmp_path / "s", signing_key=subkey) as signing, opened(signing) as signer:
        assert (signer.fingerprint, signer.signing_key) == (primary, subkey)
        assert rpm_verifies(sign_package(tmp_path, signer), signer.public_key)


def test_the_primary_key_signs_where_both_may(kind: str, tmp_path: Path) -> None:
    with gnupghome() as home:
        primary = generate(home)
        add_subkey(home, primary)
        key = export(home, primary)
    with settings(kind, key, tmp_path / "s") as signing, opened(signing) as signer:
        assert signer.signing_key == primary
        assert issuer(DATA, signer.sign(DATA), signer.public_key, tmp_path) == primary


def test_an_ed25519_key_signs_packages_that_rpm_verifies(kind: str, tmp_path: Path) -> None:
    with settings(kind, make_key("ed25519"), tmp_path / "s") as signing, opened(signing) as signer:
        assert signer.report.algorithm == "ed25519"
        assert rpm_verifies(sign_package(tmp_path, signer), signer.public_key)


def test_the_public_key_is_a_certificate_without_secrets_that_rpm_imports(signer: OpenSigner, key: Key) -> None:
    assert signer.public_key.startswith(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n")
    (certificate,) = pysequoia.Cert.split_bytes(signer.public_key)
    assert certificate.fingerprint.upper() == key.fingerprint
    assert {int(packet.tag) for packet in PacketPile.from_bytes(signer.public_key)} == {PUBLIC_KEY, USER_ID, SIGNATURE}
    assert rpm_imports(signer.public_key)


def test_a_key_that_expires_later_does_no_longer_sign_then(kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        signer = _opened_before_its_end(kind, tmp_path, stack)
        assert signer.expires is not None
        ended = signer.expires
        until(lambda: time.time() > ended, 90, "the key to expire")
        with pytest.raises(Unavailable, match="expire"):
            signer.sign(DATA)


def _opened_before_its_end(kind: str, folder: Path, stack: ExitStack) -> OpenSigner:
    """A signer whose key ends soon: as soon as this machine, which may be busy, gets it open before."""
    for seconds in (6, 20, 60):
        key = make_key("ed25519", "sign", f"seconds={seconds}")
        signing = stack.enter_context(settings(kind, key, folder / str(seconds)))
        with suppress(Misconfigured):
            return stack.enter_context(opened(signing))
    pytest.fail("no key of a minute could be opened before its end")


def test_a_public_key_file_may_tell_of_a_later_expiry_but_not_of_another_key(kind: str, tmp_path: Path) -> None:
    with gnupghome() as home:
        fingerprint = generate(home, lifetime="1y")
        key = export(home, fingerprint)
        gpg(home, "--quick-set-expire", fingerprint, "5y")
        extended = export(home, fingerprint)
    public, other = tmp_path / "later.asc", tmp_path / "other.asc"
    public.write_bytes(extended.public)
    other.write_bytes(make_key().public)
    with settings(kind, key, tmp_path / "s") as signing:
        with opened(signing.model_copy(update={"public_key": str(public)})) as signer:
            assert signer.expires is not None
            assert signer.expires > time.time() + 4 * 365 * 86400
        with pytest.raises(Misconfigured), opened(signing.model_copy(update={"public_key": str(other)})):
            pass
