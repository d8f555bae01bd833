"""Waits until what was pushed is seen by a fresh client, or was rejected, or the time is over."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from repod.client.fleet import Wanted
from repod.client.fresh import Fresh, Seen, last, pauses
from repod.client.pushing import Drop, Fate, Outcome, Parcel, Result, Ticket
from repod.errors import Misconfigured, RepodError, Unavailable
from repod.numerals import number

POLICY = frozenset({"unsigned", "signer", "arch", "source", "name", "size", "conflict", "file-digest", "profile"})
"""The reasons for a rejection that are rules of the repository, and no damage of the file."""

_REFUSED, _FAILED = 3, 1
_LONGEST_PAUSE = 2.0


@dataclass(slots=True, kw_only=True)
class Pending:
    """A file on its way: ``listed`` already before it was sent, or sent with a ``ticket``; and what is known of it."""

    parcel: Parcel
    listed: bool = False
    ticket: Ticket | None = None
    fate: Fate | None = None
    doubt: str = ""

    @property
    def wanted(self) -> Wanted | None:
        """What a fresh client is to see; None of a document."""
        nevra = self.parcel.nevra
        return Wanted(nevra=nevra, header_sha256=self.parcel.header_sha256) if nevra else None


def result_of(one: Pending, state: Outcome, *, code: int = 0, text: str = "", generation: int | None = None) -> Result:
    """What came of it."""
    parcel, fate = one.parcel, one.fate
    sent = one.ticket or Ticket(file=parcel.name, sha256=parcel.sha256, size=parcel.size)
    return Result(
        file=str(parcel.path),
        state=state,
        code=code,
        text=text,
        sha256=sent.sha256,
        size=sent.size,
        trace=sent.trace,
        package=str(parcel.nevra or ""),
        generation=generation or (fate.generation if fate else None),
        packages=fate.packages if fate else (),
        faults=fate.faults if fate else (),
    )


class Awaiting:
    """Waits for the files of one push."""

    def __init__(
        self,
        drop: Drop,
        fresh: Fresh | None,
        end: Callable[[Result], object],
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """``end`` hears what came of each. ``fresh`` may be None where ``run`` is not called."""
        self._drop = drop
        self._fresh = fresh
        self._end = end
        self._clock = clock
        self._pause = pause
        self._before = 0

    def begin(self, pending: Sequence[Pending]) -> None:
        """Look what hosts read before anything is sent: the next generation is the first that may have a document."""
        if self._fresh is not None and any(one.parcel.nevra is None for one in pending):
            self._before = number(self._fresh.look().revision) or 0

    def run(self, pending: Sequence[Pending], seconds: float) -> None:
        """Wait at most so long; each has ended when this does."""
        if self._fresh is None:
            msg = "nothing can be waited for: where hosts read the repository is not known"
            raise Misconfigured(msg)
        end = self._clock() + seconds
        left = list(pending)
        waits = pauses()
        while left:
            left = [one for one in left if not self._rejected(one)]
            ready = [one for one in left if one.listed or (one.fate and one.fate.state != "waiting") or one.doubt]
            seen = self._fresh.look([wanted for one in ready if (wanted := one.wanted)]) if ready else None
            left = [one for one in left if one not in ready or seen is None or not self._is_seen(one, seen)]
            wait = min(_LONGEST_PAUSE, next(waits))
            if left and self._clock() + wait > end:
                for one in left:
                    self._late(one, seen if one in ready else None, seconds)
                return
            if left:
                self._pause(wait)

    def _rejected(self, one: Pending) -> bool:
        """Ask what became of it; whether it was rejected."""
        if one.ticket is None or (one.fate and one.fate.state == "published"):
            return False
        try:
            one.fate, one.doubt = self._drop.fate(one.ticket), ""
        except RepodError as error:
            # Who may only send is not told; what hosts read says it all the same.
            one.doubt = str(error)
            return False
        if one.fate.state != "rejected":
            return False
        policy = bool(one.fate.faults) and all(fault.get("code") in POLICY for fault in one.fate.faults)
        lines = [_line(fault) for fault in one.fate.faults] or ["the repository does not say why"]
        self._end(result_of(one, "rejected", code=_REFUSED if policy else _FAILED, text="\n".join(lines)))
        return True

    def _is_seen(self, one: Pending, seen: Seen) -> bool:
        if seen.fault or not seen.reached(self._least(one)):
            return False
        wanted = one.wanted
        if wanted and wanted.nevra in seen.missing:
            return False
        revision = number(seen.revision)
        generation = one.fate.generation if one.fate and one.fate.generation else revision
        where = f"a fresh client sees it at {seen.url}"
        text = f"it was listed already; {where}" if one.listed else where
        self._end(result_of(one, "already" if one.listed else "published", text=text, generation=generation))
        return True

    def _least(self, one: Pending) -> int:
        """The first generation that may show it."""
        if one.fate and one.fate.generation:
            return one.fate.generation
        return 0 if one.parcel.nevra else self._before + 1

    def _late(self, one: Pending, seen: Seen | None, seconds: float) -> None:
        wanted = one.wanted
        what = last(seen, [wanted] if wanted else [], self._least(one)) if seen else ""
        if one.fate and one.fate.state == "waiting":
            what = f"it still waits in the inbox ({one.fate.why or 'its turn has not come'}); is the daemon running?"
        elif one.doubt:
            what = f"{what}; what became of it is not told ({one.doubt})" if what else one.doubt
        text = f"not seen by a fresh client within {seconds:g} s: {what}"
        self._end(result_of(one, "late", code=Unavailable.exit_code, text=text))


def _line(fault: Mapping[str, str]) -> str:
    text, remedy = fault.get("text", ""), fault.get("remedy", "")
    return f"{text}\n{remedy}" if remedy else text
