"""Small files of the state directory: written whole, and lost without harm."""

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from repod import jsontext

_STAGE = ".new"


def recall(path: Path) -> Any:
    """What ``remember`` put there; None where it cannot be read."""
    try:
        return jsontext.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def remember(path: Path, tree: Any) -> None:
    """Write ``tree`` as JSON, in a folder that is made where it is missing; where that fails, nothing happens."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        stage, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=_STAGE)
        try:
            with os.fdopen(stage, "wb") as file:
                file.write(json.dumps(tree).encode())
            Path(name).replace(path)
            # Of who was stopped; another who writes beside this one has lost then, without harm.
            for left_over in path.parent.glob(f"{path.name}.*{_STAGE}"):
                left_over.unlink(missing_ok=True)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
