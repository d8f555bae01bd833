"""A repository proven, and mended."""

from collections.abc import Iterator, Sequence
from typing import Any

from repod.actions.means import Means
from repod.care import Care
from repod.errors import RepodError
from repod.finding import FAULT, Finding
from repod.office import By, Deed, Far
from repod.sheets import SOUND
from repod.wording import counted


def verify(means: Means, name: str, _by: By, tell: Far, *, repair: bool) -> Deed:
    """Prove everything, and with ``repair`` mend what can be; see ``Deeds.verify``."""
    with means.care(name, tell) as care:
        found = list(_mended(care) if repair else care.audit.verify())
    return _told(name, None, found, empty=SOUND)


def _mended(care: Care) -> Iterator[Finding]:
    """The repairs, and what is left after them."""
    done = list(care.repair.mend(list(care.audit.structure())))
    yield from done
    told = {finding.path for finding in done if finding.severity == FAULT}
    yield from (finding for finding in care.audit.verify() if finding.path not in told)


def rebuild(means: Means, name: str, _by: By, tell: Far, *, drop_missing: bool) -> Deed:
    """Make the documents anew from the packages; see ``Rebuild``."""
    with means.care(name, tell) as care:
        done = care.rebuild.run(drop=drop_missing)
        care.write_host_files()
    number = done.generation.number
    text = f"generation {number} is current: {done.packages} packages, {done.read} bytes of them read"
    last = Finding(severity="done", path=done.generation.view, text=text, what="")
    return _told(name, number, [*done.findings, last], empty=text)


def _told(name: str, number: int | None, findings: Sequence[Finding], *, empty: str) -> Deed:
    """A row for each finding; ``empty`` says it where there are none."""
    rows: list[dict[str, Any]] = [{"severity": f.severity, "path": f.path, "what": f.text} for f in findings]
    faults = sum(row["severity"] == FAULT for row in rows)
    text = f"{counted(faults, 'fault')}, {counted(len(rows), 'finding')} in all" if rows else empty
    code = RepodError.exit_code if faults else 0
    return Deed(repository=name, generation=number, rows=rows, text=text, code=code)
