"""``repoctl hosts reported`` and ``hosts forget``: what hosts told the daemon that they run."""

from pathlib import Path

import click

from repod.client.commands.common import asked, repository_argument, settings_option
from repod.options import json_option, warn
from repod.show import show


@click.command()
@settings_option
@json_option
@repository_argument
@click.option("--package", default="", metavar="NAME", help="Only hosts that run a build of that name.")
def reported(config: Path | None, name: str, package: str, *, as_json: bool) -> None:
    """List the hosts that report to REPO: when, and what they run that is not the newest there."""
    with asked(config) as api:
        pages = list(api.hosts(name, package=package))
    rows = [row for page in pages for row in page["hosts"]]
    brief = [
        {
            "host": row["host"],
            "reported": _second(row["reported"]) + (" (too old to count)" if row["stale"] else ""),
            "packages": row["packages"],
            "not the newest": ", ".join(one["package"] for one in row["builds"] if one["differs"]) or "-",
        }
        for row in rows
    ]
    show(rows if as_json else brief, as_json=as_json, empty="no host has reported")
    warn(dict.fromkeys(text for page in pages for text in page["warnings"]))


def _second(time: str) -> str:
    """A time of the API without what is below a second."""
    return time.partition(".")[0].removesuffix("Z") + "Z"


@click.command()
@settings_option
@repository_argument
@click.argument("host", metavar="HOST")
def forget(config: Path | None, name: str, host: str) -> None:
    """Remove what HOST reported to REPO: it is gone, and what it ran is not kept for it any more."""
    with asked(config) as api:
        api.forget_host(name, host)
