"""Numbers, lists and words of strangers in texts for people."""

from collections.abc import Sequence


def counted(number: int, thing: str, several: str = "") -> str:
    """``1 host``, ``2 hosts``; ``several`` where an ``s`` does not make it."""
    return f"{number} {thing}" if number == 1 else f"{number} {several or f'{thing}s'}"


def few(texts: Sequence[str], shown: int, between: str = ", ") -> str:
    """The first of many, and how many more there are: ``a, b, c and 4 more``."""
    return between.join(texts[:shown]) + (f" and {len(texts) - shown} more" if len(texts) > shown else "")


def steerless(text: str) -> str:
    """One line as it may be shown: texts of strangers never steer a terminal."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
