"""repod: a daemon that owns yum/dnf repositories."""

__version__ = "0.1.0"
