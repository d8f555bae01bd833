"""What differs between two contents, and a repository brought back to what it listed before."""

from functools import partial

from repod.actions.changes import carried_sums, content, read_carried, summary
from repod.actions.means import Means
from repod.comparison import Comparison, Content, compare
from repod.config import Settings
from repod.errors import Corrupt, NotFound
from repod.generation import Generation
from repod.office import By, Deed
from repod.places import open_store
from repod.records import contents, read_records
from repod.repodata.listing import entries
from repod.repodata.strictreader import StrictDocuments
from repod.rollback import Plan, Rollback
from repod.sheets import changes
from repod.wiring import pause
from repod.workplace import Workplace

End = tuple[str, int | None]
"""A repository, and the number of a generation of it; None: the current one."""


def rollback(means: Means, name: str, number: int | None, by: By, *, dry_run: bool) -> Deed:
    """Publish what generation ``number`` listed, as a new one; see ``Deeds.rollback``.

    ``facts``: ``to``, the generation that is gone back to; ``needed``, whether it lists anything else;
    ``changes``, as a person reads them.
    """
    with means.workplace(name) as work:
        back = _rollback(work)
        if dry_run:
            plan, generation = back.plan(number), None
        else:
            plan, generation = back.run(number, actor=by.actor, why=by.why)
    return _deed(name, plan, generation)


def _rollback(work: Workplace) -> Rollback:
    return Rollback(
        store=work.store,
        documents=StrictDocuments(work.store),
        repodata=work.repodata,
        publisher=work.publisher,
        ledger=work.ledger,
        plain=partial(read_carried, work.store),
        entries=partial(entries, work.store),
        describe=work.headers.entry,
        pause=pause,
    )


def _deed(name: str, plan: Plan, generation: Generation | None) -> Deed:
    change = compare(
        Content(packages=plan.before, documents=carried_sums(plan.on)),
        Content(packages=plan.after, documents=carried_sums(plan.to)),
    )
    number = generation.number if generation and plan else None
    row = {"repository": name, "to": plan.to.number, "generation": number, "pinned": list(map(str, plan.pinned))}
    to = plan.to.number
    return Deed(
        repository=name,
        generation=number,
        rows=[row | summary(change)],
        warnings=[f"{nevra} is pinned and is not listed at generation {to}" for nevra in plan.pinned],
        facts={"to": to, "needed": bool(plan), "changes": changes(summary(change))},
        text=_text(name, plan, number),
    )


def _text(name: str, plan: Plan, number: int | None) -> str:
    to = plan.to.number
    if not plan:
        return f"generation {plan.on.number} of {name} lists what generation {to} did: nothing to do"
    if number is None:
        return f"would publish what generation {to} of {name} listed"
    return f"generation {number} of {name} lists again what generation {to} did"


def difference(settings: Settings, before: End, after: End) -> Comparison:
    """What would change for hosts from one content to another."""
    return compare(_content(settings, *before), _content(settings, *after))


def _content(settings: Settings, name: str, number: int | None) -> Content:
    """What a repository lists now, or listed at a generation."""
    store = open_store(settings, settings.named(name))
    records, _ = read_records(store)
    if records.current is None and number is None:
        return Content(packages=[])
    try:
        generation = records.one(number)
    except NotFound as error:
        raise NotFound(f"{name}: {error}") from error
    listed = contents(records, StrictDocuments(store), generation)
    if listed is None:
        msg = f"{name}: generation {generation.number}: its documents are damaged; try: repod verify {name}"
        raise Corrupt(msg)
    return content(store, generation, listed.values())
