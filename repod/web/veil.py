"""What is known of a build, without the names of repositories that are not for who asks."""

from collections.abc import Callable, Mapping
from typing import Any

Sees = Callable[[str], bool]
"""Whether a repository is for who asks."""


def named(build: Mapping[str, Any]) -> set[str]:
    """The repositories that a row of ``Looks.builds`` names."""
    sources = {_source(step) for step in build["came"]} - {""}
    return {*build["elsewhere"], *(step["repository"] for step in build["came"]), *sources}


def veiled(build: Mapping[str, Any], sees: Sees) -> Mapping[str, Any]:
    """The row without them."""
    return {
        **build,
        "came": [_step(step, sees) for step in build["came"] if sees(step["repository"])],
        "elsewhere": {other: text for other, text in build["elsewhere"].items() if sees(other)},
    }


def _step(step: Mapping[str, Any], sees: Sees) -> Mapping[str, Any]:
    source = _source(step)
    return step if not source or sees(source) else {**step, "of": "another repository", "why": ""}


def _source(step: Mapping[str, Any]) -> str:
    return str(step["of"].rpartition("@")[0]) if step["how"] == "promotion" else ""
