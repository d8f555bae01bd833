"""Rings: which builds the hosts of each are to run, as the signed rollout file of a repository says it.

The file lies at the base URL of the repository, for hosts that nobody can reach from outside: each looks for itself
(``repod.hosts.agent``). It is one object, an envelope of JSON (``repod.signed``).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from repod import jsontext
from repod.doors import Store
from repod.errors import NotFound
from repod.package import Nevra, Sha256, StorePath, sha256
from repod.signed import FORMAT, Envelope, Term, known, unreadable
from repod.times import seconds, stamp

ROLLOUT = StorePath("rollout.json")
_REMEDY = "restore it from a copy of the store, or remove it and set the rings anew"
ALL = 100

OnFailure = Literal["downgrade", "stay"]
"""What a host does with a build that its health check refuses: back to what it ran, or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RingBuild:
    """A build that hosts are to run, known on them by the digest of its header, which survives signing."""

    nevra: Nevra
    header_sha256: Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """From ``since`` on (seconds since 1970), so many ``percent`` of the hosts."""

    percent: int
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """What the hosts of one ring are to run, and how they come to it.

    ``before``: what it named before of those names. ``phases``: each with more percent than the one before; a host
    that was in stays in. ``spread``: seconds over which the hosts of a phase begin. ``windows``: when they may, any
    of them; none: always. ``check``: only hosts that have a health check. ``salt`` is what hosts mix with their
    machine id; it stays as long as the builds do. ``changed``: seconds since 1970, by ``actor``, for ``why``.
    """

    builds: Sequence[RingBuild]
    before: Sequence[Nevra] = ()
    phases: Sequence[Phase] = ()
    spread: int = 3600
    windows: Sequence[str] = ()
    on_failure: OnFailure = "downgrade"
    check: bool = False
    paused: bool = False
    salt: str = ""
    changed: int = 0
    actor: str = ""
    why: str = ""

    @property
    def percent(self) -> int:
        """How many hosts of a hundred may have it by now."""
        return self.phases[-1].percent if self.phases else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RingChange:
    """What a ring is to be. What is None stays as it is, and a ring that is new gets the defaults.

    ``names`` are builds, as ``promote`` takes them; none: those it names already. ``percent`` of its hosts may have
    them, all where it gets other builds and nothing is said. ``spread``: seconds over which hosts begin.
    ``windows``, ``on_failure`` and ``check`` as in ``Ring``.
    """

    names: Sequence[str] = ()
    percent: int | None = None
    spread: int | None = None
    windows: Sequence[str] | None = None
    on_failure: OnFailure | None = None
    check: bool | None = None
    paused: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutFile:
    """The document. ``serial`` only ever rises; ``issued`` and ``expires`` are seconds since 1970.

    ``generation``: which one was current then. ``keys``: fingerprints of the keys that signed it.
    """

    repository: str
    serial: int
    generation: int
    issued: int
    expires: int
    keys: Sequence[str] = ()
    rings: Mapping[str, Ring] = field(default_factory=dict)

    @property
    def term(self) -> Term:
        """From when until when it is good."""
        return Term(issued=self.issued, expires=self.expires)


def envelope(data: bytes) -> Envelope:
    """What lies at ``ROLLOUT``; ``Corrupt`` where that is no envelope."""
    return Envelope.from_json(data, ROLLOUT, _REMEDY)


def write(file: RolloutFile) -> str:
    """The text of a document, that is signed as it is."""
    tree = asdict(file) | {
        "issued": stamp(file.issued),
        "expires": stamp(file.expires),
        "rings": {name: row(ring) for name, ring in sorted(file.rings.items())},
    }
    return json.dumps({"format": FORMAT, **tree}, indent=1)


def row(ring: Ring) -> dict[str, Any]:
    """A ring as the document and the API say it; ``percent`` is that of the last phase."""
    builds = [{"nevra": str(build.nevra), "header_sha256": build.header_sha256} for build in ring.builds]
    return asdict(ring) | {
        "builds": builds,
        "before": list(map(str, ring.before)),
        "phases": [{"percent": phase.percent, "since": stamp(phase.since)} for phase in ring.phases],
        "percent": ring.percent,
        "windows": list(ring.windows),
        "changed": stamp(ring.changed),
    }


def read(text: str) -> RolloutFile:
    """The document that ``write`` wrote; ``Corrupt`` where it is none."""
    try:
        tree = jsontext.loads(text)
        known(tree["format"])
        return RolloutFile(
            repository=str(tree["repository"]),
            serial=int(tree["serial"]),
            generation=int(tree["generation"]),
            issued=seconds(tree["issued"]),
            expires=seconds(tree["expires"]),
            keys=tuple(tree["keys"]),
            rings={str(name): _ring(one) for name, one in tree["rings"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise unreadable(ROLLOUT, error, _REMEDY) from error


def read_rings(store: Store) -> Mapping[str, Ring]:
    """The rings of a repository; none where none was ever set. ``Corrupt`` where they cannot be read.

    Whether they are signed is not looked at.
    """
    try:
        data = store.read(ROLLOUT).data
    except NotFound:
        return {}
    return read(envelope(data).document).rings


def _ring(tree: Mapping[str, Any]) -> Ring:
    return Ring(
        builds=tuple(
            RingBuild(nevra=Nevra.parse(one["nevra"]), header_sha256=sha256(one["header_sha256"]))
            for one in tree["builds"]
        ),
        before=tuple(map(Nevra.parse, tree["before"])),
        phases=tuple(Phase(percent=int(one["percent"]), since=seconds(one["since"])) for one in tree["phases"]),
        spread=int(tree["spread"]),
        windows=tuple(tree["windows"]),
        on_failure="stay" if tree["on_failure"] == "stay" else "downgrade",
        check=bool(tree["check"]),
        paused=bool(tree["paused"]),
        salt=str(tree["salt"]),
        changed=seconds(tree["changed"]),
        actor=str(tree["actor"]),
        why=str(tree["why"]),
    )
