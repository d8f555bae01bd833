"""Pushes files: proves them all, sends them side by side, and waits until a fresh client would see them.

1. Each file is proven (``proving.prove``). A build whose NEVRA the repository lists with another header is refused, one
   that is listed already is not sent again. Unless each file is to stand for itself, one that is wrong keeps all back.
2. The others are sent. One that fails stops none of the rest.
3. The inbox is asked what became of each; of those that were rejected the reasons are told.
4. The URL that hosts read is looked at until all of the others are seen there, or the time is over.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from repod.client.awaiting import Awaiting, Pending, result_of
from repod.client.fresh import Fresh
from repod.client.proving import prove
from repod.client.pushing import Drop, Outcome, Parcel, Result, Stopped, Teller, Ticket
from repod.errors import Misconfigured, Refused, RepodError
from repod.package import Nevra

SIDE_BY_SIDE = 4
"""Files that are sent at once."""

_STOPPED = "stopped; it was not sent"
_ORDER = (2, 1, 3, 4)

Headers = Callable[[Nevra], Sequence[str]]
"""The header digests under which a repository lists a NEVRA now; none where it does not, or where that is not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How is pushed. ``seconds``: how long is waited in all, None: not at all.

    ``each``: the good files are sent though others are wrong. ``replace``: also a NEVRA that is listed otherwise.
    """

    seconds: float | None = None
    each: bool = False
    replace: bool = False


def code_of(results: Sequence[Result]) -> int:
    """The exit code of a push: the one of the worst result, where trying again helps least."""
    codes = {result.code for result in results}
    return next((code for code in _ORDER if code in codes), 0)


class Push:
    """Pushes into one repository, once."""

    def __init__(
        self,
        drop: Drop,
        headers: Headers,
        fresh: Fresh | None,
        teller: Teller,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """``fresh``: what hosts read; None where nothing is waited for."""
        self._drop = drop
        self._headers = headers
        self._fresh = fresh
        self._teller = teller
        self._clock = clock
        self._pause = pause
        self._stop = threading.Event()
        self._results: dict[Path, Result] = {}

    def run(self, paths: Sequence[Path], how: How) -> Sequence[Result]:
        """What came of each file, in their order. An interrupt ends it early, with nothing half sent."""
        paths = list(dict.fromkeys(paths))
        pending: list[Pending] = []
        try:
            pending += self._admitted(self._proven(paths), how)
            if self._results and not how.each and any(result.code for result in self._results.values()):
                self._end_all(pending, "another file is wrong, so nothing was sent", code=0)
                return self._all(paths)
            waiting = Awaiting(self._drop, self._fresh, self._end, clock=self._clock, pause=self._pause)
            waiting.begin(pending)
            self._send([one for one in pending if not one.listed])
            left = [one for one in pending if one.parcel.path not in self._results]
            if how.seconds is None:
                for one in left:
                    self._end(result_of(one, "already" if one.listed else "sent", text=_ticket(one)))
            else:
                self._teller.doing("waiting until a fresh client sees it")
                waiting.run(left, how.seconds)
        except KeyboardInterrupt:
            self._end_all(pending, _STOPPED, code=1)
        return self._all(paths)

    def _all(self, paths: Sequence[Path]) -> Sequence[Result]:
        unsent = [Result(file=str(path), state="unsent", code=1, text=_STOPPED) for path in paths]
        return [self._results.get(path, none) for path, none in zip(paths, unsent, strict=True)]

    def _end_all(self, pending: Sequence[Pending], why: str, *, code: int) -> None:
        """Say of each that is left how far it came."""
        for one in pending:
            if one.parcel.path in self._results:
                continue
            if one.ticket:
                self._end(result_of(one, "sent", code=1, text=f"stopped, and not waited for; {_ticket(one)}"))
            else:
                self._end(result_of(one, "unsent", code=code, text=why))

    def _end(self, result: Result) -> None:
        self._results[Path(result.file)] = result
        self._teller.done(result)

    def _proven(self, paths: Sequence[Path]) -> list[Parcel]:
        parcels: list[Parcel] = []
        self._teller.doing(f"checking {len(paths)} files" if len(paths) > 1 else f"checking {paths[0].name}")
        with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
            for path, future in [(path, threads.submit(prove, path)) for path in paths]:
                try:
                    parcels.append(future.result())
                except RepodError as error:
                    self._end(Result(file=str(path), state="failed", code=error.exit_code, text=_told(path, error)))
        return parcels

    def _admitted(self, parcels: Sequence[Parcel], how: How) -> list[Pending]:
        """Those that are to be sent, or are listed already."""
        admitted: list[Pending] = []
        builds: dict[Nevra, Parcel] = {}
        for parcel in parcels:
            one, nevra = Pending(parcel=parcel), parcel.nevra
            if nevra is not None:
                other = builds.setdefault(nevra, parcel)
                if other.header_sha256 != parcel.header_sha256:
                    text = f"{other.path} is another build of {nevra}; push one of the two"
                    self._end(result_of(one, "refused", code=Misconfigured.exit_code, text=text))
                    continue
                listed = self._headers(nevra)
                one.listed = parcel.header_sha256 in listed
                if listed and not one.listed and not how.replace:
                    text = _taken(nevra, parcel.header_sha256, listed)
                    self._end(result_of(one, "refused", code=Refused.exit_code, text=text))
                    continue
            admitted.append(one)
        return admitted

    def _send(self, pending: Sequence[Pending]) -> None:
        """Send all of them; what came of it is known when this ends, also where it was interrupted."""
        if not pending:
            return
        self._teller.begin([one.parcel for one in pending])
        threads = ThreadPoolExecutor(SIDE_BY_SIDE)
        sending = {threads.submit(self._sent, one.parcel): one for one in pending}
        try:
            for future in as_completed(sending):
                self._take(sending[future], future)
        except KeyboardInterrupt:
            self._stop.set()
            threads.shutdown(cancel_futures=True)
            for future, one in sending.items():
                if one.ticket is None and not future.cancelled():
                    self._take(one, future)
            raise
        threads.shutdown()

    def _sent(self, parcel: Parcel) -> Ticket:
        def sent(count: int) -> None:
            if self._stop.is_set():
                raise Stopped(_STOPPED)
            self._teller.sent(parcel, count)

        return self._drop.send(parcel, sent)

    def _take(self, one: Pending, future: "Future[Ticket]") -> None:
        try:
            one.ticket = future.result()
        except Stopped:
            return
        except RepodError as error:
            state: Outcome = "refused" if isinstance(error, Refused) else "failed"
            self._end(result_of(one, state, code=error.exit_code, text=_told(one.parcel.path, error)))


def _told(path: Path, error: RepodError) -> str:
    """What an error says, without the file's name, which stands before it."""
    return str(error).removeprefix(f"{path}: ").removeprefix(f"{path.name}: ")


def _ticket(one: Pending) -> str:
    if one.ticket is None:
        return "this build is listed already"
    renamed = f" as {one.ticket.file}" if one.ticket.file != one.parcel.name else ""
    return f"it lies in the inbox{renamed}; follow it by trace {one.ticket.trace}"


def _taken(nevra: Nevra, mine: str, listed: Sequence[str]) -> str:
    return (
        f"{nevra} is listed with other bytes (header {listed[0][:16]}…, this file has {mine[:16]}…), and hosts that "
        "have it would never get this one; build it with a new release (iteration). For a repository with "
        'duplicates = "replace" there is --replace'
    )
