"""The table of the matrix, as README.md beside it shows it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.faults.matrix_cells import Done
from tests.faults.matrix_s3 import S3_FAULTS
from tests.faults.matrix_work import part
from tests.lab.diskfaults import FAULTS, Fault, Point

README = Path(__file__).with_name("README.md")
_BEGIN, _END = "<!-- matrix -->", "<!-- /matrix -->"
_TITLES = {"disk": "On disk: calls that change files", "s3": "In a bucket: requests that change objects"}

Counted = Mapping[str, Mapping[str, Sequence[Point]]]
"""By kind of store and operation, the points of a run without a fault."""


def write_table(found: Sequence[Done], counted: Counted, command: str, about: str, seconds: float) -> None:
    """Put the table where the marks in README.md are."""
    text = README.read_text()
    before, rest = text.split(_BEGIN)
    after = rest.split(_END)[1]
    lines = [_BEGIN, "", *_lines(found, counted, command, about, seconds), "", _END]
    README.write_text(before + "\n".join(lines) + after)


def _lines(found: Sequence[Done], counted: Counted, command: str, about: str, seconds: float) -> Iterator[str]:
    problems = sum(bool(done.problem) for done in found)
    reads = sum(done.reads for done in found)
    yield f"{command}: {about}, {seconds:.0f} s, {len(found)} cells, {reads} reads by dnf, {problems} found a fault."
    for store, works in counted.items():
        faults = FAULTS if store == "disk" else S3_FAULTS
        own = [done for done in found if done.cell.fault in faults]
        yield from ("", f"**{_TITLES[store]}**", "")
        yield f"| operation, part | points | met | {' | '.join(fault.name for fault in faults)} |"
        yield "|---|" + "---:|" * (len(faults) + 2)
        for work, points in works.items():
            mine = [done for done in own if done.cell.work.name == work]
            yield _row(f"**{work}**", points, mine, faults)
            groups: dict[str, list[Point]] = defaultdict(list)
            for point in points:
                groups[part(point.path)].append(point)
            for name, members in groups.items():
                yield _row(name, members, [done for done in mine if part(done.cell.point.path) == name], faults)


def _row(name: str, points: Sequence[Point], found: Sequence[Done], faults: Sequence[Fault]) -> str:
    """Points, those that met a fault, and the cells of each fault."""
    met = [done for done in found if done.where]
    cells = Counter(done.cell.fault.name for done in met)
    numbers = {done.cell.point.number for done in met}
    columns = [len(points), len(numbers), *(cells[fault.name] or "" for fault in faults)]
    return f"| {name} | {' | '.join(str(column) for column in columns)} |"
