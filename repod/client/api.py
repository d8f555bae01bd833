"""The daemon, as ``repoctl`` asks it: a method for each operation of the API, with plain values for answers.

Every method may raise ``Misconfigured`` (wrong server, token or request), ``Refused`` (not allowed, or a policy says
no), ``NotFound``, ``Conflict``, ``Unavailable`` and ``OutcomeUnknown``, each with the daemon's own lines.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from repod.client.asking import Asking, at, word
from repod.client.settings import Settings
from repod.client.tokens import Token, find_token
from repod.client.wire import PATIENT, Patience, Wire
from repod.errors import NotFound, Unavailable
from repod.office import Arrival, Deed, Far, Refusal, Row, State
from repod.package import Nevra
from repod.rings import RingChange

if TYPE_CHECKING:  # its models take long to make, and most commands need none
    from repod.reports import Rollout

_PAGE = 500
_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)  # seconds, until what was just published can be searched
_PIECE = 1 << 18


def open_api(
    settings: Settings, environ: Mapping[str, str], *, token: Token | None = None, patience: Patience = PATIENT
) -> "Api":
    """The daemon that the settings name, asked with ``token``, or the one that environment and settings have."""
    return Api(Wire(settings.server, token or find_token(settings.server, environ), patience))


class Api:
    """One daemon. May be used by many threads; a context manager, which closes it."""

    def __init__(self, wire: Wire) -> None:
        """``wire`` is closed with it."""
        self._wire = wire
        self._asking = Asking(wire)

    @property
    def url(self) -> str:
        """Where the daemon is, without a slash at the end."""
        return self._wire.server.url

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    # ------------------------------------------------------------------ questions

    def version(self) -> Mapping[str, Any]:
        """Which repod answers: ``version`` and ``api``."""
        return self._asking.one("/version")

    def caller(self) -> Mapping[str, Any]:
        """Whom the token makes the caller: ``caller``, ``verbs``, ``repositories``.

        ``Misconfigured`` where there is no token or it is not known, also where anyone may read.
        """
        return self._asking.one("/caller")

    def states(self) -> Sequence[State]:
        """Every repository that the caller may read."""
        return [self._asking.made(State, row) for row in self._asking.many("/repositories")]

    def state(self, repository: str) -> State:
        """One repository now."""
        return self._asking.made(State, self._asking.one(at(repository)))

    def generation(self, repository: str) -> int | None:
        """The number of its current generation; None where nothing was published yet."""
        return self.state(repository).generation

    def packages(self, repository: str, *, name: str = "", nevra: str = "") -> Sequence[Row]:
        """All packages that the current generation lists, in the order in which its documents do.

        ``nevra`` may be a shell pattern. Empty texts ask for all.
        ``Unavailable`` where the daemon does not know them yet.
        """
        wanted = {"name": name, "nevra": nevra}
        params = {key: value for key, value in wanted.items() if value} | {"order": "name", "limit": _PAGE}
        current = self.generation(repository)
        if current is None:
            return []
        for pause in _PAUSES:
            rows: list[Row] = []
            numbers = set()
            for page in self._asking.pages(f"{at(repository)}/packages", params):
                numbers.add(page["generation"])
                rows += [self._asking.made(Row, row) for row in page["rows"]]
            # What is searched follows what is published; and while it was read the next one may have come.
            if len(numbers) == 1 and min(numbers) >= current:
                return sorted(rows, key=lambda row: Nevra.parse(row.package).order)
            self._wire.sleep(pause)
        found = f"the daemon has read those of {min(numbers)}"
        msg = f"{repository}: expected the packages of generation {current}, {found}; try again"
        raise Unavailable(msg)

    def modules(self, repository: str) -> Mapping[str, Sequence[str]]:
        """The module streams (``NAME:STREAM``) of each modular build, by its NEVRA."""
        found: Mapping[str, Sequence[str]] = self._asking.one(f"{at(repository)}/modules")["streams"]
        return found

    def package(self, repository: str, nevra: str) -> Mapping[str, Any]:
        """All that is known of a NEVRA: ``package``, ``builds``, ``details``, ``running``.

        Each build has its ``header_sha256``; the one that is listed is the first.
        """
        return self._asking.one(f"{at(repository)}/packages/{word(nevra)}")

    def generations(self, repository: str, *, package: str = "", limit: int = 20) -> Sequence[Mapping[str, Any]]:
        """Generations, newest first, at most ``limit``, 0 for all."""
        rows: list[Mapping[str, Any]] = []
        params: dict[str, Any] = {"package": package or None, "limit": min(limit or _PAGE, _PAGE)}
        while True:
            answer = self._wire.ask("GET", f"{at(repository)}/generations", params=params)
            rows += answer.body
            if (limit and len(rows) >= limit) or "next" not in answer.links:
                return rows[: limit or None]
            params["before"] = rows[-1]["generation"]

    def diff(self, repository: str, start: int | None, other: str, end: int | None) -> Mapping[str, Any]:
        """What would change for hosts from one content to another; None: the current generation."""
        params = {"from": start, "to": end, "other": None if other == repository else other}
        return self._asking.one(f"{at(repository)}/diff", params)

    def keys(self) -> Sequence[Mapping[str, Any]]:
        """Every key that hosts get, and what each signed."""
        return self._asking.many("/keys")

    def rejected(self, repository: str, *, limit: int = 50) -> Sequence[Refusal]:
        """Arrivals that were refused, newest first, at most ``limit``, 0 for all."""
        rows: list[Refusal] = []
        params: dict[str, Any] = {"limit": min(limit or _PAGE, _PAGE)}
        while True:
            answer = self._wire.ask("GET", f"{at(repository)}/rejected", params=params)
            rows += [self._asking.made(Refusal, row) for row in answer.body]
            if (limit and len(rows) >= limit) or "next" not in answer.links:
                return rows[: limit or None]
            params["before"] = rows[-1].id

    def plan(self, repository: str) -> Sequence[Mapping[str, Any]]:
        """What a prune would let go now, with the reasons."""
        return self._asking.many(f"{at(repository)}/prune")

    def advisories(self, repository: str) -> Sequence[Mapping[str, Any]]:
        """The advisories that are listed now."""
        return self._asking.many(f"{at(repository)}/advisories")

    def audit_head(self) -> Mapping[str, Any]:
        """The last record of the audit log: ``n``, ``hash``, ``head``."""
        return self._asking.one("/audit/head")

    # ------------------------------------------------------------------ arrivals

    def upload(
        self,
        repository: str,
        file: BinaryIO,
        name: str,
        size: int,
        sha256: str,
        *,
        wait: int = 0,
        tell: Callable[[int], object] = lambda _: None,
    ) -> Arrival:
        """Put a file into the inbox: ``size`` bytes from where ``file`` stands, which must be seekable.

        Where the connection breaks off it is sent again from its start. ``tell`` hears how many bytes of this try
        are sent. ``wait``: seconds, at most 60, until the daemon answers though it is not live or rejected yet.
        ``Corrupt`` where other bytes arrived than ``sha256`` says.
        """
        start = file.tell()

        def pieces() -> Iterator[bytes]:
            file.seek(start)
            sent = 0
            while sent < size and (data := file.read(min(_PIECE, size - sent))):
                yield data
                sent += len(data)
                tell(sent)

        headers = {
            "Content-Length": str(size),
            "Content-Type": "application/octet-stream",
            "X-Checksum-Sha256": sha256,
        }
        path = f"{at(repository)}/inbox/{word(name)}"
        answer = self._wire.ask("PUT", path, params={"wait": wait}, content=pieces, headers=headers, seconds=wait)
        return self._arrival(answer.body)

    def arrival(self, repository: str, sha256: str) -> Arrival:
        """What became of the file with that SHA-256; its ``state`` is ``unknown`` where it never came."""
        try:
            return self._arrival(self._asking.one(f"{at(repository)}/arrivals/{sha256}"))
        except NotFound:
            # It may be the repository that is not there.
            self.state(repository)
            return Arrival(sha256=sha256, state="unknown")

    def _arrival(self, found: Mapping[str, Any]) -> Arrival:
        """The arrival that an answer tells of, or the problem of one that was rejected."""
        return self._asking.made(Arrival, found.get("arrival", found))

    # ------------------------------------------------------------------ changes

    def promote(
        self,
        target: str,
        source: str,
        names: Sequence[str] = (),
        *,
        advisories: Sequence[str] = (),
        generation: int | None = None,
        siblings: bool = False,
        force: bool = False,
        dry_run: bool = False,
        why: str = "",
        tell: Far | None = None,
    ) -> Deed:
        """Add builds of ``source`` to ``target``. ``refused`` is set where a gate says no; see ``repod promote``."""
        wanted = {"names": list(names), "advisories": list(advisories), "generation": generation}
        how = {"siblings": siblings, "force": force, "dry_run": dry_run, "why": why}
        return self._asking.change("POST", target, "/promotions", {"from": source} | wanted | how, tell=tell)

    def rollback(
        self, repository: str, number: int | None, *, dry_run: bool = False, why: str = "", tell: Far | None = None
    ) -> Deed:
        """Publish what generation ``number`` listed again; None: the one before the last change."""
        body = {"to": number, "dry_run": dry_run, "why": why}
        return self._asking.change("POST", repository, "/rollbacks", body, tell=tell)

    def remove(
        self,
        repository: str,
        nevras: Sequence[str],
        *,
        dry_run: bool = False,
        why: str = "",
        tell: Far | None = None,
    ) -> Deed:
        """Take builds out of the metadata: all of them, or none."""
        body = {"nevras": list(nevras), "dry_run": dry_run, "why": why}
        return self._asking.change("POST", repository, "/removals", body, tell=tell)

    def prune(self, repository: str, *, tell: Far | None = None) -> Deed:
        """Let go of what retention does not keep."""
        return self._asking.change("POST", repository, "/prunes", None, tell=tell)

    def verify(self, repository: str, *, repair: bool = False, tell: Far | None = None) -> Deed:
        """Prove everything, and with ``repair`` mend what can be; ``code`` is 1 where a fault is left."""
        return self._asking.change("POST", repository, "/verifications", {"repair": repair}, tell=tell)

    def mark(self, repository: str, nevra: str, *, label: str = "", off: bool = False, why: str = "") -> Deed:
        """Pin a build, or put ``label`` on it; ``off``: take it off."""
        path = f"/packages/{word(nevra)}/" + (f"labels/{word(label)}" if label else "pin")
        return self._asking.change("DELETE" if off else "PUT", repository, path, None if off else {"why": why})

    def advise(self, repository: str, advisory: Mapping[str, Any], *, why: str = "") -> Deed:
        """Add an advisory, in place of the one with its id."""
        return self._asking.change("POST", repository, "/advisories", dict(advisory), params={"why": why})

    def unadvise(self, repository: str, advisory: str, *, why: str = "") -> Deed:
        """Remove an advisory."""
        return self._asking.change("DELETE", repository, f"/advisories/{word(advisory)}", None, params={"why": why})

    # ------------------------------------------------------------------ rings

    def rings(self, repository: str) -> Mapping[str, Any]:
        """The ``rings`` of a repository, and ``serial`` and times of their signed file."""
        return self._asking.one(f"{at(repository)}/rings")

    def set_ring(self, repository: str, ring: str, change: RingChange, *, why: str = "") -> Deed:
        """Make a ring, or change it; what is None stays as it is."""
        body = {key: value for key, value in asdict(change).items() if value is not None} | {"why": why}
        return self._asking.change("PUT", repository, f"/rings/{word(ring)}", body)

    def remove_ring(self, repository: str, ring: str, *, why: str = "") -> Deed:
        """Remove a ring: its hosts stay as they are."""
        return self._asking.change("DELETE", repository, f"/rings/{word(ring)}", None, params={"why": why})

    # ------------------------------------------------------------------ reports of hosts

    def rollouts(self, repository: str, *, limit: int = 20) -> Sequence[Mapping[str, Any]]:
        """Rollouts without their hosts, those that were reported last first (``repod.reports.Summary``)."""
        return self._asking.many(f"{at(repository)}/rollouts", {"limit": limit})

    def rollout(self, repository: str, name: str) -> Mapping[str, Any]:
        """The rollout whose id is ``name``, as it was reported last (``repod.reports.Reported``)."""
        return self._asking.one(f"{at(repository)}/rollouts/{word(name)}")

    def report_rollout(self, repository: str, rollout: "Rollout") -> Mapping[str, Any]:
        """Report a rollout as it stands, whole. ``Conflict`` where it has ended another way already."""
        body = rollout.model_dump(mode="json", by_alias=True)
        return self._asking.answered("PUT", f"{at(repository)}/rollouts/{word(rollout.id)}", body=body)

    def report_host(self, repository: str, host: str, text: str) -> Mapping[str, Any]:
        """Say what a host runs: the text that ``rpm -qa`` prints there."""
        data = text.encode()
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        path = f"{at(repository)}/hosts/{word(host)}"
        return self._asking.answered("PUT", path, content=lambda: data, headers=headers)

    def hosts(self, repository: str, *, package: str = "") -> Iterator[Mapping[str, Any]]:
        """Pages of the hosts that report (``repod.reports.HostPage``); with ``package``, those that run that name."""
        params = {"limit": _PAGE} | ({"package": package} if package else {})
        return iter(self._asking.pages(f"{at(repository)}/hosts", params))

    def forget_host(self, repository: str, host: str) -> None:
        """Remove the report of a host that is gone; ``NotFound`` where there is none."""
        self._asking.answered("DELETE", f"{at(repository)}/hosts/{word(host)}")

    # ------------------------------------------------------------------ events

    @contextlib.contextmanager
    def stream(self, repository: str, after: str, quiet: float) -> Iterator[Iterator[str]]:
        """The lines of the stream of events, of one repository or, where that is empty, of all."""
        path = f"{at(repository)}/events" if repository else "/events"
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
        with self._wire.stream(path, headers, quiet) as lines:
            yield lines
