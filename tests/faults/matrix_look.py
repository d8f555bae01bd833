"""What must hold after a fault, and at the end: by the independent checker, by every view, and by dnf."""

import json
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from repod.doors import Store
from repod.errors import NotFound
from tests.faults.matrix_work import BEFORE, REPOSITORIES, Keys, Site, Work, listed, tree
from tests.lab import validity
from tests.lab.checker import check
from tests.lab.clients import Dnf
from tests.lab.looks import is_torn, names
from tests.lab.signatures import index_issuers, listed_issuers

_UNLISTED = re.compile(r"(^|/)(Packages|repodata)/[^/]*")


class _Read(NamedTuple):
    data: bytes


class _Found(NamedTuple):
    path: str


class _Folder:
    """A store as ``validity`` reads it: a directory, and nothing of repod's."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> _Read:
        """See ``Store.read``."""
        try:
            return _Read((self._root / path).read_bytes())
        except FileNotFoundError as error:
            raise NotFound(path) from error

    def list(self, prefix: str) -> Iterator[_Found]:
        """See ``Store.list``."""
        paths = (path.relative_to(self._root).as_posix() for path in self._root.rglob("*") if path.is_file())
        return (_Found(path) for path in sorted(paths) if path.startswith(prefix))


class Look(NamedTuple):
    """A repository as it was seen: the NEVRAs of its live view, and whether a client sees that torn."""

    store: Path
    listed: Sequence[str]
    torn: bool
    numbers: Sequence[int]  # of pointer, live view, mirrorlist, metalink


def look(site: Site, name: str, keys: Keys, before: Sequence[int] = (0, 0, 0, 0)) -> Look:
    """A repository, sound in every view, with nothing that went back behind ``before``; or ``AssertionError``."""
    store = site.store(name)
    seen = cast("Store", _Folder(store))
    validity.listed(seen)
    validity.frozen(seen)
    numbers = [validity.pointer(seen), validity.revision(seen), *validity.pointed(seen)]
    assert all(new >= old for new, old in zip(numbers, before, strict=True)), f"{before} became {numbers}"
    assert max(numbers) == numbers[0], f"ahead of the pointer: {numbers}"
    listed(store)
    report = check(store, keys.new.public + b"\n" + keys.old.public)
    torn = bool(report.faults) and is_torn(store)
    wrong = [fault for fault in report.faults if not (torn and fault.startswith("repomd.xml.asc is no good"))]
    assert wrong == [], wrong
    return Look(store, sorted(report.packages), torn, numbers)


def assert_old_or_new(work: Work, looks: Sequence[Look], *, done: bool, more: int = 0) -> None:
    """Each repository lists what it did before or what it is to list, and the latter where a command said ``done``."""
    for name, seen in zip(REPOSITORIES, looks, strict=True):
        new = sorted(work.after.get(name, BEFORE[name]))
        allowed = [new] if done else [new, sorted(BEFORE[name])]
        assert list(seen.listed) in allowed, f"{name} lists {seen.listed}"
        if done:
            due = work.generations[name] + (more if name == REPOSITORIES[0] else 0)
            assert seen.numbers == [due] * 4, f"{name}: {seen.numbers}, and it was said to be done"


def dnf_reads(seen: Look, root: Path, *, frozen: bool) -> None:
    """dnf lists what it should and installs all of it, index and packages proven with the published key.

    By the live view or by the frozen one that mirrorlist names; where the first is torn, by the second.
    """
    number = seen.numbers[2] if frozen or seen.torn else 0
    view = posixpath.join(seen.store, f"generations/{number}") if number else str(seen.store)
    keys = [*seen.store.glob("RPM-GPG-KEY-*")]
    repo = (
        f"[lab]\nname=lab\nbaseurl=file://{view}\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\n"
        f"gpgkey={' '.join(f'file://{key}' for key in keys)}\n"
    )
    with Dnf(root, repo) as host:
        found = host.available()
        if not number:
            assert found == list(seen.listed)
        if found:
            done = host.install("*")
            newest = {one.split("-1.")[0]: one for one in found}
            assert (done.rc, host.installed()) == (0, sorted(newest.values())), done.out


def assert_finished(
    site: Site, work: Work, keys: Keys, looks: Sequence[Look], clean: Counter[str] | None, *, wrong_clock: bool = False
) -> None:
    """All is done, once, and nothing lies about that a run without a fault would not leave (``clean``).

    None: it took two runs, and one generation more. ``wrong_clock``: what was signed before the clock went back
    may have been made again, beside what was there; files that no generation lists are left to prune.
    """
    assert_old_or_new(work, looks, done=True, more=0 if clean is not None else 1)
    assert not any(seen.torn for seen in looks)
    for name, seen in zip(REPOSITORIES, looks, strict=True):
        if work.name == "resign" and name == "test":
            assert listed_issuers(seen.store) == {keys.new.fingerprint}
            assert set(index_issuers(seen.store)) == {key.fingerprint for key in keys}
    if work.name.startswith("intake"):
        reason = json.loads(refused(site)["bad.rpm.reason.json"])
        assert [fault["code"] for fault in reason["faults"]] == ["digest"]
    for folder in ("state/work", *(f"www/{name}/.repod/tmp" for name in REPOSITORIES)):
        assert names(site.base / folder) == [], folder
    found = tree(site.base) + bucket(site)
    if clean is not None:
        assert not clean - found, f"missing: {dict(clean - found)}"
        more = {
            name: number for name, number in (found - clean).items() if not (wrong_clock and _UNLISTED.search(name))
        }
        assert not more, f"too many: {more}"


def refused(site: Site) -> dict[str, bytes]:
    """The refused arrivals and their reasons."""
    folder = site.rejected()
    if site.server:
        folder = site.server.download(f"{site.place}inbox/test/rejected/", site.base.parent / "refused")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def bucket(site: Site) -> Counter[str]:
    """The names of all objects of a site, but for what a stopped trial of the bucket left: that goes an hour later."""
    if not site.server:
        return Counter()
    found = tree(site.server.download(site.place, site.base.parent / "bucket"))
    return Counter({name: number for name, number in found.items() if "/.repod/proof/" not in name})
