"""The rank of builds against the machine's own rpm: the same verdict on every pair."""

import itertools
import os
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

from repod.package import Nevra

# One rpm process judges all pairs: a line "left right" of its input file, a verdict per line.
_LUA = """%{lua:
for line in io.lines(os.getenv("PAIRS")) do
  local left, right = line:match("^(%S+) (%S+)$")
  print(rpm.vercmp(left, right) .. " ")
end}"""

_NASTY = (  # noqa: SIM905 - eighty quoted words would be harder to read
    "0 00 1 01 1.0 1.00 1+0 1_0 1..0 .1 1. 1.0. 1.0.1 1.1 1.10 1.9 2 10 a A z Z 1a 1.a 1a1 a1 "
    "~ ~~ 1~ 1~~ ~1 1~rc 1~rc1 1~rc2 1~rc10 1~~rc1 1.0~rc1 1.0~rc1^git1 1.0~~ ^ ^^ 1^ 1^^ ^1 1^git 1^git1 1^git2 "
    "1^1 1^~1 1~^1 1^.1 1.^1 1^20240101.abc 1^20240102.abc 1.0^ 1.0^git1~1 1.0^git1 1.0.^git1 1.0a 1.0a~1 "
    "20240101 4294967296 18446744073709551616 99999999999999999999999999999 099999999999999999999999999999 "
    "+ _ . +1 1+ 1+a 1_a a+b a_b ab aB el9 el9_4 el10 fc39 fc40 1.el9 1.el10 0.1.rc1.el9 5a 5b 5.5p1 5.5p10 xyz10"
).split()


def _judge(pairs: Sequence[tuple[Nevra, Nevra]], work: Path) -> list[int]:
    path = work / "pairs"
    path.write_text("".join(f"{left.evr} {right.evr}\n" for left, right in pairs))
    done = subprocess.run(
        ["rpm", "--eval", _LUA], env=os.environ | {"PAIRS": str(path)}, check=True, capture_output=True, text=True
    )
    return [int(line) for line in done.stdout.split()]


def _build(version: str, release: str = "1", epoch: int = 0) -> Nevra:
    return Nevra(name="hello", epoch=epoch, version=version, release=release, arch="noarch")


def _random(draw: random.Random) -> Nevra:
    # Few characters, so that pairs share beginnings and the rare rules decide.
    def text() -> str:
        return "".join(draw.choices("0019aAb.~^+_", k=draw.randint(1, 7)))

    return _build(text(), text(), draw.choice((0, 0, 0, 1, 9, 10)))


def _compare(pairs: Sequence[tuple[Nevra, Nevra]], work: Path) -> None:
    verdicts = _judge(pairs, work)
    assert len(verdicts) == len(pairs)
    wrong = [
        f"{left.evr} against {right.evr}: rpm says {verdict}"
        for (left, right), verdict in zip(pairs, verdicts, strict=True)
        if (left.rank > right.rank) - (left.rank < right.rank) != verdict
    ]
    assert not wrong, f"{len(wrong)} of {len(pairs)} differ:\n" + "\n".join(wrong[:20])


def test_rpm_ranks_every_pair_of_nasty_versions_as_repod_does(tmp_path: Path) -> None:
    _compare([(_build(a), _build(b)) for a, b in itertools.product(_NASTY, repeat=2)], tmp_path)


def test_rpm_ranks_every_pair_of_nasty_releases_as_repod_does(tmp_path: Path) -> None:
    _compare([(_build("1", a), _build("1", b)) for a, b in itertools.product(_NASTY, repeat=2)], tmp_path)


def test_rpm_ranks_ten_thousand_random_pairs_as_repod_does(tmp_path: Path) -> None:
    draw = random.Random(20261125)
    pairs = [(_random(draw), _random(draw)) for _ in range(9_000)]
    # Neighbours: one version and the same with a little more at its end.
    for _ in range(1_000):
        one = _random(draw)
        more = "".join(draw.choices("019a.~^+", k=draw.randint(1, 3)))
        pairs.append((one, _build(one.version + more, one.release, one.epoch)))
    _compare(pairs, tmp_path)
