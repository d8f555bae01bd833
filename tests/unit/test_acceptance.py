"""Acceptance: every fault has its code, its text names the remedy, and all come at once."""

from dataclasses import replace

import pytest

from repod.acceptance import Rules, conflict, judge, too_large
from repod.package import REASONS, Facts, Fault, Nevra, Package, Signature, sha256

OURS, THEIRS = "A" * 40, "B" * 40
RULES = Rules(arches=["x86_64", "noarch"])
SOUND = Facts(
    nevra=Nevra.parse("hello-1.0-1.noarch"),
    size=1000,
    header_sha256=sha256("1" * 64),
    payload_sha256=sha256("2" * 64),
    source_rpm="hello-1.0-1.src.rpm",
    payload_compressor="gzip",
    signatures=(),
    signers=(),
    file_digest="sha256",
    faults=(),
    signable=b"",
)
SIGNED = replace(SOUND, signatures=(Signature(key=THEIRS[-16:], hash_algorithm="SHA256"),))


def build(**parts: object) -> Facts:
    return replace(SOUND, nevra=replace(SOUND.nevra, **parts))


def faulty(code: str) -> Facts:
    return replace(SOUND, faults=(Fault(code=code, text=f"something about {code}"),))


def test_a_sound_package_has_no_fault() -> None:
    assert judge(SOUND, RULES) == []


@pytest.mark.parametrize(
    ("facts", "rules", "code", "says"),
    [
        (faulty("digest"), RULES, "digest", "something about digest"),
        (faulty("text"), RULES, "text", "something about text"),
        (faulty("path"), RULES, "path", "something about path"),
        (faulty("unverifiable"), RULES, "unverifiable", "something about unverifiable"),
        (build(name="../../evil"), RULES, "name", "expected letters, digits"),
        (build(name=""), RULES, "name", "name '' is not one"),
        (build(name=".hidden"), RULES, "name", "expected letters, digits"),
        (build(name="naïve"), RULES, "name", "expected letters, digits"),
        (build(name="a b"), RULES, "name", "expected letters, digits"),
        (build(name="x" * 300), RULES, "name", "at most 255"),
        (build(version="1.2.3~a-b"), RULES, "version", "version '1.2.3~a-b' is not one"),
        (build(version=""), RULES, "version", "no hyphen"),
        (build(release="1/2"), RULES, "version", "release '1/2' is not one"),
        (build(release="1:2"), RULES, "version", "release '1:2' is not one"),
        (build(epoch=1 << 31), RULES, "version", "epoch 2147483648; expected at most 2147483647"),
        (replace(SOUND, unheld=("requires (a if: why",)), RULES, "version", "it requires (a if: why"),
        (build(arch="aarch64"), RULES, "arch", "expected one of x86_64, noarch"),
        (build(arch="src"), RULES, "source", "add 'src' to arches"),
        (build(arch="a/b"), Rules(arches=["a/b"]), "arch", "is not one"),
        (SOUND, Rules(arches=["noarch"], names=["lib*", "x"]), "name", r"expected one of lib*, x"),
        (SOUND, Rules(arches=["noarch"], names=["HELLO"]), "name", "expected one of HELLO"),
        (SOUND, Rules(arches=["noarch"], max_size=999), "size", "1000 bytes; expected at most 999"),
        (SOUND, Rules(arches=["noarch"], signed_by=[OURS]), "unsigned", f"expected a signature by {OURS}"),
        (SIGNED, Rules(arches=["noarch"], signed_by=[OURS]), "signer", "(not verified)"),
        (replace(SIGNED, signers=(THEIRS,)), Rules(arches=["noarch"], signed_by=[OURS]), "signer", THEIRS),
        (replace(SOUND, file_digest="md5"), Rules(arches=["noarch"], file_digest="sha256"), "file-digest", "md5"),
        (replace(SOUND, payload_compressor="zstd"), Rules(arches=["noarch"], profile="el7"), "profile", "profile el7"),
        (replace(SOUND, rpm_format=6), Rules(arches=["noarch"], profile="el9"), "profile", "profile el9"),
        (replace(SOUND, file_digest="sha1"), Rules(arches=["noarch"], file_digest="sha256"), "file-digest", "sha1"),
    ],
)
def test_each_fault_has_its_code_and_says_what_was_expected(facts: Facts, rules: Rules, code: str, says: str) -> None:
    (fault,) = judge(facts, rules)
    assert fault.code == code
    assert says in fault.text
    assert code in REASONS


@pytest.mark.parametrize(
    ("facts", "rules"),
    [
        (build(arch="src"), Rules(arches=["src"])),
        (SOUND, Rules(arches=["noarch"], names=["lib*", "hel?o"])),
        (SOUND, Rules(arches=["noarch"], max_size=1000)),
        (replace(SIGNED, signers=(THEIRS, OURS)), Rules(arches=["noarch"], signed_by=[OURS])),
        (SIGNED, RULES),
        (replace(SOUND, file_digest=""), Rules(arches=["noarch"], file_digest="sha256")),
        (replace(SOUND, file_digest="sha512"), Rules(arches=["noarch"], file_digest="sha256")),
        (replace(SOUND, file_digest="md5"), RULES),
        (replace(SOUND, payload_compressor="zstd"), Rules(arches=["noarch"], profile="el9")),
        (replace(SOUND, payload_compressor="xz"), Rules(arches=["noarch"], profile="el7")),
        (replace(SOUND, rpm_format=6, payload_compressor="zstd"), Rules(arches=["noarch"], profile="fedora")),
        (build(name="x++_.-9", version="1~rc^2+3_4.5", release="0.1"), RULES),
    ],
)
def test_what_the_rules_allow_is_let_in(facts: Facts, rules: Rules) -> None:
    assert judge(facts, rules) == []


def test_all_faults_come_at_once() -> None:
    facts = replace(
        SOUND,
        nevra=Nevra(name="a/b", epoch=0, version="1-2", release="", arch="ppc"),
        faults=(Fault(code="digest", text="d"), Fault(code="text", text="t")),
        file_digest="md5",
    )
    rules = Rules(arches=["noarch"], names=["x*"], signed_by=[OURS], max_size=1, file_digest="sha256")
    codes = [fault.code for fault in judge(facts, rules)]
    assert codes == [
        "digest", "text", "name", "version", "version", "arch", "name", "size", "file-digest", "unsigned",
    ]  # fmt: skip


def test_a_long_text_from_a_header_is_shown_in_part() -> None:
    long = "/" * 5000
    faults = judge(build(name=long, version=long, release=long, arch=long), Rules(arches=["noarch"], names=["x"]))
    assert len(faults) == 7
    assert all(len(fault.text) < 400 for fault in faults)


@pytest.mark.parametrize(("size", "refused"), [(0, False), (100, False), (101, True)])
def test_a_file_may_be_as_large_as_the_limit_and_no_larger(size: int, refused: bool) -> None:
    assert bool(too_large(size, Rules(arches=["noarch"], max_size=100))) == refused


def test_a_conflict_names_both_checksums_and_the_way_out() -> None:
    published = Package(nevra=SOUND.nevra, pkgid=sha256("3" * 64), size=1, href=SOUND.nevra.location)
    fault = conflict(SOUND, sha256("4" * 64), published)
    assert fault.code == "conflict"
    assert "3" * 64 in fault.text
    assert "4" * 64 in fault.text
    assert "higher release" in fault.text
