"""``repod promote``: builds of one repository into another."""

from pathlib import Path
from typing import Any

import click

from repod.commands.common import by, deeds, settings_option
from repod.config import load
from repod.options import json_option, leave, promotion_options, refuse_nonsense, say
from repod.promote import Wanted
from repod.sheets import show_promotion


@click.command()
@settings_option
@json_option
@promotion_options()
def promote(
    config: Path, source: str, target: str, why: str, *, force: bool, dry_run: bool, as_json: bool, **what: Any
) -> None:
    """Add builds of repository A to repository B, without building or uploading them again.

    A build is said as NAME (its newest build), NAME-EVR, or in full as NAME-EVR.ARCH. Modular builds
    bring their module stream along. With --generation alone all that A listed comes, with its
    groups, module streams and advisories; B loses nothing.

    Answers 3, with every reason, where a gate of B ([repository.promotion]) or its acceptance says no;
    nothing is published then.
    """
    wanted = Wanted(**what)
    refuse_nonsense(source, target, what)
    deed = deeds(load(config)).promote(source, target, wanted, by(why), force=force, dry_run=dry_run)
    show_promotion(deed, as_json=as_json)
    for line in deed.rows[0]["refused"]:
        say(line)
    leave(deed)
