"""``repod check``: what would stop or hurt the daemon."""

import os
import sys
import time
from pathlib import Path

import click

from repod.check import check_all
from repod.checkkeys import check_settings
from repod.commands.common import settings_option
from repod.config import load
from repod.errors import Misconfigured
from repod.options import json_option
from repod.show import show


@click.command()
@settings_option
@json_option
def check(config: Path, *, as_json: bool) -> None:
    """Check settings, keys, stores, inboxes and the clock: all faults at once."""
    findings = [*check_settings(config), *check_all(load(config), time.time(), os.environ)]
    rows = [{"severity": f.severity, "where": f.where, "what": f.text} for f in findings]
    show(rows, as_json=as_json, empty="no faults")
    if any(row["severity"] == "fault" for row in rows):
        sys.exit(Misconfigured.exit_code)
