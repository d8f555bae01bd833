"""What primary says of builds is read the same by the quick way and by the strict parser."""

import createrepo_c
import pytest

from repod.errors import Corrupt
from repod.package import Nevra
from repod.repodata import text
from tests.lab import entries


def primary(nevra: str, *, source: str = "", built: int = 7, summary: str = "") -> bytes:
    """An entry as createrepo_c writes it."""
    package = entries.made(nevra).described
    package.rpm_sourcerpm, package.time_build, package.summary = source, built, summary or package.summary
    return createrepo_c.xml_dump_primary(package).encode()


def test_source_package_and_build_time_are_those_of_the_entry() -> None:
    run = primary("a-1-1.x86_64", source="a-1-1.src.rpm", built=1_600_000_000) + primary("a-1-1.src", built=0)
    assert [(str(one.package.nevra), one.source_rpm, one.time) for one in text.builds(run)] == [
        ("a-1-1.x86_64", "a-1-1.src.rpm", 1_600_000_000),
        ("a-1-1.src", "", 0),
    ]


def test_the_packages_are_those_of_the_strict_parser_whatever_their_texts_hold() -> None:
    run = b"".join(made.entry.primary for made in entries.many(300))
    assert [one.package for one in text.builds(run)] == text.packages(run)


def test_what_is_written_otherwise_than_createrepo_c_does_is_parsed() -> None:
    usual = primary("a-1-1.x86_64", source="a-1-1.src.rpm")
    unusual = usual.replace(b"<rpm:sourcerpm>a-1", b"<rpm:sourcerpm >a-1").replace(b"\n  <arch>", b"\n\n  <arch>")
    assert list(text.builds(unusual)) == list(text.builds(usual))


@pytest.mark.parametrize("summary", ["<rpm:sourcerpm>x.src.rpm</rpm:sourcerpm>", '<time file="1" build="1"/>'])
def test_text_that_looks_like_a_tag_is_only_text(summary: str) -> None:
    (one,) = text.builds(primary("a-1-1.x86_64", source="a-1-1.src.rpm", summary=summary))
    assert (one.source_rpm, one.time) == ("a-1-1.src.rpm", 7)


def test_a_character_that_xml_escapes_is_read_back() -> None:
    (one,) = text.builds(primary("a-1-1.x86_64", source="a&b-1-1.src.rpm"))
    assert one.source_rpm == "a&b-1-1.src.rpm"
    assert one.package.nevra == Nevra.parse("a-1-1.x86_64")


@pytest.mark.parametrize("written", ["(none)", "none", ""])
def test_what_names_no_source_package_is_none_and_joins_no_builds(written: str) -> None:
    usual = primary("a-1-1.x86_64", source=written)
    for run in (usual, usual.replace(b"\n  <arch>", b"\n\n  <arch>")):
        (one,) = text.builds(run)
        assert one.source_rpm == ""


def test_an_entry_that_is_cut_short_is_corrupt() -> None:
    with pytest.raises(Corrupt, match="ends inside an entry"):
        list(text.builds(primary("a-1-1.x86_64")[:-20]))
