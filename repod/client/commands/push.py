"""``push``: packages and documents into a repository."""

import contextlib
import dataclasses
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from repod.client.commands.common import settings_of, settings_option
from repod.client.pushing import Result
from repod.client.settings import Settings
from repod.options import json_option
from repod.values import seconds

_WAIT = "600"


class _Push(click.Command):
    """``--wait`` may stand alone, also before a file: its value is only what follows a ``=``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See ``click.Command``."""
        end = args.index("--") if "--" in args else len(args)
        words = [f"--wait={_WAIT}" if word == "--wait" else word for word in args[:end]]
        return super().parse_args(ctx, [*words, *args[end:]])


class _Duration(click.ParamType[float]):
    """Seconds, or a number with a unit."""

    name = "SECONDS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See ``click.ParamType``."""
        try:
            found = float(value) if str(value).replace(".", "", 1).isdecimal() else float(str(seconds(value)))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return found


@click.command(cls=_Push)
@click.argument("repository", metavar="REPO")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--wait",
    type=_Duration(),
    metavar="[=SECONDS]",
    help="Wait until a fresh client sees it at the URL that hosts read, at most so long (10m; also =90s, =1h).",
)
@click.option(
    "--all-or-nothing/--each",
    "together",
    default=True,
    help="Send nothing where one file is wrong (the default), or send the good ones all the same.",
)
@click.option(
    "--replace",
    is_flag=True,
    help='Send a build though its NEVRA is listed with other bytes, for a repository with duplicates = "replace".',
)
@settings_option
@json_option
def push(
    repository: str,
    files: Sequence[Path],
    *,
    wait: float | None,
    together: bool,
    replace: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Push packages and documents into a repository.

    Each file is proven first: a damaged or truncated package is not sent. Then it goes to the daemon, or to the inbox
    that the settings name ([repository.REPO] inbox). Without --wait each file gets a ticket; with it the exit code is
    0 only when a fresh client would see all of them, caches and CDN included, and rejected files tell their reasons.
    """
    from repod.client.push import How, code_of  # noqa: PLC0415 - see _run

    how = How(seconds=wait, each=not together, replace=replace)
    with _interrupted():
        results = _run(settings_of(config), repository, files, how, as_json=as_json)
    code = code_of(results)
    if as_json:
        click.echo(json.dumps(_document(repository, results, code), indent=1))
    if code:
        sys.exit(code)


def _run(settings: Settings, name: str, files: Sequence[Path], how: Any, *, as_json: bool) -> Sequence[Result]:
    # httpx, lxml and rpm-rs take their time, and --help needs none of them.
    from repod.client.api import open_api  # noqa: PLC0415
    from repod.client.bars import telling  # noqa: PLC0415
    from repod.client.opening import listed_headers, open_drop, open_fresh, repository_of  # noqa: PLC0415
    from repod.client.push import Push  # noqa: PLC0415
    from repod.client.tokens import find_token  # noqa: PLC0415
    from repod.client.wire import HURRIED, PATIENT  # noqa: PLC0415

    patience = HURRIED if repository_of(settings, name).inbox else PATIENT
    with contextlib.ExitStack() as stack:
        token = find_token(settings.server, os.environ)
        api = stack.enter_context(open_api(settings, os.environ, token=token, patience=patience))
        drop = open_drop(settings, name, api)
        fresh = open_fresh(settings, name, api, token) if how.seconds is not None else None
        told = stack.enter_context(telling(as_json=as_json))
        headers = listed_headers(name, api, lambda: fresh or open_fresh(settings, name, api, token))
        return Push(drop, headers, fresh, told).run(files, how)


@contextlib.contextmanager
def _interrupted() -> Iterator[None]:
    """SIGTERM, by which CI ends a job, is an interrupt too: what is half sent is taken back."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _document(repository: str, results: Sequence[Result], code: int) -> dict[str, Any]:
    return {"repository": repository, "code": code, "files": [dataclasses.asdict(result) for result in results]}
