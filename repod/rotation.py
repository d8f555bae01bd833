"""Which phase of a change of keys a repository is in, what is safe to do next, and what was done too early.

A change goes: publish the next key, a window in which hosts learn it, switch to it, sign all packages
anew, wait until nothing needs the last one, retire that.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from repod.hostkeys import Announced, HostKey, accepted
from repod.times import stamp

AHEAD = "ahead"
PUBLISH = "publish"
RESIGN = "resign"
WINDOW = "window"
SWITCH = "switch"
WAIT = "wait"
RETIRE = "retire"
STEADY = "steady"
PHASES: Sequence[str] = (AHEAD, PUBLISH, RESIGN, WINDOW, SWITCH, WAIT, RETIRE, STEADY)
"""Of several repositories under the same keys, the one whose phase stands first here decides what is next."""

Issuers = frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A kept generation that is not current: ``ended`` is when it ceased to be, in seconds since 1970.

    ``index`` names who signed its index; ``packages`` who signed each package that it lists.
    """

    number: int
    ended: float
    index: Issuers
    packages: frozenset[Issuers]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a repository shows its hosts.

    ``served``: fingerprints in the key file that hosts get. ``announced``: by fingerprint. ``index``:
    who signed the live index. ``signed``: how many listed packages there are by those who signed them.
    ``past``: newest first. ``grace`` is in seconds.
    """

    repository: str
    served: frozenset[str]
    announced: Mapping[str, Announced]
    index: Issuers
    signed: Mapping[Issuers, int]
    past: Sequence[Past]
    grace: float

    def count(self, key: HostKey) -> int:
        """How many listed packages are signed by ``key``."""
        return sum(number for issuers, number in self.signed.items() if accepted(issuers, [key]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Where a repository stands. ``faults``: what the settings have done too early; ``notes``: what else to know.

    ``next`` says what to do now; ``key`` is the fingerprint that the phase is about, empty where there is none.
    ``until``: before which it must not be done, in seconds since 1970.
    """

    repository: str
    phase: str
    next: str
    key: str = ""
    until: float | None = None
    faults: Sequence[str] = ()
    notes: Sequence[str] = field(default=())


def judge(keys: Sequence[HostKey], shown: Shown, *, now: float, window: float) -> Verdict:
    """The phase of one repository under ``keys``, of which the first signs. ``window`` is in seconds."""
    faults = [*early(keys, shown, now=now, window=window), *_taken_away(keys, shown, now)]
    if faults:
        text = "the settings are ahead of what hosts can bear; see the faults, and set back what they name"
        return Verdict(repository=shown.repository, phase=AHEAD, next=text, faults=faults, notes=_notes(keys, shown))
    phase, text, key, until = _next(keys, shown, now, window)
    return Verdict(repository=shown.repository, phase=phase, next=text, key=key, until=until, notes=_notes(keys, shown))


def _next(keys: Sequence[HostKey], shown: Shown, now: float, window: float) -> tuple[str, str, str, float | None]:
    """Phase, what to do, the key that it is about, and until when to wait."""
    own = keys[0]
    missing = [key for key in keys if key.fingerprint not in shown.served]
    if missing:
        text = "hosts do not get it yet: let repod read the settings (systemctl reload repod, or repod once)"
        return PUBLISH, text, missing[0].fingerprint, None
    last = [key for key in keys[1:] if _is_last(key, own, shown, now)]
    left = sum(shown.count(key) for key in last)
    if left or (last and not any(own.made(issuer) for issuer in shown.index)):
        what = f"{_packages(left)} still signed by the last key" if left else "the index is not signed by the key yet"
        text = f"{what}: repod resign {shown.repository}"
        return RESIGN, text, last[0].fingerprint, None
    coming = next((key for key in keys[1:] if key not in last and not _is_other(key, shown)), None)
    if coming:
        return _before_the_switch(coming, shown, now, window)
    if last:
        return _before_the_end(last[0], shown, now)
    return STEADY, "nothing; to change the key, make the next one and put its public key into published", "", None


def _before_the_switch(coming: HostKey, shown: Shown, now: float, window: float) -> tuple[str, str, str, float | None]:
    since = _since(coming, shown, now)
    if now < since + window:
        text = f"hosts learn it since {stamp(since)}: wait until {stamp(since + window)}"
        return WINDOW, text, coming.fingerprint, since + window
    text = f"hosts could learn it since {stamp(since)}: it may sign now"
    return SWITCH, text, coming.fingerprint, None


def _before_the_end(last: HostKey, shown: Shown, now: float) -> tuple[str, str, str, float | None]:
    needing = [past for past in shown.past if _needs(past, last)]
    ends = max((past.ended + shown.grace for past in needing), default=0.0)
    if ends > now:
        text = f"hosts may hold metadata of generation {needing[0].number}, which needs it, until {stamp(ends)}"
        return WAIT, text, last.fingerprint, ends
    if needing:
        first, newest = needing[-1].number, needing[0].number
        what = f"generations {first} to {newest} need it" if first != newest else f"generation {newest} needs it"
        text = (
            f"{what} until retention lets go of it; before, retire the key only if no host reads frozen views"
            f" that old, and run repod resign {shown.repository} after a rollback"
        )
        return WAIT, text, last.fingerprint, None
    return RETIRE, "nothing needs it any more: take it out of the settings", last.fingerprint, None


def _is_last(key: HostKey, own: HostKey, shown: Shown, now: float) -> bool:
    """Whether ``key`` signed here before ``own`` did; one that signed after it was set back, and is still to come."""
    began = _signed(key, shown)
    return began is not None and began <= (_signed(own, shown) or now)


def _is_other(key: HostKey, shown: Shown) -> bool:
    """Whether it is another's key, who signed packages that came with it."""
    return _signed(key, shown) is None and bool(shown.count(key))


def _signed(key: HostKey, shown: Shown) -> float | None:
    known = shown.announced.get(key.fingerprint)
    return known.signed if known else None


def _since(key: HostKey, shown: Shown, now: float) -> float:
    """Since when hosts can learn ``key``."""
    known = shown.announced.get(key.fingerprint)
    return now if known is None or known.until is not None else known.since


def early(keys: Sequence[HostKey], shown: Shown, *, now: float, window: float) -> Iterator[str]:
    """Why the signing key should not sign yet: hosts had no time to learn it since another one signed."""
    own = keys[0]
    began = _signed(own, shown) or now
    before = [
        one
        for one in shown.announced.values()
        if one.fingerprint != own.fingerprint and one.signed is not None and one.signed < began
    ]
    learnt = _since(own, shown, now) + window
    if before and began < learnt and now < learnt:
        newest = max(before, key=lambda one: one.signed or 0)
        yield (
            f"{own.fingerprint} signs, and hosts can learn it since {stamp(learnt - window)} only: until"
            f" {stamp(learnt)}, set key back to {newest.fingerprint} and leave the new one in published"
        )


def _taken_away(keys: Sequence[HostKey], shown: Shown, now: float) -> Iterator[str]:
    """Signatures that hosts need a key for which they are given no more."""
    back = f"put its public key back into [signing] published, or: repod resign {shown.repository}"
    for issuers, number in shown.signed.items():
        if not accepted(issuers, keys) and (was := _announced(issuers, shown)):
            yield f"{_packages(number)} signed by {was}, which hosts get no more: {back}"
    if shown.index and not _verified(shown.index, keys):
        yield f"the index is signed by {_names(shown.index)} only, which hosts get no more: {back}"
    for past in shown.past:
        if past.ended + shown.grace < now:
            break
        gone = [names for names in past.packages if not accepted(names, keys) and _announced(names, shown)]
        if gone and not any(names in shown.signed for names in gone):
            until = stamp(past.ended + shown.grace)
            yield (
                f"hosts may hold metadata of generation {past.number} until {until}, whose packages are signed by"
                f" {_announced(gone[0], shown)}, which hosts get no more: {back} until then"
            )
            break


def _notes(keys: Sequence[HostKey], shown: Shown) -> Sequence[str]:
    """What no setting of ours brought about: packages as others signed them, or nobody did."""
    others = [
        f"{_packages(shown.count(key))} signed by {key.fingerprint}, as they came; hosts get its public key"
        for key in keys[1:]
        if _is_other(key, shown)
    ]
    return others + [
        f"{_packages(number)} {f'signed by {_names(issuers)}' if issuers else 'not signed'}, as they came:"
        f" hosts with gpgcheck=1 refuse them; repod resign {shown.repository}"
        for issuers, number in shown.signed.items()
        if not accepted(issuers, keys) and not _announced(issuers, shown)
    ]


def _announced(issuers: Issuers, shown: Shown) -> str:
    """The key among ``issuers`` that hosts of this repository once got; empty where there is none."""
    made = (one.fingerprint for issuer in sorted(issuers) for one in shown.announced.values() if one.made(issuer))
    return next(made, "")


def _needs(past: Past, key: HostKey) -> bool:
    """Whether hosts can take that generation with ``key`` only."""
    by_index = bool(past.index) and all(key.made(issuer) for issuer in past.index)
    return by_index or any(accepted(issuers, [key]) for issuers in past.packages)


def _verified(index: Issuers, keys: Sequence[HostKey]) -> bool:
    """Whether hosts take an index: one signature by one of their keys is enough."""
    return any(key.made(issuer) for issuer in index for key in keys)


def _packages(number: int) -> str:
    return "1 package is" if number == 1 else f"{number} packages are"


def _names(issuers: Issuers) -> str:
    return ", ".join(sorted(issuers))
