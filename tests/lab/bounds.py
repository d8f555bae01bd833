"""What worker processes of tests may see: the folder of all temporary files."""

import tempfile
from pathlib import Path

from repod.confinement.bounds import Bounds


def temporary(memory: int = 2 << 30) -> Bounds:
    """Files below the temporary folder, to be read and changed; ``memory`` bytes of address space."""
    return Bounds(writes=[Path(tempfile.gettempdir())], largest=16 << 30, memory=memory)
