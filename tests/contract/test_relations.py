"""What ``Relations`` promises, on packages that were really built and documents that were really published."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from repod.config import Settings, parse
from repod.doors import Change
from repod.errors import Corrupt, Unavailable
from repod.generation import Generation
from repod.package import Entry, Nevra, sha256
from repod.related import Related, open_relations
from repod.relations.pool import RelationWorker
from repod.rpmfile.pool import RpmWorkers
from repod.store.memory import MemoryStore
from tests.lab import foreign
from tests.lab.bounds import temporary
from tests.lab.fakes import Clock
from tests.lab.rpms import quick
from tests.lab.site import Site, site

_SETTINGS = """
state_dir = "state"
[signing]
key = "key.asc"
[[repository]]
name = "prod"
inbox = "inbox/prod"
store = "www/prod"
arches = [{arches}]
[repository.promotion]
bases = [{bases}]
"""


class _Bench:
    """A repository of packages built on the spot, and its relations."""

    def __init__(self, folder: Path, lab: Site, rpms: RpmWorkers, stack: ExitStack) -> None:
        self.folder = folder
        self._lab, self._rpms, self._stack = lab, rpms, stack
        self.publisher = lab.opened()

    def entry(self, name: str, version: str = "1.0", **more: object) -> Entry:
        path = quick(self.folder, name, version, **more)  # type: ignore[arg-type]
        nevra = Nevra(name=name, epoch=0, version=version, release="1", arch=str(more.get("arch", "noarch")))
        return self._rpms.describe(path, None, nevra.location, 1)

    def publish(self, *entries: Entry) -> Generation:
        for entry in entries:
            path = self.folder / entry.package.nevra.filename
            self._lab.inner.add(entry.package.href, [path], entry.package.pkgid)
        return self.publisher.publish(Change(entries=entries), actor="test", why="test")

    def related(
        self, *bases: str, arches: Sequence[str] = ("x86_64", "noarch"), store: MemoryStore | None = None
    ) -> Related:
        settings = self.settings(bases, arches)
        return self._stack.enter_context(
            open_relations(settings, settings.named("prod"), store or self._lab.inner, self.folder, lambda _: None)
        )

    def settings(self, bases: Sequence[str], arches: Sequence[str]) -> Settings:
        quoted = (", ".join(f'"{word}"' for word in words) for words in (arches, bases))
        return parse(_SETTINGS.format(**dict(zip(("arches", "bases"), quoted, strict=True))), self.folder)


@pytest.fixture(scope="module")
def rpms() -> Iterator[RpmWorkers]:
    with closing(RpmWorkers(count=1, timeout=60, bounds=temporary())) as workers:
        yield workers


@pytest.fixture
def bench(tmp_path: Path, rpms: RpmWorkers) -> Iterator[_Bench]:
    with site(tmp_path / "site") as lab, ExitStack() as stack:
        yield _Bench(tmp_path, lab, rpms, stack)


Broken = Callable[..., dict[str, list[str]]]


@pytest.fixture
def broken(bench: _Bench) -> Broken:
    """What stays and would miss something, with what; the packages are published first."""

    def ask(packages: Sequence[Entry], *going: str) -> dict[str, list[str]]:
        generation = bench.publish(*packages)
        found: dict[str, list[str]] = {}
        for need in bench.related().broken(generation, [Nevra.parse(text) for text in going]):
            providers = " ".join(map(str, need.providers))
            found.setdefault(str(need.package), []).append(f"{need.requirement} <- {providers}")
        return found

    return ask


# ---------------------------------------------------------------- what stays and would break


def test_a_package_that_requires_one_version_of_another_needs_that_one(bench: _Bench, broken: Broken) -> None:
    packages = [bench.entry("foo", v, requires=[f"foo-libs = {v}"]) for v in ("1.0", "2.0")]
    packages += [bench.entry("foo-libs", v, provides=[f"foo-libs = {v}"]) for v in ("1.0", "2.0")]
    assert broken(packages, "foo-libs-1.0-1.noarch") == {
        "foo-1.0-1.noarch": ["foo-libs = 1.0 <- foo-libs-1.0-1.noarch"]
    }


def test_what_goes_with_what_it_requires_breaks_nothing(bench: _Bench, broken: Broken) -> None:
    packages = [bench.entry("foo", requires=["foo-libs"]), bench.entry("foo-libs", provides=["foo-libs"])]
    assert broken(packages, "foo-libs-1.0-1.noarch", "foo-1.0-1.noarch") == {}


def test_a_requirement_that_another_build_meets_too_is_not_broken(bench: _Bench, broken: Broken) -> None:
    libs = [bench.entry("libs", v, provides=["libfoo.so.1()(64bit)"]) for v in ("1.0", "1.1")]
    packages = [bench.entry("foo", requires=["libfoo.so.1()(64bit)"]), *libs]
    assert broken(packages, "libs-1.0-1.noarch") == {}
    assert broken(packages, "libs-1.0-1.noarch", "libs-1.1-1.noarch") == {
        "foo-1.0-1.noarch": ["libfoo.so.1()(64bit) <- libs-1.0-1.noarch libs-1.1-1.noarch"]
    }


def test_what_nobody_here_provides_is_the_business_of_other_repositories(bench: _Bench, broken: Broken) -> None:
    packages = [bench.entry("foo", requires=["/bin/sh", "glibc >= 2.34", "rpmlib(X) <= 1"]), bench.entry("bar")]
    assert broken(packages, "bar-1.0-1.noarch") == {}


def test_what_a_package_provides_itself_it_does_not_miss(bench: _Bench, broken: Broken) -> None:
    packages = [
        bench.entry("foo", requires=["config(x)"], provides=["config(x)"]),
        bench.entry("bar", provides=["config(x)"]),
    ]
    assert broken(packages, "bar-1.0-1.noarch") == {}


@pytest.mark.parametrize("path", ["/usr/bin/tool", "/usr/share/deep/down/file"])
def test_a_required_path_is_found_in_primary_and_in_filelists(bench: _Bench, broken: Broken, path: str) -> None:
    packages = [bench.entry("foo", requires=[path]), bench.entry("bar", files={path: b"x"})]
    assert broken(packages, "bar-1.0-1.noarch") == {"foo-1.0-1.noarch": [f"{path} <- bar-1.0-1.noarch"]}


@pytest.mark.parametrize(
    ("requirement", "going", "lost"),
    [
        ("(a or b)", ["a"], False),
        ("(a or b)", ["a", "b"], True),
        ("(a or elsewhere)", ["a"], True),
        ("(a and b)", ["b"], True),
        ("(a and elsewhere)", ["b"], False),
        ("(a if b)", ["b"], False),
        ("(a if b)", ["a"], True),
        ("(a if elsewhere else b)", ["b"], True),
        ("(a unless b)", ["a"], True),
        ("(common with special)", ["a"], True),
        ("(common with special)", ["b"], False),
        ("(common without special)", ["b"], True),
        ("((a and b) or c)", ["b"], False),
        ("((a and b) or c)", ["b", "c"], True),
    ],
)
def test_rich_requirements_are_weighed_by_their_parts(
    bench: _Bench, broken: Broken, requirement: str, going: Sequence[str], lost: bool
) -> None:
    packages = [
        bench.entry("foo", requires=[requirement]),
        bench.entry("a", provides=["a", "common", "special"]),
        bench.entry("b", provides=["b", "common"]),
        bench.entry("c", provides=["c"]),
    ]
    assert bool(broken(packages, *(f"{name}-1.0-1.noarch" for name in going))) is lost


def test_a_package_of_other_machines_meets_nothing(bench: _Bench, broken: Broken) -> None:
    packages = [
        bench.entry("foo", arch="x86_64", requires=["libs"]),
        bench.entry("libs", arch="x86_64", provides=["libs"]),
        bench.entry("libs", arch="aarch64", provides=["libs"]),
        bench.entry("all", requires=["libs"]),
    ]
    assert broken(packages, "libs-1.0-1.x86_64") == {
        "all-1.0-1.noarch": ["libs <- libs-1.0-1.x86_64"],
        "foo-1.0-1.x86_64": ["libs <- libs-1.0-1.x86_64"],
    }
    assert list(broken(packages, "libs-1.0-1.aarch64")) == ["all-1.0-1.noarch"]


def test_each_generation_is_asked_for_itself(bench: _Bench) -> None:
    first = bench.publish(bench.entry("foo", requires=["libs"]), bench.entry("libs", "1.0", provides=["libs"]))
    going = [Nevra.parse("libs-1.0-1.noarch")]
    related = bench.related()
    assert related.broken(first, going)
    assert not related.broken(bench.publish(bench.entry("libs", "2.0", provides=["libs"])), going)
    assert related.broken(first, going)


# ---------------------------------------------------------------- what cannot be installed


def test_what_target_the_others_or_a_base_provide_is_met(bench: _Bench) -> None:
    generation = bench.publish(bench.entry("here", provides=["here"]))
    base = bench.folder / "base"
    base.mkdir()
    quick(base, "base", files={"/usr/bin/base": b"x", "/usr/share/base/deep": b"x"})
    foreign.createrepo(base)
    coming = [
        bench.entry("foo", requires=["here", "other", "/usr/bin/base", "/usr/share/base/deep"]),
        bench.entry("other", provides=["other"]),
    ]
    assert bench.related(str(base)).unmet(generation, coming) == {}
    assert bench.related().unmet(generation, coming) == {
        coming[0].package.nevra: [
            "nothing provides /usr/bin/base needed by foo-1.0-1.noarch",
            "nothing provides /usr/share/base/deep needed by foo-1.0-1.noarch",
        ]
    }


def test_an_older_build_meets_what_the_newest_does_not(bench: _Bench) -> None:
    older = bench.entry("libs", "1.0", provides=["libs = 1.0"])
    generation = bench.publish(older, bench.entry("libs", "2.0", provides=["libs = 2.0"]))
    coming = [bench.entry(name, requires=[what]) for name, what in (("old", "libs = 1.0"), ("new", "libs = 2.0"))]
    coming += [bench.entry("both", requires=["libs = 1.0", "libs = 2.0"])]
    assert [nevra.name for nevra in bench.related().unmet(generation, coming)] == ["both"]


def test_many_that_come_are_all_judged(bench: _Bench) -> None:
    coming = [bench.entry(f"p{number}", requires=["libs"] if number % 50 == 7 else []) for number in range(140)]
    coming += [bench.entry("p0", "2.0"), bench.entry("p1", "2.0", requires=["p0 = 1.0"])]
    unmet = bench.related().unmet(None, coming)
    assert sorted(str(nevra) for nevra in unmet) == [
        "p107-1.0-1.noarch",
        "p57-1.0-1.noarch",
        "p7-1.0-1.noarch",
    ]


def test_what_a_requirement_requires_in_turn_must_be_there_too(bench: _Bench) -> None:
    generation = bench.publish(bench.entry("here", requires=["gone = 2"], provides=["here"]))
    coming = [bench.entry("foo", requires=["here"])]
    assert bench.related().unmet(generation, coming) == {
        coming[0].package.nevra: [
            "package foo-1.0-1.noarch requires here, but none of the providers can be installed",
            "nothing provides gone = 2 needed by here-1.0-1.noarch",
        ]
    }


def test_a_package_for_all_machines_must_install_on_each(bench: _Bench) -> None:
    generation = bench.publish(bench.entry("libs", arch="x86_64", provides=["libs"]))
    coming = [bench.entry("foo", requires=["libs"]), bench.entry("bar", arch="aarch64", requires=["libs"])]
    related = bench.related(arches=["x86_64", "aarch64", "noarch"])
    assert related.unmet(generation, coming) == {
        coming[0].package.nevra: ["nothing provides libs needed by foo-1.0-1.noarch (on aarch64)"],
        coming[1].package.nevra: ["nothing provides libs needed by bar-1.0-1.aarch64 (on aarch64)"],
    }


def test_a_base_may_be_another_repository_of_the_settings(bench: _Bench, tmp_path: Path) -> None:
    coming = [bench.entry("foo", requires=["other"])]
    settings = bench.settings(["prod"], ["noarch"])
    assert settings.named("prod").promotion.bases == ["prod"]
    # Its store is a new directory: nothing is published there, so nothing is met.
    Path(settings.named("prod").store).mkdir(parents=True)
    assert bench.related("prod", arches=["noarch"]).unmet(None, coming) == {
        coming[0].package.nevra: ["nothing provides other needed by foo-1.0-1.noarch"]
    }


# ---------------------------------------------------------------- what goes wrong


def test_a_document_that_was_altered_is_not_believed(bench: _Bench, tmp_path: Path) -> None:
    generation = bench.publish(bench.entry("foo", requires=["bar"]), bench.entry("bar", provides=["bar"]))
    altered = MemoryStore(Clock())
    first, second = (generation.documents[0].href, generation.documents[1].href)
    altered.add(first, [b"other bytes"], sha256(hashlib.sha256(b"other bytes").hexdigest()))
    altered.add(second, [b"other bytes"], sha256(hashlib.sha256(b"other bytes").hexdigest()))
    with pytest.raises(Corrupt):
        bench.related(store=altered).broken(generation, [Nevra.parse("bar-1.0-1.noarch")])


@pytest.mark.parametrize(("task", "how"), [("abort", r"ended twice \(exit -6\)"), ("fill", "has too little")])
def test_a_process_that_dies_or_has_too_little_memory_costs_the_answer_alone(task: str, how: str) -> None:
    with (
        closing(RelationWorker(timeout=60, bounds=temporary(1 << 30))) as worker,
        pytest.raises(Unavailable, match=rf"not found out: its process {how}.*; see \[workers\] memory"),
    ):
        worker._ask(*{"abort": (os.abort,), "fill": (bytearray, 2 << 30)}[task])


def test_a_question_that_takes_too_long_is_given_up() -> None:
    with (
        closing(RelationWorker(timeout=0.05, bounds=temporary())) as worker,
        pytest.raises(Unavailable, match=r"took more than 0.05 s to find out; raise \[workers\] timeout"),
    ):
        worker._ask(time.sleep, 60)
