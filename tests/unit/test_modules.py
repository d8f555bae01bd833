"""Module documents are merged by identity, leave with their last package, and keep their texts."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repod.errors import Corrupt
from repod.package import Nevra
from repod.repodata import modules
from tests.lab.advisories import finder, listed


def _build(stream: str, *rpms: str, version: int = 1, note: str = "x", name: str = "hi") -> str:
    artifacts = "".join(f"\n    - {rpm}" for rpm in rpms)
    return (
        f"---\ndocument: modulemd\nversion: 2\ndata:\n  name: {name}\n  stream: {stream}\n  version: {version}\n"
        f"  context: c0ffee\n  arch: x86_64\n  summary: >-\n    {note}\n    --- not a mark\n"
        f"  artifacts:\n    rpms: {artifacts or '[]'}\n...\n"
    )


def _defaults(stream: str) -> str:
    return f"---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: hi\n  stream: '{stream}'\n...\n"


def _obsoletes(modified: str) -> str:
    return (
        "---\ndocument: modulemd-obsoletes\nversion: 1\ndata:\n"
        f"  module: hi\n  stream: 1\n  modified: {modified}\n  message: gone\n...\n"
    )


def _translations(text: str) -> str:
    return f"---\ndocument: modulemd-translations\nversion: 1\ndata:\n  module: hi\n  stream: 1\n  note: {text}\n...\n"


def _stream(*texts: str) -> bytes:
    return "".join(texts).encode()


def _kept(text: str) -> bytes:
    """A document's text as it is kept: without the mark of its end, which the next one's start says too."""
    return text.removesuffix("...\n").encode()


def test_a_new_build_replaces_the_one_with_its_identity_and_all_else_keeps_its_bytes() -> None:
    present = _stream(_build("1", note="old"), _defaults("1"), _build("2"), _obsoletes("2020-01-01T00:00Z"))
    new = _stream(_build("1", note="new"), _build("1", version=2), _defaults("2"), _obsoletes("2021-01-01T00:00Z"))
    merged = modules.merge(present, new)
    expected = (
        _build("1", note="new"),
        _defaults("2"),
        _build("2"),
        _obsoletes("2020-01-01T00:00Z"),
        _build("1", version=2),
        _obsoletes("2021-01-01T00:00Z"),
    )
    assert merged == b"".join(map(_kept, expected))
    assert modules.merge(merged, new) is merged


def test_streams_that_a_number_would_confuse_are_two() -> None:
    merged = modules.merge(_stream(_build("1.1")), _stream(_build("1.10")))
    assert merged.count(b"document: modulemd") == 2


def test_what_is_there_already_changes_not_one_byte_of_the_document() -> None:
    present = b"# head\n" + _stream(_build("1"), _build("2")) + b"# tail\n"
    assert modules.merge(present, _stream(_build("2"))) is present


def test_every_package_is_found_with_all_streams_it_belongs_to() -> None:
    data = _stream(
        _build("1", "a-0:1-1.x86_64", "b-2:1-1.noarch"),
        _build("2", "a-0:1-1.x86_64"),
        _build("2", "a-0:1-1.x86_64", version=2),
        _defaults("1"),
    )
    both = frozenset({("hi", "1"), ("hi", "2")})
    assert modules.artifacts(data) == {
        Nevra.parse("a-1-1.x86_64"): both,
        Nevra.parse("b-2:1-1.noarch"): frozenset({("hi", "1")}),
    }
    assert modules.names(data) == {"a", "b"}


def test_a_build_leaves_with_its_last_listed_package_and_not_before() -> None:
    one = _build("1", "a-0:1-1.x86_64", "b-0:1-1.x86_64", "a-0:1-1.src")
    data = _stream(one, _build("2", "c-0:1-1.x86_64"), _defaults("1"))
    first, second = Nevra.parse("a-1-1.x86_64"), Nevra.parse("b-1-1.x86_64")
    assert modules.follow(data, [first], finder(listed("b-1-1.x86_64"))) is data
    after = modules.follow(data, [second], finder({}))
    assert after == _kept(_build("2", "c-0:1-1.x86_64")) + _kept(_defaults("1"))
    assert modules.follow(after, [first], finder({})) is after


def test_a_build_whose_packages_never_came_and_documents_without_packages_stay() -> None:
    data = _stream(_build("1", "a-0:1-1.x86_64"), _build("2"), _defaults("1"), _translations("x"))
    assert modules.follow(data, [Nevra.parse("z-1-1.x86_64")], finder({})) is data


def test_defaults_stay_though_the_stream_they_name_left() -> None:
    data = _stream(_build("1", "a-0:1-1.x86_64"), _defaults("1"))
    assert modules.follow(data, [Nevra.parse("a-1-1.x86_64")], finder({})) == _kept(_defaults("1"))


def test_the_document_goes_with_its_last_part() -> None:
    data = _stream(_build("1", "a-0:1-1.x86_64"))
    assert modules.follow(data, [Nevra.parse("a-1-1.x86_64")], finder({})) is None


def test_documents_of_an_unknown_form_that_are_there_are_left_alone() -> None:
    odd = "---\ndocument: modulemd-next\nversion: 9\ndata: [1]\n"
    present = _stream(odd, _build("1"))
    assert modules.merge(present, _stream(_defaults("1"))) == odd.encode() + _kept(_build("1")) + _kept(_defaults("1"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "found none"),
        ("# nothing\n---\n...\n", "line 2: "),
        ("just text", "line 1: a document: expected keys"),
        (_build("1") + _build("2").replace("modulemd\n", "modulemd-next\n"), "line 16: expected document: modulemd"),
        (_build("1").replace("version: 2", "version: 3"), "expected modulemd of version 1 or 2, found '3'"),
        (_build("''"), "expected data with name and stream"),
        (_build("[1]"), "stream: expected a text"),
        (_build("1", "a-1"), "not a NEVRA: 'a-1'"),
        (_build("1").replace("rpms: []", "rpms: a"), "expected a list of packages"),
        (_build("1") + _build("1", note="other"), "line 16: modulemd hi 1 1 c0ffee x86_64 stands already in line 1"),
        (_defaults("1").replace("module: hi", "modul: hi"), "expected data with module"),
    ],
)
def test_what_is_no_module_document_is_refused_with_its_line(text: str, reason: str) -> None:
    with pytest.raises(Corrupt, match=r"^modules\.yaml: ") as refused:
        modules.check(text.encode())
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_same_text_twice_in_what_comes_in_counts_once() -> None:
    assert modules.merge(None, _stream(_build("1"), _build("1"))) == _kept(_build("1"))


def _identity(text: str) -> str:
    """What identifies the documents made here: all that stands before the texts that vary."""
    return re.split("summary|stream: '|note", text, maxsplit=1)[0]


_TEXTS = st.lists(
    st.one_of(
        st.builds(_build, st.sampled_from("123"), version=st.integers(1, 2), note=st.sampled_from("xyz")),
        st.builds(_defaults, st.sampled_from("12")),
        st.builds(_translations, st.sampled_from("ab")),
    ),
    min_size=1,
    max_size=6,
    unique_by=_identity,
)


@settings(deadline=None)
@given(_TEXTS, _TEXTS)
def test_merging_twice_is_merging_once_and_keeps_every_text_that_nothing_replaced(
    present: Sequence[str], new: Sequence[str]
) -> None:
    merged = modules.merge(_stream(*present), _stream(*new))
    assert modules.merge(merged, _stream(*new)) is merged
    assert modules.check(merged) is merged
    replaced = {_identity(text) for text in new}
    left = [text for text in present if _identity(text) not in replaced]
    assert merged.count(b"document: ") == len(left) + len(new)
    assert all(_kept(text) in merged for text in (*left, *new))


@settings(deadline=None)
@given(_TEXTS)
def test_documents_of_different_identity_merge_to_the_same_set_in_any_order(texts: Sequence[str]) -> None:
    forth = back = None
    for text in texts:
        forth = modules.merge(forth, text.encode())
    for text in reversed(texts):
        back = modules.merge(back, text.encode())
    assert sorted((forth or b"").split(b"---\n")) == sorted((back or b"").split(b"---\n"))


A, B = Nevra.parse("a-1-1.x86_64"), Nevra.parse("b-1-1.x86_64")


def test_what_makes_packages_modular_elsewhere_is_their_builds_and_what_is_said_of_their_streams() -> None:
    theirs = _stream(
        _build("1", "a-0:1-1.x86_64"),
        _build("2", "b-0:1-1.x86_64"),
        _defaults("1"),
        _translations("t"),
        _obsoletes("2020-01-01T00:00Z"),
    )
    taken = _kept(_build("1", "a-0:1-1.x86_64")) + _kept(_defaults("1"))
    said = _kept(_translations("t")) + _kept(_obsoletes("2020-01-01T00:00Z"))
    assert modules.of(theirs, [A], None) == taken + said
    assert modules.of(theirs, [B], _defaults("9").encode()) == _kept(_build("2", "b-0:1-1.x86_64"))
    assert modules.of(theirs, [Nevra.parse("c-1-1.x86_64")], None) == b""
    assert modules.of(b"", [A], None) == b""


def test_what_is_no_known_document_makes_nothing_modular_elsewhere() -> None:
    strange = "---\ndocument: other\nversion: 1\ndata: {module: hi, stream: 1}\n"
    theirs = _stream(strange, _build("1", "a-0:1-1.x86_64"))
    assert modules.of(theirs, [A], None) == _kept(_build("1", "a-0:1-1.x86_64"))
