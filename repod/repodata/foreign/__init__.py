"""The documents of a repository that another tool made; ``read`` is the way in."""

from repod.repodata.foreign.repository import read

__all__ = ["read"]
