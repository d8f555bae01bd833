"""What lint says of a key, and that it agrees with the rpm of this machine.

``now`` is fixed by the keys themselves: gpg and the forge make them at the time of the run.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import pysequoia
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pysequoia import CipherSuite, Profile

from repod.signing.lint import lint
from repod.signing.openpgp import Signature, armor_certificate, certificates, minimal, read_certificate
from tests.lab.keys import (
    UID,
    Forge,
    add_subkey,
    armored,
    export,
    generate,
    gnupghome,
    make_key,
    packet,
    rpm_imports,
    subpacket,
)

DAY = 86400
SIGNS = subpacket(27, b"\2")


@pytest.fixture(scope="module")
def forge() -> Forge:
    return Forge()


@pytest.fixture(scope="module")
def other() -> Forge:
    return Forge()


@pytest.fixture(scope="module")
def with_subkey(forge: Forge, other: Forge) -> bytes:
    """A sound certificate with a signing subkey."""
    return forge.certificate(more=b"".join(forge.subkey(other, forge.created + SIGNS)))


@dataclass(frozen=True)
class Case:
    """``rpm``: whether rpm 4.18 imports it. ``fault``: a part of lint's verdict, empty for none."""

    rpm: bool
    fault: str


GPG = {
    "rsa2048": (("rsa2048",), Case(True, "")),
    "rsa3072": (("rsa3072",), Case(True, "")),
    "rsa2048 for ever": (("rsa2048", "sign", "0"), Case(True, "")),
    "ed25519": (("ed25519",), Case(True, "")),
    "default with an encryption subkey": (("default", "default"), Case(True, "")),
    "rsa1024": (("rsa1024",), Case(True, "EL9 refuses RSA below 2048")),
    "dsa2048": (("dsa2048",), Case(True, "EL9 refuses DSA")),
    "nistp256": (("nistp256",), Case(False, "takes RSA and Ed25519")),
    "nistp384": (("nistp384",), Case(False, "takes RSA and Ed25519")),
    "brainpool": (("brainpoolP256r1",), Case(False, "takes RSA and Ed25519")),
    "secp256k1": (("secp256k1",), Case(False, "takes RSA and Ed25519")),
    "certifies only": (("rsa2048", "cert"), Case(True, "is not made for signing")),
}
OPTIONS = {
    "sha1": (("--cert-digest-algo", "SHA1"), Case(True, "SHA-1; EL9 refuses it")),
    "sha512": (("--cert-digest-algo", "SHA512"), Case(True, "")),
    "policy": (("--cert-policy-url", "https://example.com"), Case(True, "")),
    "critical policy": (("--cert-policy-url", "!https://example.com"), Case(False, "critical")),
    "notation": (("--cert-notation", "a@example.com=b"), Case(True, "")),
    "critical notation": (("--cert-notation", "!a@example.com=b"), Case(False, "critical")),
    "expired": (("--faked-system-time", "20200101T000000"), Case(True, "expired at 2021-12-31T00:00:00Z")),
    "of the future": (("--faked-system-time", "20500101T000000"), Case(True, "not valid before 2050-01-01")),
}


def agrees(certificate: bytes, case: Case) -> None:
    """Lint's verdict is as expected, and nothing that rpm refuses is without a fault."""
    faults = lint(certificate, time.time()).faults
    imported = rpm_imports(certificate)
    assert imported == case.rpm
    assert case.fault in "\n".join(faults)
    assert bool(faults) == bool(case.fault)
    assert imported or faults


@pytest.mark.parametrize(("arguments", "case"), GPG.values(), ids=GPG)
def test_a_key_of_gpg_is_judged_as_rpm_takes_it(arguments: tuple[str, ...], case: Case) -> None:
    agrees(make_key(*arguments).public, case)


@pytest.mark.parametrize(("options", "case"), OPTIONS.values(), ids=OPTIONS)
def test_a_key_made_with_an_option_of_gpg_is_judged_as_rpm_takes_it(options: tuple[str, ...], case: Case) -> None:
    agrees(make_key(options=options).public, case)


@pytest.mark.parametrize("profile", [Profile.RFC4880, Profile.RFC9580], ids=["v4", "v6"])
@pytest.mark.parametrize("suite", ["Cv25519", "RSA2k", "P256", "Cv448"])
def test_a_key_of_sequoia_is_refused_by_rpm_and_by_lint(suite: str, profile: Profile) -> None:
    key = pysequoia.Tsk.generate("a <a@example.com>", cipher_suite=getattr(CipherSuite, suite), profile=profile)
    certificate = bytes(key.extract_certificate())
    assert not rpm_imports(armor_certificate(certificate))
    assert lint(certificate, time.time()).faults


# What subpackets of a self-signature may hold; which of them rpm lets pass when critical.
CONTENTS = {
    4: b"\1", 5: b"\1\x3c", 6: b"x\0", 7: b"\1", 9: b"\x10\0\0\0", 11: b"\x09", 20: b"\x80\0\0\0\0\3\0\1a@bc",
    21: b"\x08", 22: b"\2", 23: b"\x80", 24: b"http://x", 25: b"\1", 26: b"http://x", 28: b"x", 30: b"\1",
    34: b"\2\1", 39: b"\x09\2", 101: b"x",
}  # fmt: skip


@pytest.mark.parametrize("kind", CONTENTS)
def test_a_critical_subpacket_that_rpm_does_not_know_is_a_fault(kind: int, forge: Forge) -> None:
    hashed = forge.created + forge.flags
    plain = forge.certificate(hashed + subpacket(kind, CONTENTS[kind]))
    critical = forge.certificate(hashed + subpacket(kind, CONTENTS[kind], critical=True))
    agrees(armored(plain), Case(True, ""))
    agrees(armored(critical), Case(False, f"type {kind} as critical"))


FORGED: dict[str, tuple[Callable[[Forge, Forge], bytes], Case]] = {
    "plain": (lambda f, _: f.certificate(), Case(True, "")),
    "critical creation time": (
        lambda f, _: f.certificate(f.created[:1] + b"\x82" + f.created[2:] + f.flags), Case(True, "")
    ),
    # rpm before 4.17 knows neither of the next two.
    "critical flags": (
        lambda f, _: f.certificate(f.created + subpacket(27, b"\3", critical=True)), Case(True, "type 27 as critical")
    ),
    "critical issuer": (
        lambda f, _: f.certificate(None, subpacket(16, f.fingerprint[-8:], critical=True)),
        Case(True, "type 16 as critical"),
    ),
    "no creation time": (lambda f, _: f.certificate(f.flags), Case(False, "no creation time")),
    "two creation times": (lambda f, _: f.certificate(f.created * 2 + f.flags), Case(False, "2 subpackets of type 2")),
    "two flags": (lambda f, _: f.certificate(f.created + f.flags * 2), Case(False, "2 subpackets of type 27")),
    "no issuer": (lambda f, _: f.certificate(None, b""), Case(True, "no user ID that it signed itself")),
    "sha1": (lambda f, _: f.certificate(digest="sha1"), Case(True, "SHA-1; EL9 refuses it")),
    "no user ID": (lambda f, _: packet(6, f.public), Case(True, "no user ID")),
    "version 5": (lambda f, _: packet(6, b"\5" + f.public[1:]) + packet(13, b"x"), Case(False, "version 5")),
    "RSA for signing only": (
        lambda f, _: packet(6, f.public[:5] + b"\3" + f.public[6:]) + packet(13, b"x"), Case(False, "rsa-sign")
    ),
    "revoked": (
        lambda f, _: packet(6, f.public) + f.revocation() + f.certificate()[len(packet(6, f.public)) :],
        Case(True, "is revoked"),
    ),
    "a subkey": (lambda f, o: f.certificate(more=b"".join(f.subkey(o, f.created + SIGNS))), Case(True, "")),
    "a subkey with a critical expiry": (
        lambda f, o: f.certificate(
            more=b"".join(f.subkey(o, f.created + SIGNS + subpacket(9, b"\x10\0\0\0", critical=True)))
        ),
        Case(False, "type 9 as critical"),
    ),
    "a subkey without its binding": (
        lambda f, o: f.certificate(more=f.subkey(o, f.created + SIGNS)[0]), Case(False, "not followed by its binding")
    ),
    "a subkey with its revocation first": (
        lambda f, o: f.certificate(more=_revoked_first(f, o)), Case(False, "not followed by its binding")
    ),
    "signed by somebody's ECDSA key": (
        lambda f, _: f.certificate(more=_by_ecdsa(f)), Case(False, "algorithm 19")
    ),
    "too large": (
        lambda f, _: f.certificate(more=packet(13, b"x" * 20000) * 4),
        Case(False, "rpm takes 65535"),
    ),
}  # fmt: skip


def _revoked_first(forge: Forge, subkey: Forge) -> bytes:
    key, binding = forge.subkey(subkey, forge.created + SIGNS)
    return key + forge.revocation(subkey) + binding


def _by_ecdsa(forge: Forge) -> bytes:
    number = (250).to_bytes(2) + b"\2" + bytes(31)
    head = bytes([4, 0x10, 19, 8]) + len(forge.created).to_bytes(2) + forge.created
    return packet(2, head + b"\0\x0a" + subpacket(16, b"stranger") + b"ab" + number + number)


@pytest.mark.parametrize(("build", "case"), FORGED.values(), ids=FORGED)
def test_a_forged_certificate_is_judged_as_rpm_takes_it(
    build: Callable[[Forge, Forge], bytes], case: Case, forge: Forge, other: Forge
) -> None:
    agrees(armored(build(forge, other)), case)


def test_all_faults_of_a_key_are_listed_at_once() -> None:
    key = make_key("rsa1024", options=("--cert-digest-algo", "SHA1", "--faked-system-time", "20200101T000000"))
    text = "\n".join(lint(key.public, time.time()).faults)
    assert "below 2048" in text
    assert "SHA-1" in text
    assert "expired" in text
    assert key.fingerprint in text


def test_a_report_names_key_algorithm_and_expiry() -> None:
    before = int(time.time())
    key = make_key("rsa2048", "sign", "seconds=864000000")
    report = lint(key.public, before)
    assert (report.fingerprint, report.signing_key) == (key.fingerprint, key.fingerprint)
    assert report.algorithm == "rsa2048"
    assert report.expires is not None
    assert before <= report.expires - 864000000 <= time.time()
    assert lint(make_key("ed25519").public, time.time()).algorithm == "ed25519"
    assert lint(make_key("rsa2048", "sign", "0").public, time.time()).expires is None


def test_a_key_is_refused_from_its_end_on() -> None:
    key = make_key("ed25519", "sign", "1y")
    end = lint(key.public, time.time()).expires
    assert end is not None
    assert lint(key.public, end - 1).faults == []
    assert "expired" in "\n".join(lint(key.public, end).faults)


def test_the_primary_key_signs_where_it_may_and_otherwise_the_newest_subkey_that_may() -> None:
    with gnupghome() as home:
        both = generate(home, "rsa2048", "sign")
        subkey = add_subkey(home, both)
        certifier = generate(home, "rsa2048", "cert", uid="b")
        add_subkey(home, certifier, "rsa2048", "encrypt")
        signer = add_subkey(home, certifier, "ed25519")
        keys = [export(home, fingerprint).public for fingerprint in (both, certifier)]
    now = time.time()
    assert lint(keys[0], now).signing_key == both
    assert lint(keys[0], now, {subkey}).signing_key == subkey
    report = lint(keys[1], now)
    assert (report.signing_key, report.algorithm, report.faults) == (signer, "ed25519", [])
    assert any("EL7 cannot verify a signature by a subkey" in warning for warning in report.warnings)
    none = lint(keys[1], now, frozenset())
    assert none.signing_key == ""
    assert "its secret part is not here" in "\n".join(none.faults)


def test_a_subkey_that_expired_does_not_sign(forge: Forge, other: Forge) -> None:
    ended = b"".join(forge.subkey(other, forge.created + SIGNS + subpacket(9, DAY.to_bytes(4))))
    current = b"".join(forge.subkey(forge, forge.created + SIGNS))
    only_certifies = forge.created + subpacket(27, b"\1")
    now = int.from_bytes(other.created[2:]) + 2 * DAY
    report = lint(forge.certificate(only_certifies, more=ended), now)
    assert report.signing_key == ""
    assert "expired at" in "\n".join(report.faults)
    assert lint(forge.certificate(only_certifies, more=ended + current), now).faults == []


@pytest.mark.parametrize(
    ("back", "digest", "reason"),
    [(False, "sha256", "did not sign its binding"), (True, "sha1", "its binding: a signature uses SHA-1")],
    ids=["none", "sha1"],
)
def test_a_subkey_that_did_not_agree_to_its_binding_does_not_sign(
    back: bool, digest: str, reason: str, forge: Forge, other: Forge
) -> None:
    subkey = b"".join(forge.subkey(other, forge.created + SIGNS, back=back, digest=digest))
    certificate = forge.certificate(forge.created + subpacket(27, b"\1"), more=subkey)
    report = lint(certificate, time.time())
    assert report.signing_key == ""
    assert reason in "\n".join(report.faults)


def test_the_earlier_end_of_primary_key_and_signing_subkey_counts(forge: Forge, other: Forge) -> None:
    subkey = b"".join(forge.subkey(other, forge.created + SIGNS + subpacket(9, (90 * DAY).to_bytes(4))))
    lifetime = subpacket(9, (365 * DAY).to_bytes(4))
    certificate = forge.certificate(forge.created + subpacket(27, b"\1") + lifetime, more=subkey)
    now = int.from_bytes(other.created[2:])
    assert lint(certificate, now).expires == now + 90 * DAY
    assert "expired" in "\n".join(lint(certificate, now + 91 * DAY).faults)


def test_several_certificates_are_a_fault_however_they_are_joined(forge: Forge, other: Forge) -> None:
    one, two = forge.certificate(), other.certificate()
    assert "holds 2 certificates" in lint(one + two, time.time()).faults[0]
    assert "several armored blocks" in lint(armored(one) + armored(two), time.time()).faults[0]


@pytest.mark.parametrize("data", [b"", b"hello", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", packet(13, b"x")])
def test_what_is_no_key_is_a_fault(data: bytes) -> None:
    (fault,) = lint(data, time.time()).faults
    assert "expected one OpenPGP certificate" in fault


def test_the_published_certificate_leaves_out_what_others_signed(forge: Forge) -> None:
    certificate = forge.certificate(more=_by_ecdsa(forge))
    assert not rpm_imports(armored(certificate))
    published = read_certificate("key", certificate)
    assert rpm_imports(armor_certificate(published))
    assert lint(published, time.time()).faults == []


def test_the_published_certificate_keeps_the_revocation_of_a_subkey_where_rpm_can_import_it(
    forge: Forge, other: Forge
) -> None:
    published = read_certificate("key", forge.certificate(more=_revoked_first(forge, other)))
    assert rpm_imports(armor_certificate(published))
    assert certificates(published)[0][-1].revoked(forge.fingerprint.hex().upper())
    (warning,) = lint(published, time.time()).warnings
    assert "revoked, which rpm up to 4.18 does not look at" in warning


def test_the_published_certificate_has_the_newest_self_signature_only(forge: Forge) -> None:
    later = (int.from_bytes(forge.created[2:]) + 1).to_bytes(4)
    renewed = forge.certificate(subpacket(2, later) + forge.flags)
    with_both = forge.certificate(
        digest="sha1", more=renewed[len(packet(6, forge.public) + packet(13, UID.encode())) :]
    )
    assert "SHA-1" in "\n".join(lint(with_both, time.time() + 1).faults)
    assert lint(read_certificate("key", with_both), time.time() + 1).faults == []


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_damage_to_a_certificate_makes_lint_fail(data: st.DataObject, with_subkey: bytes) -> None:
    certificate = bytearray(with_subkey)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(certificate) - 1))
        certificate[at : at + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=10))
    report = lint(bytes(certificate), time.time())
    assert report.faults or report.signing_key


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_a_signature_is_taken_apart_or_refused_as_such(body: bytes) -> None:
    try:
        found = Signature.parse(body)
    except ValueError:
        return
    assert found.version == body[0]


def test_a_sound_certificate_is_published_as_it_is(with_subkey: bytes) -> None:
    (components,) = certificates(with_subkey)
    assert certificates(minimal(components)) == [components]
