"""Changes: each in turn on its repository, written into the audit log, and ended in time when repod stops.

A change works beside the loop of its repository as one of a command does, from another process: by the
compare-and-swap of the pointer. Where it is given up halfway it leaves what a stopped process leaves, which is whole.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from repod.actions.back import rollback
from repod.actions.builds import mark, remove
from repod.actions.means import Means
from repod.actions.mend import rebuild, verify
from repod.actions.papers import advise, publish, unadvise
from repod.actions.prune import prune
from repod.actions.recorded import recorded
from repod.actions.work import Work
from repod.doors import Edit
from repod.office import By, Deed, Far, Record
from repod.promote import Wanted
from repod.rings import RingChange


class RecordedDeeds:
    """``Deeds``, and the changes that only commands make. Any thread may ask for any."""

    def __init__(
        self, means: Means, record: Record, *, work: Work | None = None, done: Callable[[str], None] = lambda _: None
    ) -> None:
        """``work`` is where running changes are known; ``done`` hears which repository may have changed."""
        self._means = means
        self._record = record
        self._work = work or Work()
        self._done = done

    def promote(self, source: str, target: str, wanted: Wanted, by: By, *, force: bool, dry_run: bool) -> Deed:
        """See ``Deeds.promote``."""
        from repod.actions.promote import promote  # noqa: PLC0415 - it brings an HTTP client

        details = {
            "from": source,
            "names": list(wanted.names),
            "advisories": list(wanted.advisories),
            "generation": wanted.generation,
            "siblings": wanted.siblings,
            "force": force,
        }

        def act() -> Deed:
            return promote(self._means, source, target, wanted, by, force=force, dry_run=dry_run)

        return self._look(target, act) if dry_run else self._change(by, "promote", target, details, act)

    def rollback(self, repository: str, number: int | None, by: By, *, dry_run: bool) -> Deed:
        """See ``Deeds.rollback``."""

        def act() -> Deed:
            return rollback(self._means, repository, number, by, dry_run=dry_run)

        return self._look(repository, act) if dry_run else self._change(by, "rollback", repository, {"to": number}, act)

    def remove(self, repository: str, nevras: Sequence[str], by: By, *, dry_run: bool) -> Deed:
        """See ``Deeds.remove``."""

        def act() -> Deed:
            return remove(self._means, repository, nevras, by, dry_run=dry_run)

        details = {"packages": list(nevras)}
        return self._look(repository, act) if dry_run else self._change(by, "remove", repository, details, act)

    def mark(self, repository: str, nevras: Sequence[str], by: By, *, label: str = "", off: bool = False) -> Deed:
        """See ``Deeds.mark``."""
        what = ("un" if off else "") + ("label" if label else "pin")
        details = {"packages": list(nevras)} | ({"label": label} if label else {})

        def act() -> Deed:
            return mark(self._means, repository, nevras, by, label=label, off=off)

        return self._change(by, what, repository, details, act, turn=f"marks of {repository}")

    def ring(self, repository: str, ring: str, change: RingChange | None, by: By) -> Deed:
        """See ``Deeds.ring``."""
        from repod.actions.rings import change_ring, remove_ring  # noqa: PLC0415 - most changes are of no ring

        asked = {key: value for key, value in asdict(change).items() if value} if change else {}
        paused = {"paused": change.paused} if change and change.paused is not None else {}
        what = "set ring" if change else "remove ring"

        def act() -> Deed:
            if change is None:
                return remove_ring(self._means, repository, ring)
            return change_ring(self._means, repository, ring, change, by)

        return self._change(by, what, repository, {"ring": ring, **asked, **paused}, act, turn=f"rings of {repository}")

    def prune(self, repository: str, by: By, tell: Far) -> Deed:
        """See ``Deeds.prune``."""
        self._work.told(tell)("prune", 0, 1)
        return self._change(by, "prune", repository, {}, lambda: prune(self._means, repository, by))

    def verify(self, repository: str, by: By, tell: Far, *, repair: bool) -> Deed:
        """See ``Deeds.verify``. Without ``repair`` it works beside changes, one for each repository."""

        def act() -> Deed:
            return verify(self._means, repository, by, self._work.told(tell), repair=repair)

        if repair:
            return self._change(by, "repair", repository, {}, act)
        with self._work.begun(f"verify {repository}"):
            return act()

    def rebuild(self, repository: str, by: By, tell: Far, *, drop_missing: bool) -> Deed:
        """Make the documents anew from the packages; ``drop_missing``: leave out those whose files are gone."""
        details = {"drop_missing": drop_missing}
        return self._change(
            by,
            "rebuild",
            repository,
            details,
            lambda: rebuild(self._means, repository, by, self._work.told(tell), drop_missing=drop_missing),
        )

    def advise(self, repository: str, file: str, data: bytes, by: By) -> Deed:
        """See ``Deeds.advise``."""
        return self._documents(by, repository, [file], "added", lambda: advise(self._means, repository, file, data, by))

    def unadvise(self, repository: str, ids: Sequence[str], by: By) -> Deed:
        """See ``Deeds.unadvise``."""
        return self._documents(by, repository, ids, "removed", lambda: unadvise(self._means, repository, ids, by))

    def edit(self, repository: str, edits: Sequence[Edit], done: str, by: By) -> Deed:
        """Publish edits of documents; ``done`` is what they do, in a word."""
        documents = [edit.what for edit in edits]
        return self._documents(
            by, repository, documents, done, lambda: publish(self._means, repository, edits, done, by)
        )

    def _documents(self, by: By, repository: str, documents: Sequence[str], done: str, act: Callable[[], Deed]) -> Deed:
        return self._change(by, "documents", repository, {"documents": list(documents), "change": done}, act)

    def _look(self, repository: str, act: Callable[[], Deed]) -> Deed:
        """A dry run: in turn too, since it works on the same cache; nobody records it."""
        with self._work.begun(repository):
            return act()

    def _change(
        self,
        by: By,
        what: str,
        repository: str,
        details: Mapping[str, Any],
        act: Callable[[], Deed],
        *,
        turn: str = "",
    ) -> Deed:
        """One change, which waits for others of the same ``turn``; empty: of its repository."""
        told = recorded(self._record, self._means.log, by=by, what=what, repository=repository, details=details)
        try:
            with told as outcome, self._work.begun(turn or repository):
                deed = act()
                outcome.end(deed.stopped or deed.text, deed.code)
        finally:
            self._done(repository)
        return replace(deed, warnings=[*deed.warnings, outcome.unwritten]) if outcome.unwritten else deed
