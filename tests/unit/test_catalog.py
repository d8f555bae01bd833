"""The catalog: what a search finds, in which order, page by page, and what becomes of a file that is lost."""

import random
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from hashlib import sha256 as digest
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repod.catalog.sqlite import SqliteCatalog
from repod.errors import Corrupt, Misconfigured, NotFound, Unavailable
from repod.listings import Coming, Difference, Listed, Standing
from repod.office import Row, Search
from repod.package import Nevra, Package, sha256

_WORDS = ("lib", "Json", "tool", "épée", "100%", "a_b", "c\\d", "x", "[y]", "server")
_HERE = Standing(generation=7, checksum="c" * 64)


def listed(name: str = "hello", version: str = "1.0", arch: str = "noarch", **more: object) -> Listed:
    fields: dict[str, object] = {"release": "1", "epoch": 0, "summary": "A lab package", "built": 1_700_000_000} | more
    nevra = Nevra(
        name=name, epoch=int(str(fields["epoch"])), version=version, release=str(fields["release"]), arch=arch
    )
    pkgid = sha256(digest(str(nevra).encode()).hexdigest())
    package = Package(nevra=nevra, pkgid=pkgid, size=10, href=nevra.location)
    return Listed(package=package, summary=str(fields["summary"]), built=int(str(fields["built"])))


def filled(path: Path, packages: Iterable[Listed], comings: Iterable[Coming] = ()) -> SqliteCatalog:
    catalog = SqliteCatalog(path / "catalog" / "r.sqlite")
    catalog.fill(_HERE, [list(comings)], [list(packages)])
    return catalog


def found(catalog: SqliteCatalog, **wanted: object) -> list[str]:
    """Everything that is found, over as many pages as it takes."""
    search = Search(**{"limit": 3} | wanted)  # type: ignore[arg-type]
    rows: list[Row] = []
    while True:
        page = catalog.search(search)
        rows += page.rows
        if not page.next:
            assert page.total == len(rows)
            return [row.package for row in rows]
        search = replace(search, after=page.next)


def many(seed: int, count: int = 60) -> tuple[Sequence[Listed], Sequence[Coming]]:
    dice = random.Random(seed)
    packages = {}
    for _ in range(count):
        one = listed(
            "-".join(dice.choices(("lib", "Json", "tool", "x"), k=2)),
            dice.choice(("1.0", "1.10", "1.9", "2.0~rc1", "2.0")),
            dice.choice(("noarch", "x86_64")),
            epoch=dice.choice((0, 0, 1)),
            summary=" ".join(dice.choices(_WORDS, k=3)),
            built=dice.randrange(5),
        )
        packages[one.package.nevra] = one
    comings = [(one.package.pkgid, dice.randrange(1, 4), 1000) for one in packages.values() if dice.random() < 0.8]
    return list(packages.values()), comings


def test_a_text_is_found_anywhere_in_name_or_summary_whatever_its_case_and_means_itself(tmp_path: Path) -> None:
    packages, comings = many(1)
    catalog = filled(tmp_path, packages, comings)
    for word in (*_WORDS, "LIB", "ÉPÉE", "%", "_", "\\", "0%", "b c", "nothing"):
        expected = {
            str(one.package.nevra)
            for one in packages
            if word.casefold() in f"{one.package.nevra.name}\n{one.summary}".casefold()
        }
        assert set(found(catalog, text=word)) == expected, word


def test_newest_is_by_the_generation_that_listed_it_first_then_by_the_time_it_was_built(tmp_path: Path) -> None:
    packages, comings = many(2)
    came = {pkgid: generation for pkgid, generation, _ in comings}
    ordered = sorted(packages, key=lambda one: (-came.get(one.package.pkgid, 0), -one.built, str(one.package.nevra)))
    assert found(filled(tmp_path, packages, comings)) == [str(one.package.nevra) for one in ordered]


def test_by_name_the_newest_build_by_the_rule_of_rpm_comes_first(tmp_path: Path) -> None:
    packages, comings = many(3)
    by_text = sorted(packages, key=lambda one: str(one.package.nevra))
    by_rank = sorted(by_text, key=lambda one: one.package.nevra.rank, reverse=True)
    # A reverse sort keeps equals in their order, so what ranks equal is by its text.
    expected = [str(one.package.nevra) for one in sorted(by_rank, key=lambda one: one.package.nevra.name)]
    catalog = filled(tmp_path, packages, comings)
    assert found(catalog, order="name") == expected
    name = packages[0].package.nevra.name
    assert [row.package for row in catalog.builds_of(name)] == [
        text
        for text in expected
        if text.startswith(f"{name}-") and catalog.package(Nevra.parse(text)).nevra.name == name
    ]


_NEVRAS = ("a-1-1.A", "ab-1.1-1.A", "a+b-2:1-1.A", "A_b-1~1-1.A", "b.A-1^1-1.A")


@pytest.fixture(scope="module")
def patterned(tmp_path_factory: pytest.TempPathFactory) -> SqliteCatalog:
    builds = map(Nevra.parse, _NEVRAS)
    return filled(
        tmp_path_factory.mktemp("patterned"),
        [listed(one.name, one.version, one.arch, release=one.release, epoch=one.epoch) for one in builds],
    )


@settings(max_examples=300, deadline=None)
@given(pattern=st.text(alphabet="abA1.-_*?[]!^~+:\\é", min_size=1, max_size=12))
def test_a_pattern_means_what_it_means_to_a_shell(patterned: SqliteCatalog, pattern: str) -> None:
    rows = patterned.search(Search(nevra=pattern, order="name")).rows
    assert {row.package for row in rows} == {text for text in _NEVRAS if fnmatchcase(text, pattern)}


def test_a_build_is_found_by_its_nevra_with_an_epoch_of_0_written_or_not(tmp_path: Path) -> None:
    catalog = filled(tmp_path, [listed(), listed(version="2", epoch=3)])
    assert found(catalog, nevra="hello-0:1.0-1.noarch") == found(catalog, nevra="hello-1.0-1.noarch")
    assert found(catalog, nevra="hello-3:2-1.noarch") == ["hello-3:2-1.noarch"]
    assert found(catalog, nevra="hello-2-1.noarch") == []


def test_name_arch_text_and_pattern_narrow_each_other_down(tmp_path: Path) -> None:
    packages, comings = many(4)
    catalog = filled(tmp_path, packages, comings)
    expected = {
        str(one.package.nevra)
        for one in packages
        if one.package.nevra.name == "lib-x"
        and one.package.nevra.arch == "noarch"
        and "tool" in one.summary
        and fnmatchcase(str(one.package.nevra), "*-1.*")
    }
    assert set(found(catalog, name="lib-x", arch="noarch", text="TOOL", nevra="*-1.*")) == expected


@pytest.mark.parametrize("order", ["newest", "name"])
def test_pages_go_on_where_they_were_while_builds_come_and_go(tmp_path: Path, order: str) -> None:
    packages, comings = many(5)
    catalog = filled(tmp_path, packages, comings)
    whole = found(catalog, order=order)
    search = Search(order=order, limit=20)  # type: ignore[arg-type]
    first = catalog.search(search)
    by_nevra = {str(one.package.nevra): one.package for one in packages}
    gone, stays = by_nevra[whole[3]], by_nevra[whole[25]]
    fresh = listed("zzz-new" if order == "name" else "new")
    difference = Difference(
        removed=[gone, stays],
        added=[fresh, listed("Aaa")],
        comings=[(fresh.package.pkgid, 9, 1), (listed("Aaa").package.pkgid, 9, 1)],
        packages=len(packages),
    )
    assert catalog.change(_HERE, Standing(generation=8, checksum="d" * 64), difference)
    page = catalog.search(replace(search, after=first.next, limit=100))
    rest = [row.package for row in page.rows]
    assert page.total == len(packages)
    assert [text for text in rest if text != str(fresh.package.nevra)] == whole[20:25] + whole[26:]


@pytest.mark.parametrize(
    "after", ["x", "bnVsbA", "W10", "?", "é", "WyJuYW1lIiwxLDIsM10", "WyJuZXdlc3QiLDEsLTEsIngiXQ", "[" * 9]
)
def test_an_after_that_is_no_next_of_a_page_is_refused_in_one_line(tmp_path: Path, after: str) -> None:
    with pytest.raises(Misconfigured, match=r"\Aafter: expected the next of a page in the order 'newest', found .*\Z"):
        filled(tmp_path, [listed()]).search(Search(after=after))


def test_the_next_of_one_order_is_none_of_the_other(tmp_path: Path) -> None:
    catalog = filled(tmp_path, many(6)[0])
    after = catalog.search(Search(limit=1)).next
    with pytest.raises(Misconfigured):
        catalog.search(Search(after=after, order="name"))


def test_names_show_their_newest_build_by_the_rule_of_rpm_and_what_came_last_is_first(tmp_path: Path) -> None:
    packages = [
        listed("old", built=1),
        listed("hello", "1.9", built=9),
        listed("hello", "1.10", "x86_64", built=5),
        listed("hello", "1.10", "aarch64", built=5),
        listed("fresh", built=2),
    ]
    catalog = filled(tmp_path, packages, [(packages[4].package.pkgid, 6, 100), (packages[1].package.pkgid, 7, 101)])
    names = catalog.names(2)
    assert [one.newest.package for one in names.rows] == ["fresh-1.0-1.noarch", "hello-1.10-1.aarch64"]
    assert [(one.builds, list(one.arches)) for one in names.rows] == [
        (1, ["noarch"]),
        (3, ["aarch64", "noarch", "x86_64"]),
    ]
    assert (names.total, names.packages, names.generation) == (3, 5, 7)
    assert catalog.arches() == {"aarch64": 1, "noarch": 3, "x86_64": 1}


@pytest.mark.parametrize("seed", range(8))
def test_a_catalog_that_was_changed_is_as_one_that_was_filled(tmp_path: Path, seed: int) -> None:
    packages, comings = many(seed)
    dice = random.Random(seed)
    before, after = (
        [one for one in packages if dice.random() < 0.7],
        [one for one in packages if dice.random() < 0.7],
    )
    changed = filled(tmp_path / "changed", before, comings)
    there = Standing(generation=8, checksum="d" * 64)
    difference = Difference(
        removed=[one.package for one in before if one not in after],
        added=[one for one in after if one not in before],
        comings=[],
        packages=len(after),
    )
    assert changed.change(_HERE, there, difference)
    fresh = SqliteCatalog(tmp_path / "fresh.sqlite")
    fresh.fill(there, [comings], [after])
    for order in ("newest", "name"):
        assert found(changed, order=order) == found(fresh, order=order)
    assert changed.names(100) == fresh.names(100)
    assert changed.standing() == fresh.standing() == there


def test_a_change_that_does_not_add_up_or_starts_elsewhere_changes_nothing(tmp_path: Path) -> None:
    catalog = filled(tmp_path, [listed()])
    there = Standing(generation=8, checksum="d" * 64)
    other = listed("other")
    assert not catalog.change(_HERE, there, Difference(removed=[], added=[other], comings=[], packages=3))
    assert not catalog.change(_HERE, there, Difference(removed=[], added=[listed()], comings=[], packages=2))
    assert not catalog.change(there, there, Difference(removed=[], added=[other], comings=[], packages=2))
    assert found(catalog) == ["hello-1.0-1.noarch"]
    assert catalog.standing() == _HERE


def test_what_lists_a_package_twice_is_refused_and_the_catalog_stays(tmp_path: Path) -> None:
    catalog = filled(tmp_path, [listed()])
    with pytest.raises(Corrupt, match="lists a package twice"):
        catalog.fill(Standing(generation=8, checksum="d" * 64), [], [[listed("x"), listed("x")]])
    assert found(catalog) == ["hello-1.0-1.noarch"]


def test_nothing_is_found_in_a_catalog_that_was_never_filled_and_it_asks_to_be(tmp_path: Path) -> None:
    catalog = SqliteCatalog(tmp_path / "none.sqlite")
    assert not catalog.lost
    assert catalog.standing() is None
    with pytest.raises(Unavailable, match="not read yet"):
        catalog.search(Search())
    assert catalog.lost
    assert list(tmp_path.iterdir()) == []


def _older(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE package")
        connection.execute("PRAGMA user_version = 999")
    connection.close()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def _filled_with_noise(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(20000))


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _removed(path: Path) -> None:
    path.unlink()


def _torn(path: Path) -> None:
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:4096] + random.Random(2).randbytes(size - 4096))


@pytest.mark.parametrize("damage", [_older, _cut, _filled_with_noise, _emptied, _removed, _torn])
def test_a_file_that_is_lost_damaged_or_of_another_version_is_made_anew(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "catalog" / "r.sqlite"
    filled(tmp_path, many(7)[0]).close()
    assert callable(damage)
    damage(path)
    catalog = SqliteCatalog(path)
    with pytest.raises(Unavailable):
        catalog.search(Search(text="x"))
    assert catalog.lost
    assert catalog.standing() is None
    catalog.fill(_HERE, [], [[listed()]])
    assert not catalog.lost
    assert found(catalog) == ["hello-1.0-1.noarch"]


def test_a_file_that_is_removed_under_a_reader_is_missed_by_its_next_question(tmp_path: Path) -> None:
    catalog = filled(tmp_path, [listed()])
    assert found(catalog)
    for path in (tmp_path / "catalog").iterdir():
        path.unlink()
    with pytest.raises(Unavailable):
        catalog.search(Search())
    filled(tmp_path, [listed("other")])
    assert found(catalog) == ["other-1.0-1.noarch"]


def test_who_reads_sees_what_was_there_while_another_fills_it_and_only_one_fills(tmp_path: Path) -> None:
    catalog = filled(tmp_path, [listed()])
    other = SqliteCatalog(tmp_path / "catalog" / "r.sqlite")

    def batches() -> Iterable[Sequence[Listed]]:
        yield [listed("new")]
        assert found(catalog) == ["hello-1.0-1.noarch"]
        with pytest.raises(Unavailable, match="written by another process"):
            other.fill(_HERE, [], [])

    catalog.fill(Standing(generation=8, checksum="d" * 64), [], batches())
    assert found(other) == ["new-1.0-1.noarch"]


def test_a_fill_that_is_given_up_leaves_what_was_there(tmp_path: Path) -> None:
    catalog = filled(tmp_path, [listed()])

    def batches() -> Iterable[Sequence[Listed]]:
        yield [listed("new")]
        msg = "repod ends"
        raise Unavailable(msg)

    with pytest.raises(Unavailable, match="repod ends"):
        catalog.fill(Standing(generation=8, checksum="d" * 64), [], batches())
    assert found(catalog) == ["hello-1.0-1.noarch"]


def test_a_package_that_is_not_listed_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no package other-1-1\.noarch is listed"):
        filled(tmp_path, [listed()]).package(Nevra.parse("other-1-1.noarch"))
