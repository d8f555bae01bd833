"""Profiles: what hosts can read is told with its reason, and the README shows the same."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from repod.profiles import PROFILES, Answer, Profile, Verdict
from tests.lab.profiletable import table

_README = Path(__file__).parents[2] / "README.md"
_YUM = ["el7", "amzn2"]
_DNF_4_AND_5 = ["el8", "el9", "el10", "fedora"]
_MODERN = [*_DNF_4_AND_5, "sles15"]
_KINDS = ["primary", "filelists", "other", "group", "modules", "updateinfo", "productid", "anything"]


def _verdicts() -> Iterator[tuple[str, Verdict]]:
    for profile in PROFILES.values():
        for field in fields(Profile):
            value = getattr(profile, field.name)
            if isinstance(value, Verdict):
                yield f"{profile.name}.{field.name}", value


def test_the_readme_shows_the_table_as_it_is() -> None:
    chapter = _README.read_text().partition("### Profiles\n")[2].partition("\n### ")[0]
    assert table() in chapter, "put what tests.lab.profiletable.table() gives into README.md, chapter Profiles"


@pytest.mark.parametrize(("name", "verdict"), list(_verdicts()))
def test_every_answer_has_a_reason_of_one_line_and_says_where_it_is_from(name: str, verdict: Verdict) -> None:
    for text in (verdict.why, verdict.source):
        assert text, name
        assert text == text.strip().rstrip("."), name
        assert "\n" not in text, name
    assert verdict.answer is Answer.YES or not verdict.since, name


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("compression", ["gz", "zstd"])
@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())
def test_each_record_has_one_form_and_never_one_that_hosts_cannot_read(
    profile: Profile, compression: str, kind: str
) -> None:
    """C124: one format per record type that all readers know."""
    if profile.compression_fault(compression):
        return  # no settings ask for it
    suffix = profile.form(kind, compression)
    assert suffix in {"", "gz", "zst"}
    if suffix == "zst":
        assert profile.zstd_metadata.answer is Answer.YES
        assert compression == "zstd"
    if kind == "group" and suffix:
        assert profile.packed_groups.answer is Answer.YES


@pytest.mark.parametrize("name", _YUM)
def test_c061_yum_gets_gzip_and_plain_groups(name: str) -> None:
    forms = {kind: PROFILES[name].form(kind, "gz") for kind in _KINDS}
    assert forms.pop("group") == ""
    assert set(forms.values()) == {"gz"}
    assert "yum stops at it" in PROFILES[name].compression_fault("zstd")


@pytest.mark.parametrize("name", _MODERN)
def test_zstd_is_for_records_whose_readers_are_known_and_any_other_is_gzip(name: str) -> None:
    forms = {kind: PROFILES[name].form(kind, "zstd") for kind in _KINDS}
    assert {kind for kind, form in forms.items() if form == "gz"} == {"productid", "anything"}
    assert set(forms.values()) == {"gz", "zst"}
    assert {PROFILES[name].form(kind, "gz") for kind in _KINDS} == {"gz"}


@pytest.mark.parametrize("name", PROFILES)
def test_gzip_is_read_by_all(name: str) -> None:
    assert PROFILES[name].compression_fault("gz") == ""


@pytest.mark.parametrize(
    ("name", "compressor", "rpm_format", "said"),
    [
        ("el7", "zstd", 4, ["its payload is zstd, and profile el7 says rpm 4.11 cannot unpack it; use gzip or xz"]),
        ("amzn2", "zstd", 4, ["its payload is zstd, and profile amzn2 says rpm 4.11 cannot unpack it; use gzip or xz"]),
        ("el9", "xz", 6, ["it is in rpm's format 6, and profile el9 says rpm 4 sees no signature on it"]),
        ("el7", "zstd", 6, ["its payload is zstd", "it is in rpm's format 6, and profile el7 says rpm 4.11 cannot"]),
        *((name, "zstd", 4, []) for name in _MODERN),
        *((name, kind, 4, []) for name in PROFILES for kind in ("gzip", "xz", "bzip2", "lzma")),
        ("el10", "zstd", 6, []),
        ("fedora", "zstd", 6, []),
    ],
)
def test_packages_that_hosts_cannot_install_are_refused_with_the_reason(
    name: str, compressor: str, rpm_format: int, said: list[str]
) -> None:
    faults = list(PROFILES[name].package_faults(compressor, rpm_format))
    assert len(faults) == len(said)
    assert all(fault.startswith(start) for fault, start in zip(faults, said, strict=True)), faults


@pytest.mark.parametrize("name", PROFILES)
def test_an_rsa_key_that_signs_itself_is_taken_by_all(name: str) -> None:
    assert list(PROFILES[name].key_faults("rsa4096", subkey=False)) == []
    assert list(PROFILES[name].key_doubts("rsa4096")) == []


@pytest.mark.parametrize("name", _YUM)
def test_yum_hosts_take_neither_ed25519_nor_a_subkey(name: str) -> None:
    assert list(PROFILES[name].key_faults("ed25519", subkey=True)) == [
        "the signing key is ed25519, and rpm 4.11 cannot verify it; use an RSA key",
        "a subkey signs, and rpm 4.11 knows the primary key only; use a key whose primary key may sign",
    ]
    assert list(PROFILES[name].key_doubts("ed25519")) == []


@pytest.mark.parametrize("name", _MODERN)
def test_what_was_not_found_about_ed25519_is_a_doubt_and_no_fault(name: str) -> None:
    assert list(PROFILES[name].key_faults("ed25519", subkey=True)) == []
    assert len(list(PROFILES[name].key_doubts("ed25519"))) == (name in {"el8", "sles15"})
