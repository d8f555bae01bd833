"""``repod ring``: which builds the hosts of a ring are to run, for hosts that look for themselves."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from repod.actions.rings import rings
from repod.commands.common import by, deeds, settings_option
from repod.config import load
from repod.options import json_option, repository_argument, ring_argument, ring_change, ring_options, why_option
from repod.rings import RingChange
from repod.sheets import show_rings
from repod.show import show


@click.group()
def ring() -> None:
    """Say which builds hosts in pull mode are to run, ring by ring (repod-agent on hosts)."""


@ring.command("set")
@settings_option
@json_option
@repository_argument
@ring_argument
@ring_options
def set_(config: Path, name: str, ring_name: str, names: Sequence[str], why: str, *, as_json: bool, **how: Any) -> None:
    """Make hosts of RING run a BUILD of REPO: NAME (its newest), NAME-EVR or NAME-EVR.ARCH.

    Without a BUILD it names what it named, and the rest is changed. A WINDOW is such as 'Mon-Fri 22:00-04:00',
    by the clock of the host, or with ' UTC' at its end.
    """
    _set(config, name, ring_name, ring_change(names, how), why, as_json=as_json)


@ring.command("list")
@settings_option
@json_option
@repository_argument
def list_(config: Path, name: str, *, as_json: bool) -> None:
    """List the rings of REPO."""
    show_rings(rings(load(config), name)["rings"], as_json=as_json)


@ring.command("remove")
@settings_option
@json_option
@repository_argument
@ring_argument
@why_option
def remove(config: Path, name: str, ring_name: str, why: str, *, as_json: bool) -> None:
    """Remove RING: its hosts stay as they are."""
    show(deeds(load(config)).ring(name, ring_name, None, by(why)).rows, as_json=as_json, empty="")


@ring.command("pause")
@settings_option
@json_option
@repository_argument
@ring_argument
@why_option
def pause(config: Path, name: str, ring_name: str, why: str, *, as_json: bool) -> None:
    """Let no host of RING begin any more; those that have begun finish."""
    _set(config, name, ring_name, RingChange(paused=True), why, as_json=as_json)


@ring.command("resume")
@settings_option
@json_option
@repository_argument
@ring_argument
@why_option
def resume(config: Path, name: str, ring_name: str, why: str, *, as_json: bool) -> None:
    """Let hosts of RING go on."""
    _set(config, name, ring_name, RingChange(paused=False), why, as_json=as_json)


def _set(config: Path, name: str, ring_name: str, change: RingChange, why: str, *, as_json: bool) -> None:
    deed = deeds(load(config)).ring(name, ring_name, change, by(why))
    show_rings(deed.rows, as_json=as_json)
