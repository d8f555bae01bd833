"""The operations of the matrix: where each begins, the command, and what must be there when it is done."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.lab.daemon import Repod
from tests.lab.damage import flip_bit
from tests.lab.keys import Key, make_key
from tests.lab.rpms import nfpm, quick
from tests.lab.seaweed import Seaweed

_OLD = ("old-1.0-1.noarch", "old-1.1-1.noarch", "other-1.0-1.noarch")
_HASH = re.compile(r"[0-9a-f]{64}")

Lists = Mapping[str, Sequence[str]]
"""What each repository lists, by its name."""


class Keys(NamedTuple):
    """The key that signed so far, and the one that takes its place in ``resign``; made a day ago."""

    old: Key
    new: Key


def make_keys() -> Keys:
    """So old that a clock set back an hour does not go before them."""
    back = ("--faked-system-time", "20250101T000000!")
    old, new = (make_key(uid=f"{name} <{name}@example.com>", options=back, lifetime="0") for name in ("Old", "New"))
    return Keys(old, new)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One operation. ``words``: of the command, which ends it too when it is given again.

    ``runs``: how often, since prune lets go of files when another run finds that nothing lists them any more.
    ``after``: what is listed when it is done, where that changes; ``generations``: the numbers then;
    ``ends``: exit statuses of a command that did all. ``prepare`` is done to a copy of the common beginning.
    """

    name: str
    words: Sequence[str]
    after: Lists = field(default_factory=dict)
    generations: Mapping[str, int]
    ends: frozenset[int] = frozenset({0})
    runs: int = 1
    prepare: Callable[["Site", Path], object] = lambda _site, _work: None


def _drop(site: "Site", work: Path) -> None:
    bad = work / "to-break"
    bad.mkdir()
    nfpm(work, "new", "1.0.0")
    site.put(work / "new-1.0.0-1.noarch.rpm")
    flip_bit(quick(bad, "bad"), work / "bad.rpm", -1)
    site.put(work / "bad.rpm")


def _keep_little(site: "Site", _work: Path) -> None:
    site.declare("test", **site.places["test"], retention={"keep": 1, "generations": 1, "grace": "0s"})
    site.write_config()


def _turn_keys(site: "Site", _work: Path) -> None:
    site.configure("signing", key="../new.asc", cosign="../old.asc", window="0s")


WORKS = (
    Work(
        name="intake, publish",
        words=("once",),
        after={"test": ("new-1.0.0-1.noarch", *_OLD)},
        generations={"test": 4, "prod": 1},
        ends=frozenset({0, 3}),
        prepare=_drop,
    ),
    Work(
        name="prune",
        words=("prune", "test"),
        runs=2,
        after={"test": _OLD[1:]},
        generations={"test": 4, "prod": 1},
        prepare=_keep_little,
    ),
    Work(
        name="promote",
        words=("promote", "other", "--from", "test", "--to", "prod"),
        after={"prod": _OLD[2:]},
        generations={"test": 3, "prod": 2},
    ),
    Work(
        name="resign",
        words=("resign", "test"),
        generations={"test": 4, "prod": 1},
        prepare=_turn_keys,
    ),
    Work(
        name="rollback",
        words=("rollback", "test", "--to", "2"),
        after={"test": (_OLD[0], _OLD[2])},
        generations={"test": 4, "prod": 1},
    ),
)
BEFORE: Lists = {"test": _OLD, "prod": ()}
REPOSITORIES = tuple(BEFORE)


class Site(Repod):
    """A ``Repod`` with the repositories test and prod, on disk, or with stores and inboxes in a bucket."""

    def __init__(self, base: Path, place: str = "", s3: Seaweed | None = None) -> None:
        """``place``: ``s3://BUCKET/PREFIX/``, where they lie there."""
        places: dict[str, dict[str, Any]] = {name: {} for name in REPOSITORIES}
        more: dict[str, Any] = {}
        if place:
            for name, own in places.items():
                own |= {"store": f"{place}www/{name}/", "inbox": f"{place}inbox/{name}/"}
            more = {"s3": {"addressing": "path", "timeout": 10, "attempts": 2}}
        self.places = places
        settings = {"inbox": {"settle": 0}, "audit": {"file": "audit.log"}, **more}
        self.place, self.server = place, s3
        super().__init__(base, Path("../old.asc"), places, settings=settings, s3=s3)

    @classmethod
    def at(cls, base: Path, place: str = "", s3: Seaweed | None = None, of: str = "") -> Self:
        """The site that was made elsewhere, in the bucket at ``of``, and copied to ``base`` and ``place``."""
        text = (base / "repod.toml").read_text()
        site = cls(base, place, s3)
        site.config.write_text(text.replace(of, place) if of else text)
        return site

    def store(self, name: str = "test") -> Path:
        """The store of a repository as a directory: itself, or a copy made now."""
        if self.server:
            return self.server.download(f"{self.place}www/{name}/", self.base.parent / "copies" / name)
        return super().store(name)

    def put(self, file: Path) -> None:
        """An arrival for the repository test."""
        if self.server:
            self.server.upload(file.parent, f"{self.place}inbox/test/", [file])
        else:
            (self.inbox() / file.name).write_bytes(file.read_bytes())


def begin(site: Site, work: Path) -> None:
    """Three generations of test, one of prod."""
    for packages in (("old", "1.0"), ("other", "1.0")), (("old", "1.1"),):
        for name, version in packages:
            site.put(quick(work, name, version))
        done = site.cli("once")
        assert done.rc == 0, done


def tree(base: Path) -> Counter[str]:
    """The names of all files below, with what is made of content or chance made equal."""
    names = (path.relative_to(base).as_posix() for path in base.rglob("*") if not path.is_dir())
    return Counter(re.sub(r"epoch-[0-9a-f]+", "epoch", _HASH.sub("*", name)) for name in names)


def part(path: str) -> str:
    """What a file is, for the table."""
    head, _, rest = path.partition("/")
    if head in {"inbox", "rejected"}:
        return {"inbox": "arrival", "rejected": "refused arrival"}[head]
    if head == "state":
        return {"work": "private copy", "cache": "cache", "catalog": "catalog"}.get(rest.split("/")[0], "memory")
    if head != "www":
        return "audit log"
    inside = rest.partition("/")[2]
    return next((name for name, pattern in _PARTS if re.fullmatch(pattern, inside)), "host files")


_PARTS = (
    ("stage", r"\.repod/tmp(/.*)?"),
    ("lock", r"\.repod/lock"),
    ("pointer", r"\.repod(/head\.json)?"),
    ("record", r"\.repod/generations(/.*)?"),
    ("ledger, keys", r"\.repod/.*"),
    ("package", r"Packages.*"),
    ("frozen view", r"generations/\d+/repodata/repomd\.xml.*"),
    ("document", r"(generations/?.*|repodata|(generations/\d+/)?repodata/[0-9a-f]{64}-.*)"),
    ("live view", r"repodata/repomd\.xml(\.asc)?"),
    ("link", r"(metalink\.xml|mirrorlist)?"),
)


def listed(store: Path) -> list[str]:
    """What the records of a repository add up to, each added and removed as such: nothing twice, no gap, no way back.

    ``AssertionError`` where they do not. Time and number of every generation are beyond those before it.
    """
    folder = store / ".repod/generations"
    records = {int(path.stem): json.loads(path.read_bytes()) for path in folder.glob("*.json")}
    now: set[str] = set()
    times: list[int] = []
    assert sorted(records) == list(range(min(records), max(records) + 1))
    for number in sorted(records):
        record = records[number]
        assert record["number"] == number
        times.append(record["time"])
        for change, names in (("removed", record["removed"]), ("added", record["added"])):
            hrefs = {row["href"] for row in names}
            assert len(hrefs) == len(names), f"generation {number} has {change} one twice"
            if min(records) == 1:
                assert hrefs <= now if change == "removed" else not hrefs & now, (number, change, hrefs)
            now = now - hrefs if change == "removed" else now | hrefs
    assert times == sorted(times), f"time goes back: {times}"
    return sorted(now)
