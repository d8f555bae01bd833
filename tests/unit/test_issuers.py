"""Who signed a package, read from the first bytes of its file."""

import random
from pathlib import Path

import pytest
import rpm_rs

from repod.package import Sha256
from repod.rpmfile.issuers import issuers
from repod.rpmhead import signature_end
from repod.signing.seen import SeenFile
from tests.lab import rpms
from tests.lab.keys import Key, add_subkey, export, generate, gnupghome, make_key


@pytest.fixture(scope="module")
def keys() -> list[Key]:
    return [make_key(), make_key("ed25519")]


def _head(package: Path) -> bytes:
    data = package.read_bytes()
    end = signature_end(data)
    assert end is not None
    return data[:end]


def test_the_signature_header_alone_names_every_issuer(keys: list[Key], tmp_path: Path) -> None:
    for fmt in (4, 6):
        for key in keys:
            package = rpms.quick(tmp_path, fmt=fmt)
            rpm_rs.Package.resign_in_place(str(package), rpm_rs.Signer(key.secret))
            assert issuers([_head(package)]) == [[key.fingerprint]]


def test_a_subkey_is_named_as_itself(tmp_path: Path) -> None:
    with gnupghome() as home:
        primary = generate(home, usage="cert")
        subkey = add_subkey(home, primary)
        secret = export(home, primary).secret
    package = rpms.quick(tmp_path)
    rpm_rs.Package.resign_in_place(str(package), rpm_rs.Signer(secret))
    assert issuers([_head(package)]) == [[subkey]]


def test_what_is_not_signed_or_cannot_be_read_names_nobody(keys: list[Key], tmp_path: Path) -> None:
    unsigned, signed = rpms.nfpm(tmp_path, "hello", "1.0.0"), rpms.quick(tmp_path)
    rpm_rs.Package.resign_in_place(str(signed), rpm_rs.Signer(keys[0].secret))
    head = _head(signed)
    assert issuers([_head(unsigned), b"", b"nonsense", head[:200]]) == [[], [], [], []]


def test_damaged_headers_never_raise(keys: list[Key], tmp_path: Path) -> None:
    package = rpms.quick(tmp_path)
    rpm_rs.Package.resign_in_place(str(package), rpm_rs.Signer(keys[0].secret))
    head, draw = _head(package), random.Random(7)
    for _ in range(500):
        damaged = bytearray(head[: draw.randrange(len(head))])
        for _ in range(draw.randrange(1, 9)):
            if damaged:
                damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        assert len(issuers([bytes(damaged)])) == 1


def test_what_was_seen_is_remembered_and_a_file_that_cannot_be_used_is_no_fault(tmp_path: Path) -> None:
    file = SeenFile(tmp_path / "deep/seen.json")
    known = {Sha256("1" * 64): frozenset({"A"}), Sha256("2" * 64): frozenset[str](), Sha256("3" * 64): frozenset({"A"})}
    assert file.load() == {}
    file.save(known)
    assert file.load() == known
    (tmp_path / "deep/seen.json").write_text('{"half": ')
    assert file.load() == {}
    SeenFile(tmp_path / "deep/seen.json/below").save(known)
