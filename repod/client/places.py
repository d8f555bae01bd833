"""Files and folders that ``repoctl.toml`` names: relative ones are relative to the file, ``~`` is the caller's home.

Whatever makes settings of a tree hands over ``Base`` as pydantic's context; without one a place stays as it is.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """From where relative places are meant: the folder of the settings, and the home of who calls.

    ``stray``: the settings file, where nobody named it: it was found in the folder in which repoctl runs.
    """

    folder: Path
    home: Path
    stray: Path | None = None


def _joined(value: str, info: ValidationInfo) -> str:
    base = info.context
    if not isinstance(base, Base) or not value or "://" in value:
        return value
    if value == "~" or value.startswith("~/"):
        return str(base.home / value[2:])
    return str(base.folder / value)


LocalFile = Annotated[str, AfterValidator(_joined)]
"""A file or folder on this machine, or a URL, which stays as it is; empty: none."""
