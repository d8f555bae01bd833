"""Damaged files all the way from the inbox: none is published as anything but the build that was made.

Each file ends rejected with a reason, or is left as incomplete, or, where the damage lies in
bytes that no digest covers, is published with the header and the payload of the original.
"""

import json
import os
import random
import shutil
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from repod.commands.common import looped
from repod.config import load
from repod.metrics import Metrics
from repod.package import REASONS
from repod.service import Looped
from tests.lab import damage, headers, processes
from tests.lab.checker import assert_sound
from tests.lab.clients import rpmkeys_check
from tests.lab.daemon import Repod
from tests.lab.keys import Key
from tests.lab.looks import names
from tests.lab.rpmbuild import rpmbuild
from tests.lab.rpms import nfpm, quick
from tests.lab.wait import until

_SEED = 20261125
_FLIPS = 2000
_CUTS = 200
_MEMORY = 512 << 20


class _Events:
    """A log that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.events.append({"event": event, **fields})

    warning = error = info


class Desk:
    """A repository taken care of in this process, through the real workers, turn by turn."""

    def __init__(self, base: Path, key_file: Path, **inbox: float) -> None:
        # Servers of other tests, as that of S3, are no business of this one.
        self._others = processes.children(os.getpid())
        settings = {
            "inbox": {"settle": 0, "incomplete_after": 0, **inbox},
            "workers": {"count": 2, "memory": _MEMORY},
        }
        self.repod = Repod(base, key_file, settings=settings)
        self.log = _Events()
        self.service: Looped = looped(load(self.repod.config), self.log, Metrics("0"))
        (self._loop,) = self.service.loops
        self._loop.open()
        self.peak = 0

    def drain(self) -> None:
        """Turns until nothing that is ready is left."""
        while self._loop.once().more:
            pass
        started = processes.children(os.getpid()) - self._others
        self.peak = max([self.peak, *map(_peak, started)])

    def rejected(self) -> dict[str, list[str]]:
        """Name of each rejected file with the codes of its faults; every file has a reason and every reason a file."""
        folder = self.repod.rejected()
        held = set(names(folder))
        reasons = {name for name in held if name.endswith(".reason.json")}
        assert {f"{name}.reason.json" for name in held - reasons} == reasons
        codes = {}
        for name in held - reasons:
            said = json.loads((folder / f"{name}.reason.json").read_bytes())
            assert all(fault["text"] for fault in said["faults"])
            codes[name] = [fault["code"] for fault in said["faults"]]
            assert codes[name]
            assert set(codes[name]) <= set(REASONS)
        return codes

    def publish_good(self, name: str) -> None:
        """A good package that comes after all of them is live."""
        quick(self.repod.inbox(), name)
        self.drain()
        assert self.log.events[-1]["event"] == "published"
        assert (self.repod.store() / f"Packages/{name[0]}/{name}-1.0-1.noarch.rpm").exists()


def _peak(pid: int) -> int:
    """The most memory that a process ever held, in bytes; 0 where it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM")), 0)


@pytest.fixture
def desk(tmp_path: Path, key_file: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path, key_file)
    yield desk
    desk.service.close()


def _main(package: Path, start: int) -> bytes:
    """Header and payload: the build."""
    return package.read_bytes()[start:]


def test_a_flipped_bit_is_rejected_or_changes_nothing_of_the_build(desk: Desk, key: Key, tmp_path: Path) -> None:
    moments = random.Random(_SEED)
    print(f"seed {_SEED}")
    built = tmp_path / "built"
    built.mkdir()
    originals: dict[str, Path] = {}
    for number in range(_FLIPS):
        # Reserved space is most of a small package and no digest covers it: half of them have none.
        package = quick(built, f"flip-{number:04}", fmt=4 + 2 * (number % 3 == 0), reserved=number % 2 * 1000)
        originals[package.name] = package
        offset, bit = moments.randrange(package.stat().st_size), moments.randrange(8)
        damage.flip_bit(package, desk.repod.inbox() / package.name, offset, bit)
    desk.drain()
    assert names(desk.repod.inbox()) == []
    rejected = desk.rejected()
    packages = assert_sound(desk.repod.store())
    published = {Path(package.href).name: desk.repod.store() / package.href for package in packages.values()}
    assert published.keys() | rejected.keys() == originals.keys()
    assert not published.keys() & rejected.keys()
    assert len(rejected) > _FLIPS // 4
    for name, path in published.items():
        build = _main(originals[name], damage.header_offset(originals[name]))
        assert _main(path, damage.header_offset(path)) == build, name
    _assert_verified(key, [path for name, path in published.items() if int(name[5:9]) % 3])
    desk.publish_good("good")


def _assert_verified(key: Key, files: Sequence[Path]) -> None:
    """By the machine's rpm, which knows the signatures of format 4 only."""
    for file, verdict in rpmkeys_check(key.public, *files).items():
        assert verdict.text == "digests signatures OK", file


def _cuts(folder: Path) -> Iterator[tuple[Path, int]]:
    """Whole packages, and where to cut them: spread evenly, and at every border."""
    packages = [nfpm(folder, "nf"), quick(folder, "six", fmt=6), quick(folder, "four"), *rpmbuild(folder, "rb")]
    for package in packages:
        size = package.stat().st_size
        borders = {damage.LEAD, damage.header_offset(package), damage.payload_offset(package)}
        near = {border + step for border in borders for step in (-1, 0, 1)} | {1, size - 1}
        count = _CUTS // len(packages) - len(near)
        yield from ((package, at) for at in sorted(near | {size * step // count for step in range(count)}))


def test_a_file_that_was_cut_short_is_rejected_once_its_time_is_over(desk: Desk, tmp_path: Path) -> None:
    built = tmp_path / "built"
    built.mkdir()
    cut = {f"{package.stem}-{at}.rpm": (package, at) for package, at in _cuts(built)}
    assert len(cut) >= _CUTS - 20
    for name, (package, at) in cut.items():
        damage.truncate_at(package, desk.repod.inbox() / name, at)
    desk.drain()
    assert names(desk.repod.inbox()) == []
    rejected = desk.rejected()
    assert rejected.keys() == cut.keys()
    assert {code for codes in rejected.values() for code in codes} <= {"truncated", "not-rpm", "digest"}
    assert assert_sound(desk.repod.store()) == {}
    desk.publish_good("good")


def test_a_file_shorter_than_its_header_promises_is_left_as_incomplete_and_taken_once_it_is_whole(
    tmp_path: Path, key_file: Path
) -> None:
    """C002."""
    desk = Desk(tmp_path, key_file, incomplete_after=600)
    try:
        package = quick(tmp_path, "slow")
        target = desk.repod.inbox() / package.name
        for part in (0.1, 0.5, 0.9):
            damage.truncate_at(package, target, int(package.stat().st_size * part))
            desk.drain()
            assert names(desk.repod.inbox()) == [package.name]
            assert desk.rejected() == {}
        target.write_bytes(package.read_bytes())
        desk.drain()
        assert list(assert_sound(desk.repod.store())) == ["slow-1.0-1.noarch"]
    finally:
        desk.service.close()


def _say(source: Path, target: Path, at: int, index: int, store: int) -> None:
    """``source`` whose header at ``at`` says that it has so many entries and bytes; its digests are as they were."""
    data = bytearray(source.read_bytes())
    struct.pack_into(">II", data, at + 8, index, store)
    target.write_bytes(data)


def _lied(tag: int, count: int) -> headers.Edit:
    """A tag that says that it has ``count`` items, whatever lies there; the digests are right."""

    def change(rpm: headers.Rpm) -> None:
        found = rpm.header.entries[tag]
        rpm.header.entries[tag] = headers.Entry(found.kind, count, found.data)

    return change


_HUGE = (0, 0xFFFF, 0x0FFFFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
_LIARS = (headers.SIZE, headers.BASENAMES, headers.DIRINDEXES, headers.FILEDIGESTS, headers.SUMMARY, 1049, 1050)


def _bombs(good: Path, folder: Path) -> None:
    for place, at in (("sig", damage.LEAD), ("main", damage.header_offset(good))):
        for index in _HUGE:
            for store in _HUGE:
                _say(good, folder / f"{place}-{index}-{store}.rpm", at, index, store)
    for number, size in enumerate(_HUGE):
        headers.bomb(good, folder / f"index-{number}.rpm", index=size)
        headers.bomb(good, folder / f"store-{number}.rpm", store=size)
    for tag in _LIARS:
        for count in _HUGE:
            headers.edit(good, folder / f"tag-{tag}-{count}.rpm", _lied(tag, count))


def test_headers_that_promise_more_than_there_is_are_rejected_within_bounded_memory(
    desk: Desk, key: Key, tmp_path: Path
) -> None:
    _bombs(quick(tmp_path, "bomb", requires=["a >= 1", "b"]), desk.repod.inbox())
    dropped = set(names(desk.repod.inbox()))
    desk.drain()
    assert names(desk.repod.inbox()) == []
    rejected = desk.rejected()
    # A count of none where there was one is a smaller package, not a damaged one.
    assert {name for name in dropped - rejected.keys() if not name.endswith("-0.rpm")} == set()
    assert_sound(desk.repod.store(), key.public)
    desk.publish_good("good")
    assert desk.peak < 300 << 20


def _sparse(path: Path, head: bytes) -> None:
    """A file of 4 GiB that takes no room."""
    with path.open("wb") as file:
        file.write(head)
        file.truncate(4 << 30)


def test_the_daemon_outlives_whatever_is_called_rpm_and_publishes_the_next_good_package(
    tmp_path: Path, key: Key, key_file: Path
) -> None:
    """C023."""
    good = quick(tmp_path, "good")
    junk = tmp_path / "junk"
    junk.mkdir()
    for name, data in damage.JUNK.items():
        (junk / f"{name}.rpm").write_bytes(data)
    (junk / "noise.rpm").write_bytes(random.Random(_SEED).randbytes(20_000))
    (junk / "lead.rpm").write_bytes(good.read_bytes()[: damage.LEAD])
    (junk / "magic.rpm").write_bytes(good.read_bytes()[:4] + bytes(5000))
    (junk / "text.rpm").write_text("version https://git-lfs.github.com/spec/v1\n")
    _sparse(junk / "huge-zeros.rpm", b"")
    _sparse(junk / "huge-tail.rpm", good.read_bytes())
    dropped = set(names(junk))
    with Repod(tmp_path, key_file) as repod:
        for name in dropped:
            (junk / name).rename(repod.inbox() / name)
        until(lambda: {e["file"] for e in repod.find_events("package rejected")} == dropped, 120, "all to be rejected")
        shutil.copyfile(good, repod.inbox() / good.name)
        until(lambda: repod.find_events("package published"), 60, "the good package to be live")
        assert repod.get("/healthz")[0] == repod.get("/readyz")[0] == 200
        assert list(assert_sound(repod.repo_url(), key.public)) == ["good-1.0-1.noarch"]
        said = {event["file"]: event["faults"] for event in repod.find_events("package rejected")}
        assert repod.noise() == []
    assert all("max_size" in said[name][0] for name in ("huge-zeros.rpm", "huge-tail.rpm"))
    assert "not an RPM" in said["html.rpm"][0]
    assert dropped <= set(names(repod.rejected()))
