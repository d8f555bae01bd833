"""The sequential repository: what each operation does, alone, on what is listed. No code of repod's decides here.

arrive    adds builds that arrived; one whose NEVRA is listed is a duplicate, or refused if it is another build
promote   adds the named builds of the other repository, as they are there, where they are not listed
remove    takes the named builds out; refused where one is not listed, or pinned
rollback  lists what a generation listed, one that is older than the parent
prune     takes out all but the newest ``KEEP`` of each name, and none that is pinned
resign    puts other bytes of the same build in the place of those that the other key signed
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cmp_to_key

import rpm_rs

from repod.package import Nevra
from tests.histories.history import Operation
from tests.histories.process import KEEP
from tests.histories.replay import Content, Made


class Marks:
    """Which builds are pinned, as far as the answers say: changed by operations of their own, which take time."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._pins = [one for one in operations if one.kind in {"pin", "unpin"}]

    def surely(self, nevra: Nevra, during: Operation) -> bool:
        """Whether it is pinned all the time of ``during``."""
        pins = [one for one in self._of(nevra, "pin") if one.told == "done" and (one.ended or 0) < during.began]
        return bool(pins) and not any(_may_overlap(one, during) for one in self._of(nevra, "unpin"))

    def maybe(self, nevra: Nevra, during: Operation) -> bool:
        """Whether it may be pinned at some time of ``during``."""
        return any(_may_overlap(one, during) for one in self._of(nevra, "pin") if one.told != "refused")

    def _of(self, nevra: Nevra, kind: str) -> Iterator[Operation]:
        return (one for one in self._pins if one.kind == kind and str(nevra) in one.words)


def _may_overlap(mark: Operation, during: Operation) -> bool:
    """Whether a mark was begun before ``during`` ended: what it does may be there then."""
    return during.ended is None or mark.began <= during.ended


def wrong(operation: Operation, made: Made, contents: Mapping[int, Content], marks: Marks) -> Iterator[str]:
    """What of the generation ``made`` is not what ``operation`` does on its parent."""
    parent = contents[made.parent]
    added = {package.nevra for package in made.added}
    removed = {package.nevra for package in made.removed}
    match operation.kind:
        case "arrive" | "promote":
            strange = {nevra for nevra in added if str(nevra) not in operation.words}
            if removed or strange:
                yield f"removes {_names(removed)}, adds {_names(strange)}, which was not asked for"
        case "remove":
            if added or set(map(str, removed)) != set(operation.words):
                yield f"adds {_names(added)} and removes {_names(removed)}"
            yield from _pinned(operation, removed, marks)
        case "rollback":
            yield from _rolled_back(operation, made, contents)
        case "prune":
            yield from _pruned(operation, parent, added, removed, marks)
        case "resign":
            if added != removed or contents[made.number].keys() != parent.keys():
                yield f"adds {_names(added)} and removes {_names(removed)}"
        case _:
            yield "it is none that makes a generation"


def _pinned(operation: Operation, removed: Collection[Nevra], marks: Marks) -> Iterator[str]:
    pinned = {nevra for nevra in removed if marks.surely(nevra, operation)}
    if pinned:
        yield f"removes {_names(pinned)}, which was pinned before it began"


def _rolled_back(operation: Operation, made: Made, contents: Mapping[int, Content]) -> Iterator[str]:
    to = int(made.why.removeprefix("rolled back to generation "))
    if operation.words and operation.words != [str(to)]:
        yield f"goes back to {to}, asked for was {operation.words[0]}"
    if operation.told == "done" and operation.to != to:
        yield f"goes back to {to}, its caller was told {operation.to}"
    if to >= made.number or contents[made.number] != contents[to]:
        yield f"does not list what generation {to} listed"


def _pruned(
    operation: Operation, parent: Content, added: Collection[Nevra], removed: Collection[Nevra], marks: Marks
) -> Iterator[str]:
    due = beyond(parent)
    if added or not set(removed) <= due:
        yield f"adds {_names(added)}, removes {_names(set(removed) - due)}, which are among the newest {KEEP}"
    yield from _pinned(operation, removed, marks)
    left = {nevra for nevra in due - set(removed) if not marks.maybe(nevra, operation)}
    if left:
        yield f"leaves {_names(left)}, which are beyond the newest {KEEP} and never were pinned"


def beyond(content: Content) -> set[Nevra]:
    """The builds that are not among the newest of their names, by rpm's own order."""
    names = defaultdict[str, list[Nevra]](list)
    for nevra in content:
        names[nevra.name].append(nevra)
    return {nevra for builds in names.values() for nevra in sorted(builds, key=_NEWEST, reverse=True)[KEEP:]}


def _compare(one: Nevra, other: Nevra) -> int:
    left, right = (rpm_rs.Evr(str(each.epoch), each.version, each.release) for each in (one, other))
    return (left > right) - (left < right)


_NEWEST = cmp_to_key(_compare)


def untrue(operation: Operation, content: Content) -> Iterator[str]:
    """What was told of builds and is not so in the generation that was told."""
    for nevra, pkgid in operation.added.items():
        if nevra not in content or content[nevra].pkgid != pkgid:
            yield f"{nevra} was said to be listed as {pkgid[:8]}, and is not"
    for nevra in operation.removed:
        if nevra in content:
            yield f"{nevra} was said to be removed, and is listed"


def refusal_is_right(operation: Operation, nevra: Nevra, contents: Sequence[Content], marks: Marks) -> bool:
    """Whether there was a moment at which ``nevra`` stood against ``operation``."""
    match operation.kind:
        case "arrive":  # another build of that name was listed
            return any(nevra in one for one in contents)
        case "remove":
            return any(nevra not in one for one in contents) or marks.maybe(nevra, operation)
        case _:
            return any(nevra not in one for one in contents)


def _names(nevras: Collection[Nevra]) -> str:
    return ", ".join(sorted(map(str, nevras))) or "nothing"
