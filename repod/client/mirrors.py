"""Looks at mirrors of a repository: each read, proven, judged, and compared with the first."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from repod.client import chain
from repod.client.fetching import Fetcher, shown
from repod.client.fresh import Fresh
from repod.client.sighting import sight
from repod.client.trust import Trust
from repod.client.verdict import Chain, Code, Demands, Finding, Mark, compared, judge, remembered
from repod.client.watermark import Watermarks
from repod.errors import NotFound, Refused, RepodError, Unavailable
from repod.statement import Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What came of a look at one URL. ``stands``: how it stands to the first one. ``notes`` are no faults."""

    url: str
    statement: Statement | None = None
    findings: Sequence[Finding] = ()
    keys: Sequence[str] = ()
    stands: str = ""
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How mirrors are looked at. ``trust`` gives the keys for a URL, and whether they are trusted since just now.

    ``seconds``: for which what changes is looked at again; ``deadline``: after which a mirror that still has not
    answered is given up, however slowly it sends. ``packages``: names of packages that must be there.
    """

    fetcher: Fetcher
    trust: Callable[[str], tuple[Trust, bool]]
    marks: Watermarks
    demands: Demands
    seconds: float
    deadline: float
    packages: Sequence[str] = ()


def look(urls: Sequence[str], how: How, now: Callable[[], float]) -> Sequence[Looked]:
    """What each URL shows, in their order; the first is the origin that the others are compared with."""
    found = _beside([partial(_look, url, how, now) for url in urls], urls, how.deadline)
    origin = found[0].statement
    if origin is None:
        return found
    return [found[0], *(_compared(origin, one) for one in found[1:])]


def _compared(origin: Statement, one: Looked) -> Looked:
    if one.statement is None:
        return one
    stands, contradictions = compared(origin, one.statement)
    return replace(one, stands=stands, findings=[*one.findings, *contradictions])


def _look(url: str, how: How, now: Callable[[], float]) -> Looked:
    try:
        mark = how.marks.recall(url)
        trust, first_use = how.trust(url)
        sighting = sight(how.fetcher, url, trust, seconds=how.seconds)
        statement = sighting.statement
        findings = [*judge(sighting, how.demands, mark, now())]
        notes = [f"trusted on first use: {', '.join(trust.fingerprints)}; pin it: --key"] if first_use else []
        if statement and mark and statement.generation > mark.generation and remembered(findings):
            linked = _linked(how.fetcher, url, statement, mark)
            findings += [Finding(Code.FORKED, linked.broken)] if linked.broken else []
            notes += [f"not proven to follow generation {mark.generation}: {linked.unknown}"] if linked.unknown else []
        if statement and remembered(findings):
            if first_use:
                how.marks.pin(url, trust.armored)
            how.marks.raise_to(url, statement, mark)
            findings += _missing(how, url, trust)
    except Refused as error:
        return Looked(url=url, findings=[Finding(Code.KEY, str(error))])
    except (Unavailable, NotFound) as error:
        return Looked(url=url, findings=[Finding(Code.UNREACHABLE, str(error))])
    return Looked(url=url, statement=statement, findings=findings, keys=trust.fingerprints, notes=notes)


def _linked(fetcher: Fetcher, url: str, statement: Statement, mark: Mark) -> Chain:
    try:
        return chain.walk(fetcher, url, statement, mark)
    except Unavailable as error:
        return Chain(unknown=str(error))


def _missing(how: How, url: str, trust: Trust) -> Sequence[Finding]:
    """What of the packages that must be there is not listed, or not there."""
    if not how.packages:
        return []
    found: list[Finding] = []
    try:
        fresh = Fresh(url, how.fetcher, signed=lambda _keys, data, signature: trust.prove(data, signature))
        listed = fresh.now(set(how.packages))
    except RepodError as error:
        return [Finding(Code.PACKAGE, f"packages cannot be looked at: {error}")]
    names = {one.nevra.name for one in listed}
    found += [Finding(Code.PACKAGE, f"no build of {name} is listed") for name in how.packages if name not in names]
    for one in listed:
        try:
            fresh.header_of(one)
        except RepodError as error:
            found.append(Finding(Code.PACKAGE, f"{one.nevra}: {error}"))
    return found


def _beside(calls: Sequence[Callable[[], Looked]], urls: Sequence[str], deadline: float) -> Sequence[Looked]:
    """What the calls return, made beside each other; one that does not end in time is left behind.

    Nobody waits for its thread, not even the end of the process: a server may send a byte every now and then for ever.
    """
    results: dict[int, Looked | BaseException] = {}

    def run(number: int, call: Callable[[], Looked]) -> None:
        try:
            results[number] = call()
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is wanted
            results[number] = error

    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + deadline
    found: list[Looked] = []
    for number, thread in enumerate(threads):
        thread.join(max(0.0, end - time.monotonic()))
        result = results.get(number)
        if isinstance(result, BaseException):
            raise result
        late = Finding(Code.UNREACHABLE, f"{shown(urls[number])}: not read within {deadline:g} s; see --timeout")
        found.append(result or Looked(url=urls[number], findings=[late]))
    return found
