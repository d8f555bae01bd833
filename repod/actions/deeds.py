"""Changes: each in turn on its repository, written into the audit log, and ended in time when repod stops.

A change works beside the loop of its repository as one of a command does, from another process: by the
compare-and-swap of the pointer. Where it is given up halfway it leaves what a stopped process leaves, which is whole.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from repod.actions.back import rollback
from repod.actions.builds import mark, remove
from repod.actions.means import Means
from repod.actions.mend import rebuild, verify
from repod.actions.prune import prune
from repod.actions.work import Work
from repod.errors import Refused, RepodError
from repod.office import By, Deed, Far, Record
from repod.promote import Wanted


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
        return self._change(
            by, what, repository, details, lambda: mark(self._means, repository, nevras, by, label=label, off=off)
        )

    def prune(self, repository: str, by: By, tell: Far) -> Deed:
        """See ``Deeds.prune``."""
        self._work.told(tell)("prune", 0, 1)
        return self._change(by, "prune", repository, {}, lambda: prune(self._means, repository, by))

    def verify(self, repository: str, by: By, tell: Far, *, repair: bool) -> Deed:
        """See ``Deeds.verify``. Without ``repair`` it works beside changes."""

        def act() -> Deed:
            return verify(self._means, repository, by, self._work.told(tell), repair=repair)

        if repair:
            return self._change(by, "repair", repository, {}, act)
        with self._work.begun():
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

    def _look(self, repository: str, act: Callable[[], Deed]) -> Deed:
        """A dry run: in turn too, since it works on the same cache; nobody records it."""
        with self._work.begun(repository):
            return act()

    def _change(self, by: By, what: str, repository: str, details: Mapping[str, Any], act: Callable[[], Deed]) -> Deed:
        self._record.ready()
        outcome = "failed"
        try:
            with self._work.begun(repository):
                deed = act()
        except RepodError as error:
            outcome = f"{_word(error.exit_code)}: {error}"
            raise
        except Exception as error:
            outcome = f"failed: {type(error).__name__}: {error}"
            raise
        else:
            outcome = f"{_word(deed.code)}: {deed.stopped or deed.text}"
        finally:
            unwritten = self._recorded(by=by, what=what, repository=repository, details=details, outcome=outcome)
            self._done(repository)
        return replace(deed, warnings=[*deed.warnings, unwritten]) if unwritten else deed

    def _recorded(self, *, by: By, what: str, repository: str, details: Mapping[str, Any], outcome: str) -> str:
        """Empty, or why it is not in the audit log: what was done is done all the same."""
        try:
            self._record(by=by, what=what, repository=repository, details=details, outcome=outcome)
        except RepodError as error:
            text = f"not in the audit log: {error}"
            self._means.log.error(text, repository=repository, what=what, actor=by.actor, outcome=outcome)  # noqa: TRY400 - it is told in a line
            return text
        return ""


def _word(code: int) -> str:
    return {0: "done", Refused.exit_code: "refused"}.get(code, "failed")
