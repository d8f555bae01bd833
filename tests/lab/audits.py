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
    """The records of a file; there may be none yet, and the last may be half written."""
    whole = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
    return [json.loads(line) for line in whole.splitlines()]
