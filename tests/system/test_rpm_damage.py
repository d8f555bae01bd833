"""Damaged RPM files: whatever bit is wrong, another build than the one that was made is never let in."""

import contextlib
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pysequoia
import pytest

from repod.acceptance import Rules, judge
from repod.doors import Unreadable
from repod.package import REASONS, Facts, Fault, store_path
from repod.rpmfile.pool import RpmWorkers
from tests.lab import damage, rpms
from tests.lab.bounds import temporary
from tests.lab.clients import rpmkeys_check
from tests.lab.keys import Key

HREF = store_path("Packages/h/hello-1.0-1.noarch.rpm")
RULES = Rules(arches=["noarch"], profile="fedora")  # whose rpm takes each kind below


@pytest.fixture(scope="module")
def workers() -> Iterator[RpmWorkers]:
    workers = RpmWorkers(count=2, timeout=60, bounds=temporary())
    yield workers
    workers.close()


def build(folder: Path, kind: str) -> Path:
    """A package of about 12 KiB with something in every part of its header."""
    files = {f"/usr/share/hello/{number}": random.Random(number).randbytes(1500) for number in range(5)}
    if kind == "nfpm":
        return rpms.nfpm(folder, "hello", contents=files, depends=["a >= 1.0", "b"])
    return rpms.quick(
        folder,
        files=files,
        requires=["a >= 2:1-1", "b"],
        changelog=rpms.changelog(5),
        scriptlets={"post_install": "echo hello"},
        fmt=6 if kind == "version 6" else 4,
    )


def judged(workers: RpmWorkers, path: Path, key: Key) -> Facts | None:
    """The facts of a file that would be let in."""
    faults: Sequence[Fault]
    facts = None
    try:
        facts = workers.examine(path, key.public)
        faults = judge(facts, RULES)
    except Unreadable as error:
        faults = error.faults
    assert facts or faults
    assert {fault.code for fault in faults} <= set(REASONS)
    return None if faults else facts


def sealed(workers: RpmWorkers, path: Path, key: Key, sound: Path) -> bool:
    """Whether a damaged file is let in and signed; then it is proven to be the same build."""
    main = sound.read_bytes()[damage.header_offset(sound) :]
    facts = judged(workers, path, key)
    if facts is None:
        return False
    assert facts.build == workers.examine(sound, b"").build
    assert path.read_bytes().endswith(main)
    signer = pysequoia.Tsk.from_bytes(key.secret).signer()
    signature = pysequoia.sign(signer, facts.signable, mode=pysequoia.SignatureMode.DETACHED, armor=False)
    try:
        entry = workers.seal(path, bytes(signature), key.public, HREF, 10)
    except Unreadable:
        return False
    assert entry.package.nevra == facts.nevra
    assert path.read_bytes().endswith(main)
    return True


@pytest.mark.parametrize("kind", ["quick", "version 6", "nfpm"])
def test_a_flipped_bit_is_refused_or_touches_neither_header_nor_payload(
    kind: str, tmp_path: Path, workers: RpmWorkers, key: Key
) -> None:
    sound = build(tmp_path, kind)
    size, start, payload = sound.stat().st_size, damage.header_offset(sound), damage.payload_offset(sound)
    draw = random.Random(42)
    # Most of the file is payload; every structure before it gets its share too.
    places = [*range(96, 112), *range(start, start + 16)]
    for end, count in ((size, 100), (payload, 80), (start, 100)):
        places += [draw.randrange(end) for _ in range(count)]
    damaged = {
        damage.flip_bit(sound, tmp_path / f"{number}.rpm", place, draw.randrange(8)): place
        for number, place in enumerate(places)
    }
    taken = [path for path in damaged if sealed(workers, path, key, sound)]
    assert all(damaged[path] < start for path in taken)
    assert 0 < len(taken) < len(places)  # half of it is room for a signature, where nothing matters
    if kind != "version 6":  # rpm 4.18 does not know its signatures
        verdicts = rpmkeys_check(key.public, *taken)
        assert [(damaged[path], verdict.text) for path, verdict in verdicts.items() if not verdict.ok] == []


def test_a_damaged_copy_of_our_signature_is_not_left_as_it_is(tmp_path: Path, workers: RpmWorkers, key: Key) -> None:
    sound = build(tmp_path, "nfpm")
    assert sealed(workers, sound, key, sound)
    draw = random.Random(45)
    places = [draw.randrange(96, damage.header_offset(sound)) for _ in range(150)]
    kept = []
    damaged = [
        damage.flip_bit(sound, tmp_path / f"{number}.rpm", place, draw.randrange(8))
        for number, place in enumerate(places)
    ]
    for path in (sound, *damaged):
        facts = judged(workers, path, key)
        if facts and key.fingerprint in facts.signers:
            with contextlib.suppress(Unreadable):
                workers.seal(path, None, key.public, HREF, 10)
                kept.append(path)
    assert [verdict.text for verdict in rpmkeys_check(key.public, *kept).values() if not verdict.ok] == []
    assert sound in kept
    assert len(kept) < len(places) / 2


@pytest.mark.parametrize("kind", ["quick", "version 6", "nfpm"])
def test_a_file_that_is_cut_short_is_refused_wherever_it_is_cut(
    kind: str, tmp_path: Path, workers: RpmWorkers, key: Key
) -> None:
    sound = build(tmp_path, kind)
    size, header, payload = sound.stat().st_size, damage.header_offset(sound), damage.payload_offset(sound)
    draw = random.Random(43)
    sizes = {
        0,
        1,
        4,
        95,
        96,
        97,
        111,
        112,
        header - 1,
        header,
        header + 15,
        header + 16,
        payload - 1,
        payload,
        size - 1,
    }
    sizes |= {draw.randrange(size) for _ in range(60 - len(sizes))}
    for cut in sizes:
        assert judged(workers, damage.truncate_at(sound, tmp_path / "cut.rpm", cut), key) is None, cut


@pytest.mark.parametrize("more", [b"\0", b"x" * 4096])
def test_a_file_that_goes_on_after_its_end_is_refused(
    more: bytes, tmp_path: Path, workers: RpmWorkers, key: Key
) -> None:
    longer = tmp_path / "longer.rpm"
    longer.write_bytes(build(tmp_path, "quick").read_bytes() + more)
    assert judged(workers, longer, key) is None


def test_two_packages_in_one_file_are_refused(tmp_path: Path, workers: RpmWorkers, key: Key) -> None:
    sound = build(tmp_path, "quick").read_bytes()
    twice = tmp_path / "twice.rpm"
    twice.write_bytes(sound + sound)
    assert judged(workers, twice, key) is None


def test_a_random_file_with_the_magic_of_a_package_is_refused(tmp_path: Path, workers: RpmWorkers, key: Key) -> None:
    draw = random.Random(44)
    sound = build(tmp_path, "quick").read_bytes()
    for length in (4, 96, 104, 112):
        for _ in range(10):
            path = tmp_path / "random.rpm"
            path.write_bytes(sound[:length] + draw.randbytes(4000))
            assert judged(workers, path, key) is None
