"""One host is brought to its aim, and proven: what it runs counts, not what its package tool says.

Whatever may be told of a transaction, only rpm's own answer afterwards decides: NEVRA and header digest as the
repository's record has them. A transaction is a step that outlives the connection, known by the run's id.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from repod.client.fleet import Aim, Connection, Installed, Outcome, Wanted
from repod.client.toolkit.facts import Facts
from repod.package import Nevra

Say = Callable[[str], object]
Note = Callable[[Sequence[Installed]], object]
Record = Callable[[Sequence[Nevra]], Sequence[Wanted]]


def unrecorded(builds: Sequence[Nevra]) -> Sequence[Wanted]:
    """Where no record is at hand: what was listed is proven by NEVRA alone."""
    return [Wanted(nevra=nevra, header_sha256="") for nevra in builds]


def silent(_: object) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long things may take, in seconds.

    ``limit``: one transaction, ended on the host after that. ``lock``: how long a lock that others hold is tried
    again. ``answer``: a short question to the host. ``follow``: how long one question waits for an end.
    ``lost``: how long a transaction is looked for again after the connection was cut. ``reboot``: until it is back.
    """

    limit: float = 1800.0
    lock: float = 60.0
    answer: float = 60.0
    follow: float = 20.0
    lost: float = 300.0
    reboot: float = 600.0


def facts(
    connection: Connection, repositories: Sequence[str], names: Sequence[str], patience: Patience = Patience()
) -> Facts:
    """What the host says of itself, of these repositories and packages (``["*"]``: of all packages)."""
    raise NotImplementedError


def bring(
    connection: Connection,
    aim: Aim,
    *,
    run_id: str,
    patience: Patience = Patience(),
    note: Note = silent,
    say: Say = silent,
    record: Record = unrecorded,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Outcome:
    """Bring a host to its aim. What goes wrong is in the outcome: nothing is raised.

    ``note`` is told what it runs before anything is changed, ``say`` what is being done. A transaction that
    ``run_id`` began there earlier is followed, never begun again. ``record`` gives the digests of builds, for
    ``sync`` without ``builds``.
    """
    raise NotImplementedError


def look(
    connection: Connection, aim: Aim, *, patience: Patience = Patience(), now: Callable[[], float] = time.monotonic
) -> Outcome:
    """Whether a host runs what is wanted; nothing is changed."""
    raise NotImplementedError


def restore(
    connection: Connection,
    aim: Aim,
    before: Sequence[Installed],
    *,
    run_id: str,
    patience: Patience = Patience(),
    say: Say = silent,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Outcome:
    """Bring a host back to what it ran before; ``proven`` where it does. What was not there before is removed."""
    raise NotImplementedError
