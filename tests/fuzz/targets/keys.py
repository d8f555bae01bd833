"""OpenPGP certificates and signatures that people give as keys, and heads of packages with signatures in them."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random

import pysequoia
from pysequoia.packet import PacketPile

from repod.errors import Misconfigured
from repod.rpmfile.issuers import issuers
from repod.signing.lint import lint
from repod.signing.openpgp import armor_certificate, read_certificate
from repod.signing.published import host_key, judge, split_keys
from repod.signing.verify import signature_issuers, verify_detached
from tests.fuzz import mutate
from tests.fuzz.core import Door, Finding, of_doors, said_well
from tests.lab.keys import Key, add_subkey, export, generate, gnupghome, packet

_NOW = 1.9e9
_MADE: list[Key] = []


def _keys() -> list[Key]:
    """Keys as people have them; made once."""
    if not _MADE:
        with gnupghome() as home:
            made = [
                generate(home, algorithm, uid=f"{algorithm} <a@example.com>") for algorithm in ("rsa2048", "ed25519")
            ]
            _MADE.extend(export(home, fingerprint) for fingerprint in made)
            add_subkey(home, _MADE[0].fingerprint, "rsa2048")
            _MADE.append(export(home, _MADE[0].fingerprint))
    return _MADE


def _packets(draw: Random, data: bytes) -> bytes:
    """A packet is gone, there twice, elsewhere, or has another body; all lengths are right."""
    try:
        found = [(int(one.tag), bytes(one.body)) for one in PacketPile.from_bytes(data)]
    except Exception:  # noqa: BLE001 - its kind says nothing
        return mutate.raw(draw, data)
    for _ in range(draw.choice((1, 1, 2, 4))):
        if not found:
            break
        at = draw.randrange(len(found))
        kind = draw.randrange(6)
        if kind == 0:
            del found[at]
        elif kind == 1:
            found.insert(draw.randrange(len(found) + 1), found[at])
        elif kind == 2:
            found[at] = (draw.choice((2, 5, 6, 7, 13, 14, 17, 63, found[at][0])), found[at][1])
        else:
            found[at] = (found[at][0], _body(draw, found[at][1]))
    return b"".join(packet(tag, body) for tag, body in found)


def _body(draw: Random, body: bytes) -> bytes:
    kind = draw.randrange(4)
    if kind == 0:
        return body[: draw.randrange(len(body) + 1)]
    if kind == 1 and len(body) > 8:  # lengths of subpackets are among the first bytes
        at = draw.randrange(min(len(body), 60))
        return body[:at] + bytes([draw.choice((0, 1, 2, 4, 191, 192, 254, 255, draw.randrange(256)))]) + body[at + 1 :]
    return mutate.flip(draw, body)


def _linted(data: bytes) -> str:
    report = lint(data, _NOW)
    for line in (*report.faults, *report.warnings):
        said_well(line)
    return f"{len(report.faults)} faults, {report.algorithm[:8]}"


def _published(data: bytes) -> str:
    found = split_keys("key", data)
    for certificate in found:
        report = judge(certificate, _NOW)
        if not report.faults:
            key = host_key("published", certificate, report, "x")
            if read_certificate("key", key.certificate) != certificate:
                raise Finding("a published key reads back as another one")
    return f"{min(len(found), 3)} keys"


def _one(data: bytes) -> str:
    made = read_certificate("key", data)
    if read_certificate("key", armor_certificate(made)) != made:
        raise Finding("a key reads back as another one")
    return "a key"


def _signature(data: bytes) -> str:
    key = _keys()[0]
    if verify_detached(key.public, b"what was never signed", data):
        raise Finding("a signature verifies over what was never signed")
    return f"{min(len(signature_issuers(data)), 3)} issuers"


def _signed() -> Iterator[bytes]:
    for key in _keys()[:2]:
        signer = pysequoia.Tsk.from_bytes(key.secret).signer()
        yield bytes(pysequoia.sign(signer, b"text", mode=pysequoia.SignatureMode.DETACHED, armor=False))


def _head(data: bytes) -> str:
    return str(len(issuers([data])[0]))


def _headed() -> bytes:
    (signature, _) = _signed()
    row = b"".join(number.to_bytes(4) for number in (268, 7, 0, len(signature)))
    return (
        bytes(96) + bytes.fromhex("8eade80100000000") + (1).to_bytes(4) + len(signature).to_bytes(4) + row + signature
    )


def _doors(_folder: Path) -> Mapping[str, Door]:
    certificates = [pysequoia.Cert.from_bytes(key.public) for key in _keys()]
    plain = [bytes(certificate) for certificate in certificates]

    def door(read: Callable[[bytes], object], *seeds: bytes, no: tuple[type[BaseException], ...] = ()) -> Door:
        return Door(read=read, refusals=no, mutate=_packets, seeds=seeds)

    armored = [key.public for key in _keys()]
    return {
        "lint": door(_linted, *plain),
        "published": door(_published, *plain, b"".join(armored), _keys()[0].secret, no=(Misconfigured,)),
        "armored": Door(read=_one, refusals=(Misconfigured,), mutate=mutate.text, seeds=armored),
        "certificate": door(_one, *plain, no=(Misconfigured,)),
        "signature": door(_signature, *_signed()),
        "head": Door(read=_head, refusals=(), mutate=mutate.raw, seeds=[_headed()]),
    }


KEYS = of_doors("keys", "OpenPGP certificates and signatures", _doors)
