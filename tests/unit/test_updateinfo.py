"""Advisories are merged by id, know the packages they speak of, and lose nothing that nobody touched."""

import random
import re
from pathlib import Path

import createrepo_c
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repod.errors import Corrupt, NotFound
from repod.package import Nevra
from repod.repodata import updateinfo
from tests.lab.advisories import finder, listed, namer, pkgid, update, updates

_NOTHING = finder({})


def _ids(data: bytes | None) -> list[str]:
    return [row.id for row in updateinfo.rows(data)] if data else []


def _sums(data: bytes | None) -> list[str]:
    return re.findall(r"<sum[^>]*>([^<]*)</sum>", data.decode()) if data else []


def test_an_advisory_that_arrives_takes_the_place_of_the_one_with_its_id_as_a_whole() -> None:
    present = updates(update("A", "a-1-1.noarch"), update("B", "b-1-1.noarch"))
    merged = updateinfo.merge(present, updates(update("C", "c-1-1.noarch"), update("A", "z-9-1.noarch")), _NOTHING)
    assert _ids(merged) == ["A", "B", "C"]
    assert b"z-9-1" in merged
    assert b"a-1-1" not in merged
    assert update("B", "b-1-1.noarch").encode() in merged


def test_the_first_advisory_makes_the_document_and_createrepo_c_reads_it(tmp_path: Path) -> None:
    merged = updateinfo.merge(None, updates(update("A", "a-2:1-1.noarch")), finder(listed("a-2:1-1.noarch")))
    path = tmp_path / "updateinfo.xml"
    path.write_bytes(merged)
    (record,) = createrepo_c.UpdateInfo(str(path)).updates
    (package,) = record.collections[0].packages
    assert (record.id, record.title.strip()) == ("A", "T <A>")
    assert (package.name, package.epoch, package.sum) == ("a", "2", pkgid("a-2:1-1.noarch"))


def test_packages_that_are_listed_get_their_sum_and_others_lose_what_they_came_with() -> None:
    wrong = "f" * 64
    data = updates(update("A", "a-1-1.noarch", "b-1-1.noarch", sums={"a-1-1.noarch": wrong, "b-1-1.noarch": wrong}))
    assert _sums(updateinfo.merge(None, data, finder(listed("a-1-1.noarch")))) == [pkgid("a-1-1.noarch")]


def test_a_sum_of_another_kind_gives_way_to_the_pkgid() -> None:
    data = updates(update("A", "a-1-1.noarch", sums={"a-1-1.noarch": "d" * 32})).replace(b'"sha256"', b'"md5"')
    filled = updateinfo.fill(data, finder(listed("a-1-1.noarch")))
    assert b'<sum type="sha256">' in filled
    assert b"md5" not in filled
    assert _sums(filled) == [pkgid("a-1-1.noarch")]


def test_a_file_name_that_came_percent_encoded_is_made_raw() -> None:
    data = updates(update("A", "lib++-1^b-1.noarch")).replace(
        b"lib++-1^b-1.noarch.rpm", b"lib%2B%2B-1%5Eb-1.noarch.rpm"
    )
    merged = updateinfo.merge(None, data, _NOTHING)
    assert b"<filename>lib++-1^b-1.noarch.rpm</filename>" in merged
    assert updateinfo.merge(merged, data, _NOTHING) is merged


def test_removal_takes_the_named_ones_and_the_document_with_the_last() -> None:
    present = updates(update("A"), update("B"), update("C"))
    left = updateinfo.remove(present, ["A", "C"])
    assert _ids(left) == ["B"]
    assert updateinfo.remove(left, ["B"]) is None
    with pytest.raises(NotFound, match="no advisory X, Y in this repository"):
        updateinfo.remove(present, ["Y", "A", "X"])
    with pytest.raises(NotFound):
        updateinfo.remove(None, ["A"])


def test_a_package_that_comes_later_or_comes_back_with_other_bytes_fills_its_references() -> None:
    early = updateinfo.merge(None, updates(update("A", "a-1-1.noarch"), update("B", "b-1-1.noarch")), _NOTHING)
    assert _sums(early) == []
    for salt in (0, 1):
        content = listed("a-1-1.noarch", salt=salt)
        early = updateinfo.follow(early, content, [], namer(content)) or b""
        assert _sums(early) == [pkgid("a-1-1.noarch", salt)]
        assert update("B", "b-1-1.noarch").encode() in early


_TWO = updates(update("A", "a-2-1.noarch", "b-2-1.noarch"), update("B", "a-2-1.noarch"))


@pytest.mark.parametrize(
    ("left", "kept"),
    [
        (["a-3-1.noarch"], True),
        (["a-1:0-1.noarch"], True),
        (["a-2+0-1.noarch"], True),  # another build that rpm ranks equal
        (["a-1-1.noarch"], False),
        (["a-3-1.x86_64"], False),
        (["aa-3-1.noarch"], False),
        ([], False),
    ],
)
def test_a_pruned_build_stays_named_while_another_of_its_name_and_arch_ranks_as_high(
    left: list[str], kept: bool
) -> None:
    filled = updateinfo.fill(_TWO, finder(listed("a-2-1.noarch", "b-2-1.noarch")))
    content = listed("b-2-1.noarch", *left)
    after = updateinfo.follow(filled, [], [Nevra.parse("a-2-1.noarch")], namer(content))
    assert after is not None
    assert _sums(after) == [pkgid("b-2-1.noarch")]
    assert _ids(after) == (["A", "B"] if kept else ["A"])
    assert after.count(b'name="a"') == (2 if kept else 0)


def test_a_reference_kept_for_a_newer_build_goes_when_that_leaves_and_none_is_left() -> None:
    content = listed("a-3-1.noarch")
    kept = updateinfo.follow(updates(update("B", "a-2-1.noarch")), [], [Nevra.parse("a-2-1.noarch")], namer(content))
    assert kept is not None
    assert updateinfo.follow(kept, [], [Nevra.parse("a-3-1.noarch")], namer({})) is None


def test_a_reference_to_what_never_came_waits_for_it_though_older_builds_leave() -> None:
    early = updates(update("A", "a-5-1.noarch"))
    assert updateinfo.follow(early, [], [Nevra.parse("a-4-1.noarch")], namer({})) is early


def test_an_advisory_that_never_named_a_package_stays() -> None:
    data = updates(update("A"), update("B", "a-1-1.noarch"))
    after = updateinfo.follow(data, [], [Nevra.parse("a-1-1.noarch")], namer({}))
    assert _ids(after) == ["A"]
    assert update("A").encode() in (after or b"")


def test_an_empty_collection_goes_and_others_with_their_packages_stay() -> None:
    second = (
        '<collection><module name="m"/><package name="z" version="1" release="1" arch="noarch"/></collection></pkglist>'
    )
    data = updates(update("A", "a-1-1.noarch").replace("</pkglist>", second))
    after = updateinfo.follow(data, [], [Nevra.parse("a-1-1.noarch")], namer({})) or b""
    assert after.count(b"<collection>") == 1
    assert b'<module name="m"/>' in after


def test_rows_say_what_a_table_shows() -> None:
    (row,) = updateinfo.rows(updates(update("A", "a-1-1.noarch", "b-1-1.noarch")))
    assert row == updateinfo.Row(
        id="A", type="security", severity="Low", title="T <A>", issued="2026-01-02 00:00:00", packages=2
    )


def test_names_finds_every_package_however_its_tag_is_written() -> None:
    data = updates(
        update("A", "a-1-1.noarch").replace(' name="a"', "\n epoch='>' name = 'a&#43;b'"), update("B", "b-1-1.noarch")
    )
    assert updateinfo.names(data) == {"a+b", "b"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (updates("<update><title/></update>"), "expected an <id>"),
        (updates("<update><id>a b</id></update>"), "found 'a b'"),
        (updates(update("A"), update("A")), "advisory A stands already in line 3"),
        (updates("<advisory/>"), "expected <update>, found <advisory>"),
        (updates("<update><id>a</id><update><id>b</id></update></update>"), "nested"),
        (updates(update("A", "a-1-1.noarch").replace('version="1"', "")), "advisory A: expected a package with name"),
        (updates(update("A", "a-1-1.noarch").replace('epoch="0"', 'epoch="x"')), "a number as epoch"),
        (b"<updates><update><id>a</id></updates>", "not sound XML"),
        (b"<comps/>", "expected <updates>, found <comps>"),
        (b'<!DOCTYPE updates SYSTEM "<updates ><update/>"><updates><update/></updates>', "expected an <id>"),
        (b"<updates/>", "found none"),
        (updates(update("A")).replace(b"<updates>\n", b'<updates xmlns:x="u">\n'), "declares namespaces"),
        (
            updates(update("A")).replace(b"<updates>\n", b'<updates xmlns="u">\n'),
            "expected <updates>, found <{u}updates>",
        ),
    ],
)
def test_what_cannot_be_merged_is_refused_with_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Corrupt, match=r"^updateinfo\.xml: ") as refused:
        updateinfo.check_merge(data)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_document_whose_prefixes_its_root_declares_is_followed_all_the_same() -> None:
    data = updates(update("A", "a-1-1.noarch", more="<x:odd/>")).replace(b"<updates>\n", b'<updates xmlns:x="u">\n')
    assert updateinfo.check(data) is data
    content = listed("a-1-1.noarch")
    after = updateinfo.follow(data, content, [], namer(content)) or b""
    assert _sums(after) == [pkgid("a-1-1.noarch")]
    assert updateinfo.check(after) is after


_KEYS = st.sampled_from("ABCDE")
_NEVRAS = st.sampled_from([f"{name}-{version}-1.noarch" for name in "abc" for version in (1, 2, 3)])
_ADVISORIES = st.dictionaries(_KEYS, st.lists(_NEVRAS, unique=True, max_size=4), min_size=1)
_CONTENT = st.sets(_NEVRAS)


def _document(advisories: dict[str, list[str]]) -> bytes:
    return updates(*(update(key, *nevras) for key, nevras in advisories.items()))


@settings(deadline=None)
@given(_ADVISORIES, _ADVISORIES, _CONTENT)
def test_merging_twice_is_merging_once_and_others_keep_their_bytes(
    present: dict[str, list[str]], new: dict[str, list[str]], content: set[str]
) -> None:
    find = finder(listed(*content))
    before, data = _document(present), _document(new)
    merged = updateinfo.merge(before, data, find)
    assert updateinfo.merge(merged, data, find) is merged
    assert set(_ids(merged)) == present.keys() | new.keys()
    for key in present.keys() - new.keys():
        assert update(key, *present[key]).encode() in merged
    assert updateinfo.check(merged) is merged


_RECORD = re.compile(rb"<update .*?</update>(?=\n)", re.DOTALL)


def _records(data: bytes) -> list[bytes]:
    return sorted(_RECORD.findall(data))


@settings(deadline=None)
@given(_ADVISORIES, _ADVISORIES, _CONTENT)
def test_merges_of_different_ids_give_the_same_advisories_in_any_order(
    one: dict[str, list[str]], two: dict[str, list[str]], content: set[str]
) -> None:
    find = finder(listed(*content))
    first, second = _document(one), _document({f"{key}2": nevras for key, nevras in two.items()})
    forth = updateinfo.merge(updateinfo.merge(None, first, find), second, find)
    back = updateinfo.merge(updateinfo.merge(None, second, find), first, find)
    assert _records(forth) == _records(back)


@settings(deadline=None)
@given(_ADVISORIES, _CONTENT, _CONTENT)
def test_after_any_change_every_sum_is_right_and_every_reference_is_covered_or_was_never_there(
    advisories: dict[str, list[str]], before: set[str], after: set[str]
) -> None:
    old, new = listed(*before), listed(*after)
    data = updateinfo.merge(None, _document(advisories), finder(old))
    added, removed = new.keys() - old.keys(), old.keys() - new.keys()
    moved = updateinfo.follow(data, added, removed, namer(new))
    assert sorted(_sums(moved)) == sorted(
        pkgid(nevra) for nevras in advisories.values() for nevra in nevras if nevra in after
    )
    for nevras in advisories.values():
        for nevra in map(Nevra.parse, nevras):
            alike = [other.rank for other in new if (other.name, other.arch) == (nevra.name, nevra.arch)]
            gone = [other.rank for other in removed if (other.name, other.arch) == (nevra.name, nevra.arch)]
            named = f'name="{nevra.name}" epoch="0" version="{nevra.version}"'.encode()
            stays = max(alike, default=b"") >= nevra.rank or max(gone, default=b"") < nevra.rank
            assert (named in (moved or b"")) is stays
    if moved is not None:
        assert updateinfo.follow(moved, added, removed, namer(new)) is moved


def test_what_no_advisory_speaks_of_leaves_the_very_same_bytes() -> None:
    data = updates(*(update(f"A{n}", f"a{n}-1-1.noarch") for n in range(20)))
    change = listed("other-1-1.noarch")
    assert updateinfo.follow(data, change, list(change), namer(change)) is data
    assert not updateinfo.names(data) & {"other"}


def test_the_order_of_what_came_and_went_does_not_matter() -> None:
    content = listed("a-3-1.noarch", "b-2-1.noarch")
    gone = [Nevra.parse(f"{name}-{version}-1.noarch") for name in "ab" for version in (1, 2)]
    data = updates(*(update(str(nevra), str(nevra)) for nevra in gone))
    results = set()
    for seed in range(5):
        random.Random(seed).shuffle(gone)
        results.add(updateinfo.follow(data, list(content), gone, namer(content)))
    assert len(results) == 1


def test_single_advisories_are_taken_with_their_texts_and_all_say_what_they_speak_of() -> None:
    taken = updateinfo.only(_TWO, ["B"])
    assert _ids(taken) == ["B"]
    assert update("B", "a-2-1.noarch").encode() in taken
    assert updateinfo.only(_TWO, ["A", "B"]) == _TWO
    assert updateinfo.references(_TWO) == {
        "A": {Nevra.parse("a-2-1.noarch"), Nevra.parse("b-2-1.noarch")},
        "B": {Nevra.parse("a-2-1.noarch")},
    }
