"""``repoctl verify``: whether mirrors show a repository as it is now. It needs no daemon and no token."""

import contextlib
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import click

from repod.client.commands.common import settings_of, settings_option
from repod.client.fetching import Fetching, folder_url, shown
from repod.client.mirrors import How, Looked, look
from repod.client.settings import Settings
from repod.client.trust import Trust, fingerprint_of, from_file, of_mirror
from repod.client.verdict import Demands, span, worst
from repod.client.watermark import Watermarks
from repod.options import DURATION, json_option
from repod.show import show
from repod.times import stamp
from repod.wording import steerless

_MEANS = """\b
Answers beside 0 and 2:
  1  not to be trusted: expired, rolled back, forked, mixed, no statement, wrong key or repository
  3  older than --max-age
  4  not reachable, or clocks differ"""


@click.command(epilog=_MEANS)
@settings_option
@json_option
@click.argument("urls", metavar="URL...", nargs=-1, required=True)
@click.option(
    "--key",
    metavar="FILE|FINGERPRINT",
    help="Whose signatures are good; else: as the settings say, or those found at first use.",
)
@click.option(
    "--name", metavar="REPO", default="", help="The repository that it must be; else: the one found at first use."
)
@click.option(
    "--max-age", type=DURATION, default="0s", show_default=True, help="How old its statement may be; 0s: until it ends."
)
@click.option("--since", type=click.IntRange(min=0), default=0, metavar="N", help="The lowest generation that is good.")
@click.option(
    "--package",
    "packages",
    multiple=True,
    metavar="NAME",
    help="Builds of that name must be there; may be given again.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where what was seen is remembered; else: below state_dir of the settings.",
)
@click.option("--wait", type=DURATION, default="10s", show_default=True, help="How long a publish may take.")
@click.option("--timeout", type=DURATION, default="2m", show_default=True, help="How long a mirror may take.")
def verify(
    config: Path | None,
    urls: Sequence[str],
    *,
    key: str | None,
    name: str,
    max_age: int,
    since: int,
    packages: Sequence[str],
    state: Path | None,
    wait: int,
    timeout: int,
    as_json: bool,
) -> None:
    """Tell whether each URL shows a repository of repod as it is now: not frozen, rolled back, forked or mixed.

    A URL is what hosts have as baseurl: https://, http://, s3://, file://, a directory, or the name of a repository
    of the settings, with its url and keys. The first one is the origin: of the others it is told how far they are
    behind. What was seen is remembered for the next time.
    """
    settings = settings_of(config)
    places = {_url(settings, url): settings.repository[url].keys if url in settings.repository else () for url in urls}
    with contextlib.closing(Fetching(settings.s3, ca=settings.server.ca)) as fetcher:
        marks = Watermarks(state or Path(settings.state_dir) / "verify")
        how = How(
            fetcher=fetcher,
            trust=partial(_trust, key or "", places, fetcher, marks),
            marks=marks,
            demands=Demands(name=name, max_age=max_age, since=since),
            seconds=wait,
            deadline=timeout,
            packages=packages,
        )
        found = look(list(places), how, time.time)
    if as_json:
        show([_row(one) for one in found], as_json=True, empty="")
    else:
        _tell(found)
    sys.exit(worst([finding for one in found for finding in one.findings]))


def _trust(
    key: str, places: Mapping[str, Sequence[str]], fetcher: Fetching, marks: Watermarks, url: str
) -> tuple[Trust, bool]:
    """See ``How.trust``."""
    now, fingerprint = time.time(), fingerprint_of(key)
    if key and not fingerprint:
        return from_file(Path(key), now), False
    if pins := [fingerprint] if key else places[url]:
        return of_mirror(fetcher, url, now, pins), False
    kept = marks.key_of(url)
    return (Trust(kept, now), False) if kept else (of_mirror(fetcher, url, now), True)


def _url(settings: Settings, text: str) -> str:
    """What was given as the URL of a folder; a name is that of a repository of the settings."""
    known = settings.repository.get(text)
    if known and not known.url:
        msg = f"[repository.{text}] url is empty: set it to where hosts read {text}, or give the URL itself"
        raise click.UsageError(msg)
    return folder_url(known.url if known else text)


def _tell(found: Sequence[Looked]) -> None:
    for one in found:
        for finding in one.findings:
            click.echo(steerless(f"{finding.code.word}: {shown(one.url)}: {finding.text}"))
        said, stands = one.statement, f", {one.stands}" if one.stands else ""
        if said and not one.findings:
            text = f"fresh: {shown(one.url)}: {said.repository} generation {said.generation}, stated "
            text += f"{span(max(0, time.time() - said.issued))} ago, good until {stamp(said.expires)}{stands}"
            click.echo(steerless(text))
        for note in one.notes:
            click.echo(steerless(f"note: {shown(one.url)}: {note}"), err=True)


def _row(one: Looked) -> dict[str, object]:
    said = one.statement
    return {
        "url": shown(one.url),
        "fresh": not one.findings,
        "repository": said.repository if said else None,
        "generation": said.generation if said else None,
        "record": said.record if said else None,
        "published": stamp(said.published) if said else None,
        "issued": stamp(said.issued) if said else None,
        "expires": stamp(said.expires) if said else None,
        "keys": list(one.keys),
        "stands": one.stands or None,
        "findings": [{"code": finding.code.word, "text": finding.text} for finding in one.findings],
        "notes": list(one.notes),
    }
