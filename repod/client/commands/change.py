"""``repoctl promote``, ``rollback``, ``prune`` and ``prove``: changes of whole repositories."""

from pathlib import Path
from typing import Any

import click

from repod.client.commands.common import asked, repository_argument, settings_option, watched
from repod.client.commands.suggest import repositories
from repod.options import json_option, leave, promotion_options, refuse_nonsense, say, warn, why_option
from repod.sheets import SOUND, show_promotion, show_rollback
from repod.show import show


@click.command()
@settings_option
@json_option
@promotion_options(repositories)
def promote(config: Path | None, source: str, target: str, *, as_json: bool, **how: Any) -> None:
    """Add builds of repository A to repository B, without building or uploading them again.

    A build is said as NAME (its newest build), NAME-EVR, or in full as NAME-EVR.ARCH. With --generation
    alone all that A listed comes, with its groups, module streams and advisories; B loses nothing.

    Answers 3, with every reason, where a gate of B ([repository.promotion]) or its acceptance says no;
    nothing is published then.
    """
    refuse_nonsense(source, target, how)
    with asked(config) as api, watched("promoting") as tell:
        deed = api.promote(target, source, tell=tell, **how)
    show_promotion(deed, as_json=as_json)
    for line in deed.rows[0]["refused"]:
        say(line)
    leave(deed)


@click.command()
@settings_option
@json_option
@repository_argument
@click.option("--to", "number", type=int, metavar="N", help="The generation to go back to.")
@why_option
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
def rollback(config: Path | None, name: str, number: int | None, why: str, *, dry_run: bool, as_json: bool) -> None:
    """Publish what REPO listed at generation N again, as a new generation.

    Packages, groups, module streams and advisories become what they were. Without --to it is the
    generation before the last one, leaving out those that retention made and those that list
    what is listed now; where the last one is a rollback itself, say which.

    Answers 3, with every file that is missing, where prune has been there.
    """
    with asked(config) as api, watched("rolling back") as tell:
        deed = api.rollback(name, number, dry_run=dry_run, why=why, tell=tell)
    show_rollback(deed, dry_run=dry_run, as_json=as_json)
    warn(deed.warnings)
    leave(deed)


@click.command()
@settings_option
@json_option
@repository_argument
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
def prune(config: Path | None, name: str, *, dry_run: bool, as_json: bool) -> None:
    """Let go of what retention does not keep of REPO, with the reasons.

    Builds leave the metadata at once; files that no kept generation lists leave the store.
    """
    with asked(config) as api:
        if dry_run:
            show(api.plan(name), as_json=as_json, empty="nothing to remove")
            return
        with watched("pruning") as tell:
            deed = api.prune(name, tell=tell)
    show(deed.rows, as_json=as_json, empty="nothing to remove")
    if deed.stopped:
        say(deed.stopped)
    leave(deed)


@click.command()
@settings_option
@json_option
@repository_argument
@click.option("--repair", is_flag=True, help="Mend what can be mended without inventing.")
def prove(config: Path | None, name: str, *, repair: bool, as_json: bool) -> None:
    """Have the daemon prove that REPO holds what it shows: views, documents, records and every package.

    It is what repod verify does, over there. Answers 1 where a fault is left.
    """
    with asked(config) as api, watched("reading") as tell:
        deed = api.verify(name, repair=repair, tell=tell)
    show(deed.rows, as_json=as_json, empty=SOUND)
    leave(deed)
