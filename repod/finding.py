"""What an audit finds, and what a repair does about it: one line each."""

from dataclasses import dataclass

FAULT, NOTE, MENDED = "fault", "note", "mended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the answer. ``severity``: ``fault`` (clients are or may be hurt), ``note`` or ``mended``.

    ``what`` says what kind of thing ``path`` is, so that a repair knows what to do: ``pointer``,
    ``record``, ``live``, ``frozen``, ``document``, ``content``, ``package``, ``host``, ``rings`` or ``stray``.
    """

    severity: str
    path: str
    text: str
    what: str


def fault(what: str, path: str, text: str) -> Finding:
    """A breach that hurts clients, or may."""
    return Finding(severity=FAULT, path=path, text=text, what=what)


def note(what: str, path: str, text: str) -> Finding:
    """Something that a person may want to know."""
    return Finding(severity=NOTE, path=path, text=text, what=what)


def mended(what: str, path: str, text: str) -> Finding:
    """A repair that was made."""
    return Finding(severity=MENDED, path=path, text=text, what=what)
