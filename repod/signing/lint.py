"""Whether hosts will take a certificate and what it signs: all faults at once, before anything is signed.

The rules about parsing are those of rpm 4.14 to 4.18, whose parser refuses a whole certificate
for one thing in it that it does not know; a test compares each verdict with a real ``rpmkeys``.
The rules about strength are EL9's: no SHA-1, no DSA, RSA of 2048 bits or more.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from repod.signing.openpgp import (
    BACK_SIGNATURE,
    BINDING,
    CERTIFICATIONS,
    CREATED,
    DIRECT,
    KEY_FLAGS,
    SUBKEY,
    USER_ID,
    Component,
    Signature,
    certificates,
)
from repod.times import stamp

SIGNS = 2
MAX_SIZE = 65535
MIN_RSA_BITS = 2048

RSA, DSA, ECDSA, EDDSA = 1, 17, 19, 22
_REASONS = 3  # of why keys of a certificate cannot sign: a stranger's may have thousands
_ALGORITHMS = {RSA: "rsa", 2: "rsa-encrypt", 3: "rsa-sign", DSA: "dsa", ECDSA: "ecdsa", EDDSA: "eddsa"}
_SIZED = (RSA, DSA)
# The one curve that rpm up to 4.18 knows, as a length octet and an object identifier.
_ED25519 = bytes.fromhex("092b06010401da470f01")

_STRONG_HASHES = {8: "SHA-256", 9: "SHA-384", 10: "SHA-512", 11: "SHA-224"}
_WEAK_HASHES = {1: "MD5", 2: "SHA-1", 3: "RIPEMD-160"}
# rpm 4.18 also knows a critical issuer and critical key flags; older ones do not.
_KNOWN_CRITICAL = (CREATED,)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyReport:
    """What a look at a certificate found.

    ``fingerprint`` is the primary key's, ``signing_key`` that of the key which signs (empty: none
    can); both in upper case. ``expires`` is when the first of the two ends, in seconds since 1970.
    ``algorithm`` is that of the signing key: ``rsa4096``, ``ed25519``. With any ``faults`` the key
    must not be used.
    """

    fingerprint: str
    signing_key: str
    expires: float | None
    algorithm: str
    faults: Sequence[str]
    warnings: Sequence[str]


def lint(certificate: bytes, now: float, held: Collection[str] | None = None) -> KeyReport:
    """Judge a public certificate, armored or binary, at the time ``now``, by its form alone.

    ``held`` are the fingerprints whose secret parts are at hand; None: not known, so any may
    sign. The primary key is preferred where it may sign, since EL7 cannot verify a subkey's
    signature; otherwise the newest subkey that may.
    """
    try:
        found = certificates(certificate)
    except ValueError as error:
        return _unreadable(f"the key {error}; expected one OpenPGP certificate")
    if len(found) != 1:
        return _unreadable(f"the key holds {len(found)} certificates; expected one: export it alone")
    components = found[0]
    primary = components[0]
    faults = [*_shape_faults(components, len(certificate)), *_validity_faults(primary, components, now)]
    warnings: list[str] = []
    signing, why = _signing_key(components, now, held)
    expires = _expiry(primary, components)
    if signing is None:
        faults.append(f"{_name(primary)} has no key that may sign now ({why}); make one that can: repod init")
    else:
        faults += [] if signing is primary else _strength_faults(signing)
        expires = min((e for e in (expires, _expiry(signing, components)) if e is not None), default=None)
        warnings += _warnings(components, signing)
    return KeyReport(
        fingerprint=primary.fingerprint,
        signing_key="" if signing is None else signing.fingerprint,
        expires=expires,
        algorithm=algorithm(primary if signing is None else signing),
        faults=faults,
        warnings=warnings,
    )


def signature_faults(signature: Signature) -> Iterator[str]:
    """Why rpm on some host would not take a signature, by its form alone."""
    if signature.version != 4:  # noqa: PLR2004 - the version number
        yield f"is of version {signature.version}; rpm up to 4.18 knows version 4"
        return
    if signature.hash_algorithm not in _STRONG_HASHES:
        name = _WEAK_HASHES.get(signature.hash_algorithm, f"hash algorithm {signature.hash_algorithm}")
        yield f"uses {name}; EL9 refuses it; sign again with SHA-256"
    if signature.key_algorithm not in (RSA, DSA, EDDSA):
        yield f"is by a key of algorithm {signature.key_algorithm}, which rpm up to 4.18 does not know"
    unknown = sorted({s.kind for s in signature.subpackets if s.critical and s.kind not in _KNOWN_CRITICAL})
    if unknown:
        kinds = ", ".join(map(str, unknown))
        yield f"marks subpackets of type {kinds} as critical, which rpm up to 4.18 does not know"
    hashed = [s.kind for s in signature.subpackets if s.hashed]
    if CREATED not in hashed:
        yield "has no creation time"
    for kind in (CREATED, KEY_FLAGS):
        if hashed.count(kind) > 1:
            yield f"has {hashed.count(kind)} subpackets of type {kind}; rpm takes one"


def algorithm(key: Component) -> str:
    """A key's algorithm as gpg names it, with its size where it has one."""
    if len(key.body) < 8:  # noqa: PLR2004 - version, time, algorithm, size
        return "unknown"
    number = key.body[5]
    if number == EDDSA and key.body[6:].startswith(_ED25519):
        return "ed25519"
    size = str(int.from_bytes(key.body[6:8])) if number in _SIZED else ""
    return _ALGORITHMS.get(number, f"algorithm {number}") + size


def _unreadable(fault: str) -> KeyReport:
    return KeyReport(fingerprint="", signing_key="", expires=None, algorithm="unknown", faults=[fault], warnings=[])


def _name(key: Component) -> str:
    kind = "subkey" if key.tag in SUBKEY else "key"
    return f"{kind} {key.fingerprint or '(of an unknown version)'}"


def _shape_faults(components: Sequence[Component], size: int) -> Iterator[str]:
    primary = components[0]
    yield from _strength_faults(primary)
    if size > MAX_SIZE:
        yield f"{_name(primary)} has {size} bytes; rpm takes {MAX_SIZE}: export it with export-minimal"
    users = [c for c in components if c.tag == USER_ID]
    if not any(c.newest(CERTIFICATIONS, primary.fingerprint) for c in users):
        yield f"{_name(primary)} has no user ID that it signed itself; add one: gpg --quick-add-uid"
    for component in components:
        what = _name(component) if component.fingerprint else f"{_name(primary)}, its user ID"
        if component.tag in SUBKEY and [s.kind for s in component.signatures[:1]] != [BINDING]:
            yield f"{what} is not followed by its binding signature, which rpm up to 4.18 insists on"
        for signature in component.signatures:
            yield from (f"{what}: a signature {fault}" for fault in signature_faults(signature))


def _strength_faults(key: Component) -> Iterator[str]:
    name, number = algorithm(key), key.body[5] if len(key.body) > 5 else 0  # noqa: PLR2004
    if key.body[:1] != b"\4":
        yield f"{_name(key)} has version {key.body[0]}; rpm up to 4.18 takes version 4: make an rsa4096 key"
    elif number == DSA:
        yield f"{_name(key)} is {name}; EL9 refuses DSA: make an rsa4096 key"
    elif number not in (RSA, EDDSA) or (number == EDDSA and name != "ed25519"):
        yield f"{_name(key)} is {name}; rpm up to 4.18 takes RSA and Ed25519: make an rsa4096 key"
    elif number == RSA and int.from_bytes(key.body[6:8]) < MIN_RSA_BITS:
        yield f"{_name(key)} is {name}; EL9 refuses RSA below {MIN_RSA_BITS} bits: make an rsa4096 key"


def _validity_faults(primary: Component, components: Sequence[Component], now: float) -> Iterator[str]:
    name, expires = _name(primary), _expiry(primary, components)
    if primary.revoked(primary.fingerprint):
        yield f"{name} is revoked; make a new one: repod init"
    if primary.created > now:
        yield f"{name} is not valid before {stamp(primary.created)}, and it is {stamp(now)}; set the clock"
    if expires is not None and expires <= now:
        remedy = f"extend it: gpg --quick-set-expire {primary.fingerprint} 2y"
        yield f"{name} expired at {stamp(expires)}, and it is {stamp(now)}; {remedy}"


def _self_signature(key: Component, components: Sequence[Component]) -> Signature | None:
    """The signature that says what ``key`` may do and how long it lives."""
    primary = components[0]
    if key is not primary:
        return key.newest((BINDING,), primary.fingerprint)
    places = [primary, *(c for c in components if c.tag == USER_ID)]
    found = [c.newest((*CERTIFICATIONS, DIRECT), primary.fingerprint) for c in places]
    return max((s for s in found if s is not None), key=lambda s: s.created, default=None)


def _expiry(key: Component, components: Sequence[Component]) -> float | None:
    signature = _self_signature(key, components)
    if signature is None or signature.lifetime == 0:
        return None
    return float(key.created + signature.lifetime)


def _signing_key(
    components: Sequence[Component], now: float, held: Collection[str] | None
) -> tuple[Component | None, str]:
    """The key that signs, or None and why each cannot."""
    subkeys = sorted((c for c in components if c.tag in SUBKEY), key=lambda c: -c.created)
    reasons = []
    for key in (components[0], *subkeys):
        reason = _unfit(key, components, now)
        if not reason and held is not None and key.fingerprint not in held:
            reason = "its secret part is not here"
        if not reason:
            return key, ""
        reasons.append(f"{_name(key)}: {reason}")
    more = f"; and {len(reasons) - _REASONS} more" if len(reasons) > _REASONS else ""
    return None, "; ".join(reasons[:_REASONS]) + more


def _unfit(key: Component, components: Sequence[Component], now: float) -> str:
    """Why ``key`` cannot sign; empty where it can."""
    signature = _self_signature(key, components)
    if signature is None:
        return "has no signature by the primary key"
    if not signature.flags & SIGNS:
        return "is not made for signing"
    if key is components[0]:
        return ""  # its own validity is the certificate's
    return next(_unfit_subkey(key, signature, components, now), "")


def _unfit_subkey(key: Component, binding: Signature, components: Sequence[Component], now: float) -> Iterator[str]:
    expires, back = _expiry(key, components), binding.embedded
    if key.revoked(components[0].fingerprint):
        yield "is revoked"
    if expires is not None and expires <= now:
        yield f"expired at {stamp(expires)}"
    if key.created > now:
        yield f"is not valid before {stamp(key.created)}"
    if back is None or back.kind != BACK_SIGNATURE:
        yield "did not sign its binding to the primary key"
    else:
        yield from (f"its binding: a signature {fault}" for fault in signature_faults(back))


def _warnings(components: Sequence[Component], signing: Component) -> Iterator[str]:
    primary = components[0]
    if signing is not primary:
        yield f"{_name(signing)} signs; EL7 cannot verify a signature by a subkey"
    for component in components:
        if component.tag in SUBKEY and component.revoked(primary.fingerprint):
            yield f"{_name(component)} is revoked, which rpm up to 4.18 does not look at; take it out of the key"
