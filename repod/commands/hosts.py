"""``repod hosts list`` and ``hosts forget``: which hosts report what they run."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from repod.commands.common import by, means, settings_option
from repod.config import load
from repod.errors import Misconfigured
from repod.options import json_option, repository_argument, warn
from repod.recording import open_record
from repod.show import show


@click.group()
def hosts() -> None:
    """Hosts that report what they run, so that retention keeps it."""


_PROGRAM = "repod-report"
_FILES = (_PROGRAM, *(f"{_PROGRAM}{end}" for end in (".conf", ".service", ".timer", ".path")))


@hosts.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False))
def program(folder: Path) -> None:
    """Write repod-report, by which a host reports, into FOLDER: one file of sh, its settings, units for systemd."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            path = folder / name
            path.write_bytes(files("repod.hosts").joinpath("files", name).read_bytes())
            path.chmod(0o755 if name == _PROGRAM else 0o644)
            click.echo(f"written  {path}")
    except OSError as error:
        msg = f"{folder} cannot be written ({error}); name a folder that can"
        raise Misconfigured(msg) from error
    click.echo(f"next: edit {_PROGRAM}.conf, and copy all of it to hosts as {_PROGRAM}.timer says")


@hosts.command("list")
@settings_option
@json_option
@repository_argument
@click.option("--package", default="", metavar="NAME", help="Only hosts that run a build of that name.")
def list_(config: Path, name: str, package: str, *, as_json: bool) -> None:
    """List the hosts that report to REPO: when, how many packages, and with --package which builds."""
    from repod.actions.hosts import Hosts  # noqa: PLC0415 - its models take long to make
    from repod.actions.newest import newest_listed  # noqa: PLC0415

    with_log = means(load(config))
    repository = with_log.settings.named(name)
    found = Hosts(repository, with_log.book(name), lambda: newest_listed(with_log.settings, name))
    rows, warnings = found.rows(package)
    if as_json:
        show([row.model_dump(mode="json") for row in rows], as_json=True, empty="")
    else:
        show([_brief(row) for row in rows], as_json=False, empty="no host has reported")
    warn(warnings)


def _brief(row: Any) -> dict[str, Any]:
    differs = [build for build in row.builds if build.differs]
    said = [f"{build.package} (newest: {build.newest})" for build in differs]
    return {
        "host": row.host,
        "reported": f"{row.reported:%Y-%m-%dT%H:%M:%SZ}" + (" (too old to count)" if row.stale else ""),
        "packages": row.packages,
        "of here": len(row.builds),
        "not the newest": ", ".join(said) or "-",
    }


@hosts.command()
@settings_option
@repository_argument
@click.argument("host", metavar="HOST")
def forget(config: Path, name: str, host: str) -> None:
    """Remove what HOST reported to REPO: it is gone, and what it ran is not kept for it any more."""
    from repod.actions.reports import SettledReports  # noqa: PLC0415

    with_log = means(load(config))
    SettledReports(with_log, open_record(with_log.settings, with_log.log)).forget(name, host, by())
