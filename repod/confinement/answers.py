"""What a process that reads strangers' files answers, read as a stranger's word.

A pickle says which functions are called to read it: whoever took such a process over by a file
would have its parent call whatever he likes.
"""

import builtins
import importlib
import io
import pickle  # nosec B403
from collections.abc import Sequence
from dataclasses import is_dataclass
from enum import Enum
from pathlib import PosixPath
from typing import Any

from repod.confinement.shapes import misfit

_ERRORS = "repod.errors"


class Dishonest(Exception):
    """An answer that no honest process gives."""


def read(data: bytes, modules: Sequence[str]) -> tuple[bool, Any]:
    """``data`` as whether a task was done, and its result or error: plain data, and what ``modules`` name.

    Of those modules dataclasses, enumerations and errors come through, and errors of Python itself.
    Raises ``Dishonest``.
    """
    try:
        done, answer = _Reader(io.BytesIO(data), modules).load()
    except Dishonest:
        raise
    except Exception as error:  # pickle raises whatever it meets
        msg = f"its answer cannot be read ({type(error).__name__}: {error})"
        raise Dishonest(msg) from error
    if not isinstance(done, bool) or not (done or isinstance(answer, Exception)):
        msg = "its answer is neither a result nor an error"
        raise Dishonest(msg)
    field = misfit(answer)
    if field:
        msg = f"its answer holds something else in {field} than belongs there"
        raise Dishonest(msg)
    return done, answer


class _Reader(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, modules: Sequence[str]) -> None:
        super().__init__(file)
        self._modules = (*modules, _ERRORS)

    def find_class(self, module: str, name: str) -> Any:
        """What a pickle may make: values. Nothing else is even looked up."""
        if module == "builtins":
            found = getattr(builtins, name, None)
            if found in {set, frozenset} or _is_error(found):
                return found
        elif module in {"pathlib", "pathlib._local"} and name in {"PosixPath", "Path"}:
            return PosixPath
        elif module in self._modules:
            found = getattr(importlib.import_module(module), name, None)
            if isinstance(found, type) and (is_dataclass(found) or issubclass(found, Enum) or _is_error(found)):
                return found
        msg = f"its answer names {module}.{name}, which no answer holds"
        raise Dishonest(msg)


def _is_error(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, Exception)
