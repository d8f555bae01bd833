"""How the listener and its repositories are called, as the settings say it: never as a request does."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """``hosts``: names of the listener in lower case, shell patterns among them.

    ``urls``: where hosts find each repository, with a slash at the end.
    """

    hosts: frozenset[str] = frozenset(("localhost",))
    urls: Mapping[str, str] = field(default_factory=dict)
