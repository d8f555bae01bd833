"""The keys that hosts are given: what each is for, and which signatures are by it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from repod.times import stamp
from repod.wording import counted

SIGNS, COSIGNS, PUBLISHED = "signs", "cosigns", "published"
"""What a key is for: ``cosigns`` is for indexes only; ``published`` signs nothing now."""


_FULL = 40  # digits of a fingerprint of version 4


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKey:
    """One certificate that hosts get.

    ``fingerprint`` is the primary key's; ``members`` are those of all its keys, any of which may have
    made a signature; all in upper case. ``role`` is the first of the three that it has. ``created``
    and ``expires`` are seconds since 1970 (None: never), ``source`` is what the settings say of it.
    """

    role: str
    fingerprint: str
    members: frozenset[str]
    algorithm: str
    created: int
    expires: float | None
    source: str
    certificate: bytes
    warnings: Sequence[str] = ()

    def made(self, issuer: str) -> bool:
        """Whether the issuer that a signature names, a fingerprint or a key ID, is one of its keys."""
        return _is_by(issuer, self.members)


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """One key as hosts could learn it: from ``since`` to ``until`` (None: still), seconds since 1970.

    ``members`` as in ``HostKey``. ``signed`` is since when it was the one that signs (None: it never was).
    """

    fingerprint: str
    since: float
    members: Sequence[str] = ()
    until: float | None = None
    signed: float | None = None

    def made(self, issuer: str) -> bool:
        """See ``HostKey.made``."""
        return _is_by(issuer, self.members)


WARN_BEFORE = 30 * 86400.0
"""Seconds before a key's end from which on everybody is told."""

_EXTENDING = "Or extend it: hosts whose rpm reads keys with Sequoia must then remove it and import it anew"


def ending(key: HostKey, now: float) -> str:
    """What is to be said of a key that expires within ``WARN_BEFORE``, or did; empty for any other."""
    if key.expires is None or key.expires > now + WARN_BEFORE:
        return ""
    if key.role == PUBLISHED:
        remedy = "repod keys rotate says whether hosts still need it"
    else:
        remedy = f"replace it: repod keys rotate. {_EXTENDING} (gpg --quick-set-expire {key.fingerprint} 2y)"
    if key.expires <= now:
        return f"{key.fingerprint} ({key.role}) expired at {stamp(key.expires)}; {remedy}"
    days = int((key.expires - now) // 86400)
    return f"{key.fingerprint} ({key.role}) expires in {counted(days, 'day')}, at {stamp(key.expires)}; {remedy}"


def distinct(keys: Iterable[HostKey]) -> list[HostKey]:
    """Each key once, with its first role."""
    found: dict[str, HostKey] = {}
    for key in keys:
        found.setdefault(key.fingerprint, key)
    return list(found.values())


def accepted(issuers: Collection[str], keys: Iterable[HostKey]) -> bool:
    """Whether one of ``keys`` made all of the signatures that name ``issuers``, of which there is one at least."""
    return bool(issuers) and any(all(key.made(issuer) for issuer in issuers) for key in keys)


def _is_by(issuer: str, members: Collection[str]) -> bool:
    return issuer in members or (0 < len(issuer) < _FULL and any(member.endswith(issuer) for member in members))
