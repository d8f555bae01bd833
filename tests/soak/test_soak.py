"""The soak in small: the same code and the same judge; what needs a long run is judged in the long form."""

from pathlib import Path

from tests.lab.keys import Key
from tests.lab.seaweed import Seaweed
from tests.soak.plan import Shape
from tests.soak.report import text_of
from tests.soak.run import soak

_SHAPE = Shape(
    minutes=0.15, packages=90, repositories=5, buckets=1, clients=10, hosts=1, listeners=2, poll=1.5, grace=2.0, seed=3
)


def test_a_small_day_of_ci_ends_without_an_error_of_any_client_and_with_all_that_lies_there_explained(
    key: Key, key_file: Path, s3: Seaweed, tmp_path: Path
) -> None:
    lines: list[str] = []

    def say(line: str, *, now: bool = False) -> None:
        lines.append(line)

    found = soak(_SHAPE, tmp_path, key, key_file, s3, say)
    text = text_of(found)
    assert found.fine, text
    judged = [verdict for verdict in found.verdicts if verdict.fine is not None]
    assert len(judged) > 12, text
    figures = dict(found.figures)
    assert figures["drops"].startswith("90: ")
    assert "published" in figures["drops"]
    assert "rejected" in figures["drops"]
    assert any("dropped 90 of 90" in line for line in lines)
