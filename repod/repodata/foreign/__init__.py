"""The documents of a repository that another tool made; ``read`` and ``open_texts`` are the ways in."""

from repod.repodata.foreign.repository import open_texts, read

__all__ = ["open_texts", "read"]
