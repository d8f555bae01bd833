"""Asks libsolv; runs in a process of its own, since it is a native library that reads strangers' texts."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import Any

import solv

from repod.doors import Need
from repod.errors import Corrupt
from repod.package import Nevra
from repod.relating import Plain
from repod.relations.rich import Rich, parse

_AT_ONCE = 64  # packages in one question, so that each is answered in time
_INTEL_32 = ("i386", "i486", "i586", "i686")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """``paths`` are files that something requires and that only filelists could tell of: ask again with those.

    ``following``: where the next question has to begin; None where all is answered.
    """

    paths: Sequence[str] = ()
    needs: Sequence[Need] = ()
    unmet: Mapping[Nevra, Sequence[str]] = field(default_factory=dict)
    following: int | None = None


def broken(listing: Plain, going: Collection[Nevra]) -> Asked:
    """See ``Relations.broken``."""
    pool = _pool((listing,), "")
    return _Break(pool, {str(nevra) for nevra in going}).asked(filelists=listing.filelists is not None)


def unmet(repositories: Sequence[Plain], coming: Plain, host: str, start: int) -> Asked:
    """See ``Relations.unmet``, for machines of arch ``host``; some packages at a time, those from ``start`` on.

    What can be installed together can be installed one by one, and what can with the newest builds of
    the others can with all: so packages are tried together with those, in halves where that fails, and
    what is left alone with all. What nobody provides at all needs no try.
    """
    pool = _pool((coming, *repositories), host)
    packages = _in_layers(pool)
    reasons: dict[Nevra, Sequence[str]] = {}
    paths: set[str] = set()
    left = []
    for package in packages[start : start + _AT_ONCE]:
        lacking = _lacking(pool, package)
        if lacking:
            reasons[_nevra(package)] = [f"nothing provides {text} needed by {package}" for text in lacking]
            paths |= {text for text in lacking if _only_in_filelists(text)}
        else:
            left.append(package)
    with _newest_alone(pool):
        doubtful = list(_failed(pool, left))
    for package in doubtful:
        texts, missing = _problems(pool, [package])
        if texts:
            reasons[_nevra(package)] = texts
            paths |= missing
    whole = all(one.filelists for one in (coming, *repositories))
    end = start + _AT_ONCE
    return Asked(paths=() if whole else sorted(paths), unmet=reasons, following=end if end < len(packages) else None)


@lru_cache(maxsize=1)
def _in_layers(pool: Any) -> Sequence[Any]:
    """What comes and hosts can have, so that builds of one name, which exclude each other, stand far apart."""
    seen: dict[tuple[str, str], int] = {}
    placed = []
    for package in _of_first(pool):
        if package.arch != "src" and package.installable():
            key = package.name, package.arch
            seen[key] = seen.get(key, 0) + 1
            placed.append((seen[key], package))
    return [package for _, package in sorted(placed, key=lambda one: one[0])]


def _lacking(pool: Any, package: Any) -> list[str]:
    """What a package requires, and nobody provides; rich requirements are left to the solver."""
    required = package.lookup_idarray(solv.SOLVABLE_REQUIRES)
    texts = [pool.dep2str(one) for one in required if one != solv.SOLVABLE_PREREQMARKER and not pool.whatprovides(one)]
    return [text for text in texts if not text.startswith("(")]


def _failed(pool: Any, packages: Sequence[Any]) -> Iterator[Any]:
    """Those of ``packages`` that cannot be installed on an empty host."""
    if not packages or not _problems(pool, packages)[0]:
        return
    if len(packages) == 1:
        yield packages[0]
        return
    middle = len(packages) // 2
    yield from _failed(pool, packages[:middle])
    yield from _failed(pool, packages[middle:])


@contextmanager
def _newest_alone(pool: Any) -> Iterator[None]:
    """Let the solver see the newest build of each name and arch alone, and all that come."""
    newest: dict[tuple[int, int], Any] = {}
    for package in pool.solvables:
        key = package.nameid, package.archid
        if key not in newest or package.evrcmp(newest[key]) > 0:
            newest[key] = package
    pool.set_considered_list(sorted({package.id for package in (*newest.values(), *_of_first(pool))}))
    pool.createwhatprovides()
    try:
        yield
    finally:
        pool.set_disabled_list([])
        pool.createwhatprovides()


def hosts(arches: Sequence[str]) -> list[str]:
    """The machines that a repository of ``arches`` is for."""
    machines = [arch for arch in arches if arch not in {"noarch", "src", "nosrc"}]
    if "x86_64" in machines:
        machines = [arch for arch in machines if arch not in _INTEL_32]
    return machines or ["x86_64"]


@lru_cache(maxsize=1)
def _pool(repositories: tuple[Plain, ...], host: str) -> Any:
    """All packages of ``repositories``, for machines of arch ``host`` (empty: any); the last one is kept."""
    # Two would not fit where one just does.
    _in_layers.cache_clear()
    _pool.cache_clear()
    pool = solv.Pool()
    pool.setdisttype(solv.Pool.DISTTYPE_RPM)
    if host:
        pool.setarch(host)
    for one in repositories:
        repository = pool.add_repo(one.name)
        _read(repository, str(one.primary), 0)
        if one.filelists:
            _read(repository, str(one.filelists), solv.Repo.REPO_EXTEND_SOLVABLES)
    pool.addfileprovides()
    pool.createwhatprovides()
    return pool


def _of_first(pool: Any) -> list[Any]:
    """The packages of the repository that was added first."""
    return list(next(iter(pool.repos_iter())).solvables)


def _read(repository: Any, path: str, flags: int) -> None:
    file = solv.xfopen(path)
    if file is None:
        msg = f"{path}: cannot be opened"
        raise Corrupt(msg)
    try:
        if not repository.add_rpmmd(file, None, flags):
            msg = f"{repository.name}: libsolv cannot read its documents: {repository.pool.errstr}"
            raise Corrupt(msg)
    finally:
        file.close()


def _nevra(package: Any) -> Nevra:
    return Nevra.parse(str(package))


def _only_in_filelists(path: str) -> bool:
    """Whether a path is none of those that primary names too (createrepo_c's rule)."""
    in_primary = path.startswith("/etc/") or "bin/" in path or path == "/usr/lib/sendmail"
    return path.startswith("/") and not in_primary


def _problems(pool: Any, packages: Sequence[Any]) -> tuple[list[str], set[str]]:
    """Why packages cannot be installed together on an empty host, and the paths that nobody has."""
    solver = pool.Solver()
    solver.set_flag(solv.Solver.SOLVER_FLAG_IGNORE_RECOMMENDED, 1)
    jobs = [pool.Job(solv.Job.SOLVER_SOLVABLE | solv.Job.SOLVER_INSTALL, package.id) for package in packages]
    texts: dict[str, None] = {}
    paths = set()
    for info in _infos(solver.solve(jobs)):
        texts[info.problemstr()] = None
        if info.type == solv.Solver.SOLVER_RULE_PKG_NOTHING_PROVIDES_DEP and _only_in_filelists(str(info.dep)):
            paths.add(str(info.dep))
    return list(texts), paths


def _infos(problems: Sequence[Any]) -> Iterator[Any]:
    for problem in problems:
        for rule in problem.findallproblemrules():
            for info in rule.allinfos():
                if info.type != solv.Solver.SOLVER_RULE_JOB:
                    yield info


class _State(IntEnum):
    """What becomes of a requirement: the packages that stay meet it, nobody here ever did, or only those that go."""

    HELD = 0
    UNKNOWN = 1
    LOST = 2


_Verdict = tuple[_State, frozenset[int]]


class _Break:
    """What packages that stay miss of those that go.

    A package asks the packages of its own machines; one for all machines must find what it needs on each.
    """

    def __init__(self, pool: Any, going: Collection[str]) -> None:
        self._pool = pool
        self._packages = _of_first(pool)
        self._machine = {package.id: _machine(package.arch) for package in self._packages}
        self._machines = sorted(set(self._machine.values()) - {"noarch", "src"}) or ["noarch"]
        self._going = {package.id for package in self._packages if str(package) in going}
        self._paths: set[str] = set()

    def asked(self, *, filelists: bool) -> Asked:
        """Every need; ``filelists``: they were read."""
        verdicts: dict[tuple[int, str], _Verdict] = {}
        needs = []
        for package in self._packages:
            machine = self._machine[package.id]
            # What a source package requires is for building it.
            if package.id in self._going or machine == "src":
                continue
            for dependency in package.lookup_idarray(solv.SOLVABLE_REQUIRES):
                key = dependency, machine
                verdict = verdicts.get(key)
                if verdict is None:
                    verdict = verdicts[key] = self._verdict(dependency, machine)
                if verdict[0] is _State.LOST:
                    needs.append(self._need(package, dependency, verdict[1]))
        needs.sort(key=lambda need: (need.package.order, need.requirement))
        return Asked(paths=() if filelists else sorted(self._paths), needs=needs)

    def _need(self, package: Any, dependency: int, providers: frozenset[int]) -> Need:
        found = sorted((_nevra(self._pool.id2solvable(one)) for one in providers), key=lambda nevra: nevra.order)
        return Need(package=_nevra(package), requirement=self._pool.dep2str(dependency), providers=found)

    def _verdict(self, dependency: int, machine: str) -> _Verdict:
        if dependency == solv.SOLVABLE_PREREQMARKER:
            return _State.HELD, frozenset()
        text = self._pool.dep2str(dependency)
        part = parse(text)
        machines = self._machines if machine == "noarch" else [machine]
        return _worst([self._of(part, dependency if part == text else None, each) for each in machines])

    def _of(self, part: Rich | str, dependency: int | None, machine: str) -> _Verdict:
        if isinstance(part, str):
            return self._simple(dependency or self._pool.parserpmrichdep(f"({part})").id, part, machine)
        verdicts = [self._of(one, None, machine) for one in part.parts]
        if not part.all and any(state is _State.HELD for state, _ in verdicts):
            return _State.HELD, frozenset()
        return _worst(verdicts)

    def _simple(self, dependency: int, text: str, machine: str) -> _Verdict:
        found = (package.id for package in self._pool.whatprovides(dependency))
        providers = frozenset(one for one in found if self._machine[one] in {machine, "noarch"})
        if not providers:
            if _only_in_filelists(text):
                self._paths.add(text)
            return _State.UNKNOWN, providers
        return (_State.LOST, providers) if providers <= self._going else (_State.HELD, providers)


def _worst(verdicts: Sequence[_Verdict]) -> _Verdict:
    """The worst state, and all that go of what any of them loses."""
    lost = [providers for state, providers in verdicts if state is _State.LOST]
    return max(state for state, _ in verdicts), frozenset[int]().union(*lost)


def _machine(arch: str) -> str:
    """The machines a package is for: a 32-bit one may meet what a 64-bit one requires, as rpm sees it."""
    return "x86_64" if arch in _INTEL_32 or arch.startswith("x86_64") else arch.replace("nosrc", "src")
