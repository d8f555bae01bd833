"""repod: a daemon that owns yum/dnf repositories."""

from importlib.metadata import version

__version__ = version("repod")
