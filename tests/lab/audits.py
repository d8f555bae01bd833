"""What tests of the audit log write down, and read of it."""

import json
from pathlib import Path
from typing import Any

from repod.office import By, Noted

TIME = 1_795_665_600.25  # 2026-11-26T04:00:00.250Z


def noted(what: str = "rollback") -> Noted:
    """A change that was done."""
    by = By(actor="token ci", address="10.0.0.7", why="it crashes")
    return Noted(time=TIME, by=by, what=what, repository="el9-prod", details={"to": 41}, outcome="done: generation 43")


def read(path: Path) -> list[dict[str, Any]]:
    """The records of a file; there may be none yet."""
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
