"""Joins what a run needs: its plan with what daemon and inventory answer, its doors with what is behind them."""

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from repod.client.aim import resolve_aim, wanted
from repod.client.api import Api, open_api
from repod.client.fleet import Connection, Host, Transport, Wanted
from repod.client.hands import listed
from repod.client.health import Checks
from repod.client.journal import names, read
from repod.client.planning import Wish, make_plan, rings_of
from repod.client.rundoors import Health, Time
from repod.client.runs import Plan, Standing
from repod.client.settings import Repository, Settings
from repod.client.wire import HURRIED
from repod.client.wiring import open_transports, resolve
from repod.errors import Conflict, NotFound, RepodError, Unavailable
from repod.package import Nevra

_KEY_SECONDS = 20.0
_FRESH = timedelta(minutes=2)
"""How long ago a run of another machine may have been reported to count as being at work."""


def runs_folder(settings: Settings) -> Path:
    """Where runs and the locks of groups are kept."""
    return Path(settings.state_dir) / "runs"


def plan_of(settings: Settings, environ: Mapping[str, str], api: Api, wish: Wish, actor: str) -> Plan:
    """The plan of a new run: the aim by what the repository lists now, the hosts by who is in the groups now."""
    rings = rings_of(settings, wish.group, wish.strategy)
    known = settings.repository.get(wish.repository) or Repository()
    aim = resolve_aim(
        api,
        wish.repository,
        wish.words,
        wish.action,
        known=known,
        key_file=lambda: _key_file(api, settings, wish.repository),
    )
    members = {ring: resolve(settings, ring, environ) for ring in rings}
    return make_plan(wish, aim, members, actor=actor, now=time.time(), word=secrets.token_hex(2))


def _key_file(api: Api, settings: Settings, repository: str) -> bytes:
    """The public keys of a repository, from where hosts read it."""
    known = settings.repository.get(repository)
    url = (known.url if known else "") or api.state(repository).url
    if not url:
        raise NotFound(f"{repository} has no URL from which its keys could be fetched")
    try:
        answer = httpx.get(f"{url.rstrip('/')}/RPM-GPG-KEY-{repository}", timeout=_KEY_SECONDS, follow_redirects=True)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise Unavailable(f"the keys of {repository} cannot be fetched from {url} ({error})") from error
    return answer.content


def alone(api: Api, plan: Plan) -> None:
    """``Conflict`` where another machine reported within the last minutes that it is at work on the group.

    Where the daemon cannot be asked, nobody can report to it either: then this machine's locks have to do.
    """
    try:
        rows = api.rollouts(plan.repository)
    except RepodError:
        return
    oldest = datetime.now(UTC) - _FRESH
    for row in rows:
        ours = row["id"] == plan.id or row["id"].startswith(f"{plan.id}-r")
        if row["state"] == "running" and row["group"] in plan.groups and not ours:
            reported = datetime.fromisoformat(row["reported"])
            if reported > oldest:
                raise Conflict(
                    f"group {row['group']}: run {row['id']} of {row['actor']} is at work, as reported at "
                    f"{reported:%H:%M:%S} UTC; wait until it has ended; one that was killed counts for 2 minutes"
                )


def to_resume(settings: Settings, name: str) -> str:
    """The run that is meant: ``name``, or the newest one that is not over; ``NotFound`` where there is none."""
    if name:
        return name
    folder = runs_folder(settings)
    for one in names(folder):
        if read(folder, one).end in {None, "interrupted"}:
            return one
    msg = "no run of this machine was interrupted or killed; repoctl hosts runs lists all"
    raise NotFound(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByOrigin:
    """A transport that leaves each host to the transport of its ring, whose settings may be others."""

    origin: Mapping[str, str]
    transports: Mapping[str, Transport]

    def connect(self, host: Host) -> AbstractContextManager[Connection]:
        """See ``Transport``."""
        return self.transports[self.origin[host.name]].connect(host)


def ways(settings: Settings, plan: Plan) -> Transport:
    """The ways to all hosts of a plan."""
    rings = dict.fromkeys(plan.origin.values())
    return ByOrigin(origin=plan.origin, transports={ring: open_transports(settings, ring) for ring in rings})


def health_of(plan: Plan, transport: Transport) -> Health:
    """The checks of a plan."""
    return Checks(plan.strategy, transport, environ=os.environ)


def real_time() -> Time:
    """Time as it passes."""
    return Time(now=time.time, sleep=time.sleep)


def census_of(transport: Transport) -> Callable[[Host], str]:
    """What a host runs, as ``rpm -qa`` prints it there."""

    def packages(host: Host) -> str:
        with transport.connect(host) as connection:
            return listed(connection, host)

    return packages


def unreported(api: Api) -> str:
    """Why the daemon would take no reports of the token's owner; empty where it does."""
    try:
        caller = api.caller()
    except RepodError as error:
        return str(error)
    return "" if "report" in caller["verbs"] else f"{caller['caller']} has not the verb report: repod token add --may"


def reporting_api(settings: Settings, environ: Mapping[str, str]) -> Api:
    """The daemon for reports: it is asked once, since the next report says all again."""
    return open_api(settings, environ, patience=HURRIED)


def record_of(api: Api, plan: Plan) -> Callable[[Sequence[Nevra]], Sequence[Wanted]]:
    """The digests of builds that hosts have after they followed the repository; each build is asked for once."""
    known = {build.nevra: build for build in plan.aim.builds}

    def record(nevras: Sequence[Nevra]) -> Sequence[Wanted]:
        for nevra in nevras:
            if nevra not in known:
                known[nevra] = wanted(api, plan.repository, nevra)
        return [known[nevra] for nevra in nevras]

    return record


def generation_of(api: Api, standing: Standing) -> Callable[[], int | None]:
    """The current generation of the repository of a run."""
    return lambda: api.generation(standing.plan.repository)
