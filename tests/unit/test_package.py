"""NEVRA: written and read back, ranked by rpm's rule, kept apart by identity, made into safe paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repod.package import ARCH, NAME, VERSION, Nevra, sha256, store_path

NEVRAS = st.builds(
    Nevra,
    name=st.from_regex(NAME, fullmatch=True),
    epoch=st.integers(min_value=0, max_value=2**32 - 1),
    version=st.from_regex(VERSION, fullmatch=True),
    release=st.from_regex(VERSION, fullmatch=True),
    arch=st.from_regex(ARCH, fullmatch=True),
)


def nevra(evr: str, name: str = "hello", arch: str = "noarch") -> Nevra:
    return Nevra.parse(f"{name}-{evr}.{arch}")


@given(NEVRAS)
def test_a_nevra_written_out_reads_back_as_itself(one: Nevra) -> None:
    assert Nevra.parse(str(one)) == one


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hello-1.0-7.noarch", ("hello", 0, "1.0", "7", "noarch")),
        ("lib++-devel-2:1.0~rc1^git-0.1.el9_4.x86_64", ("lib++-devel", 2, "1.0~rc1^git", "0.1.el9_4", "x86_64")),
        ("a-0:1-1.src", ("a", 0, "1", "1", "src")),
        ("389-ds-base-1.4-3.el8.i686", ("389-ds-base", 0, "1.4", "3.el8", "i686")),
    ],
)
def test_the_parts_of_a_nevra_are_found_from_its_end(text: str, parts: tuple[str, int, str, str, str]) -> None:
    found = Nevra.parse(text)
    assert (found.name, found.epoch, found.version, found.release, found.arch) == parts


@pytest.mark.parametrize(
    "text", ["", "hello", "hello-1.0", "hello-1.0-1", "hello-1.0.noarch", "-1-1.noarch", "a-:1-1.x"]
)
def test_what_is_no_nevra_is_refused_with_the_form_that_is_expected(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected NAME-\[EPOCH:\]VERSION-RELEASE\.ARCH"):
        Nevra.parse(text)


def test_an_epoch_of_zero_is_not_written() -> None:
    assert str(nevra("0:1.0-1")) == "hello-1.0-1.noarch"
    assert str(nevra("3:1.0-1")) == "hello-3:1.0-1.noarch"


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("1.9-1", "1.10-1"),
        ("2.0-1", "1:1.0-1"),
        ("9:5.0-1", "10:1.0-1"),
        ("1.0~rc1-1", "1.0-1"),
        ("8.0.100~rc.2-0.1", "8.0.100-2"),
        ("1.0-1", "1.0^git1-1"),
        ("1.0^git1-1", "1.0.1-1"),
        ("1.0~rc1-1", "1.0~rc1^git1-1"),
        ("1.0-1", "1.0-1.1"),
        ("1.0-9", "1.0-10"),
        ("1.a-1", "1.1-1"),
        ("1.0-1", "1.0a-1"),
        ("2.1-1", "2.6-1"),
        ("2.6-1", "2.12-1"),
        ("1-1~~", "1-1~"),
    ],
)
def test_builds_rank_by_the_rule_of_rpm(lower: str, higher: str) -> None:
    assert nevra(lower).rank < nevra(higher).rank


@pytest.mark.parametrize(("one", "other"), [("1.0-1", "1+0-1"), ("1.0-1", "1.00-01"), ("1..0-1", "1.0-1")])
def test_builds_of_equal_rank_are_still_different_builds(one: str, other: str) -> None:
    assert nevra(one).rank == nevra(other).rank
    assert nevra(one) != nevra(other)
    assert nevra(one).order != nevra(other).order


@given(NEVRAS, NEVRAS)
def test_the_order_of_documents_is_total(one: Nevra, other: Nevra) -> None:
    assert (one.order == other.order) == (one == other)


def test_the_place_of_a_build_is_made_from_its_header_alone() -> None:
    one = nevra("7:1.0~rc1^x+y-1", name="Lib++")
    assert one.filename == "Lib++-1.0~rc1^x+y-1.noarch.rpm"
    assert one.location == "Packages/l/Lib++-1.0~rc1^x+y-1.noarch.rpm"


@pytest.mark.parametrize("name", ["../../tmp/evil", "a/../b", "a\0b", "a\\b"])
def test_a_name_that_leads_out_of_the_store_has_no_place(name: str) -> None:
    with pytest.raises(ValueError, match="not a path inside a store"):
        _ = Nevra(name=name, epoch=0, version="1", release="1", arch="noarch").location


@pytest.mark.parametrize("text", ["", "/a", "a/", "a//b", ".", "a/./b", "..", "a/../b", "a\0", "a\\b"])
def test_a_path_that_could_leave_the_store_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a path inside a store"):
        store_path(text)


@pytest.mark.parametrize("text", ["a", "Packages/h/x~1^2+3.rpm", ".repod/head.json", "a b/é%2e", "..a/b.."])
def test_any_other_path_is_taken_as_it_is(text: str) -> None:
    assert store_path(text) == text


@pytest.mark.parametrize("text", ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 64 + "\n"])
def test_what_is_no_sha256_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a SHA-256"):
        sha256(text)


def test_a_sha256_is_taken_as_it_is() -> None:
    assert sha256("0a" * 32) == "0a" * 32
