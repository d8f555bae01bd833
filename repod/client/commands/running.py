"""What the commands that run over hosts share: from a plan to its report and an exit code."""

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from repod.client import outfit
from repod.client.api import Api, open_api
from repod.client.fleet import Action, Transport
from repod.client.hands import open_hands
from repod.client.journal import FileJournal, locked, read
from repod.client.junit import junit as junit_of
from repod.client.live import Lines, Table, change, summary
from repod.client.planning import Wish, described, repository_of, wave_rows
from repod.client.rolling import Rollout
from repod.client.rollout import Run
from repod.client.rundoors import Brake, Watcher
from repod.client.runs import Plan, Standing, begun, document
from repod.client.settings import Settings
from repod.client.teller import Census, Heard, Teller
from repod.errors import Conflict, Misconfigured, Unavailable
from repod.options import person, say
from repod.show import show
from repod.wording import few, steerless

folder = outfit.runs_folder

_OF_WAVE = ("ring", "hosts", "wait", "why")
_NAMED = 10
"""Hosts that a line names at the most."""


def start(
    settings: Settings,
    action: Action,
    words: Sequence[str],
    group: str,
    strategy: Mapping[str, Any],
    *,
    limit: Sequence[str],
    dry_run: bool,
    report: Path | None,
    junit: Path | None,
    as_json: bool,
) -> None:
    """Plan a run and carry it out; ends with its exit code where that is not 0."""
    wish = Wish(
        action=action,
        words=words,
        group=group,
        repository=repository_of(settings, group),
        strategy=_strategy(settings, group, strategy),
        limit=[one for text in limit for one in text.split(",") if one],
    )
    with open_api(settings, os.environ) as api:
        plan = outfit.plan_of(settings, os.environ, api, wish, person(os.environ))
        if dry_run:
            _show_plan(plan, as_json=as_json)
            return
        for line in described(plan):
            say(line)
        with locked(folder(settings), plan.groups, plan.id):
            outfit.alone(api, plan)
            say(f"run {plan.id}")
            journal = FileJournal.create(folder(settings), plan)
            with contextlib.closing(journal):
                standing = _carry_out(settings, begun(plan), journal)
    _leave(standing, report=report, junit_file=junit, as_json=as_json)


def carry_on(settings: Settings, run: str, *, report: Path | None, junit: Path | None, as_json: bool) -> None:
    """Take up a run again; ends with its exit code where that is not 0."""
    name = outfit.to_resume(settings, run)
    groups = read(folder(settings), name).plan.groups
    with locked(folder(settings), groups, name):
        # Only now nobody else writes to it.
        journal, standing = FileJournal.reopen(folder(settings), name)
        with contextlib.closing(journal):
            standing = _again(settings, standing, journal)
    _leave(standing, report=report, junit_file=junit, as_json=as_json)


def _again(settings: Settings, standing: Standing, journal: FileJournal) -> Standing:
    plan = standing.plan
    if standing.end not in {None, "interrupted"}:
        raise Conflict(
            f"run {plan.id} is over ({standing.end}); start a new one: hosts that run the build are proven at once"
        )
    with outfit.reporting_api(settings, os.environ) as api:
        outfit.alone(api, plan)
    if standing.end:
        standing = replace(standing, part=standing.part + 1)
    say(f"run {plan.id} is taken up: {summary(standing)}")
    return _carry_out(settings, standing, journal)


def _strategy(settings: Settings, group: str, options: Mapping[str, Any]) -> Rollout:
    """The settings of the group, with what the command line says in their place."""
    try:
        return settings.grouped(group).rollout.over(options)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, one['loc'])) or 'rollout'}: {one['msg'].removeprefix('Value error, ')}"
            for one in error.errors()
        ]
        raise Misconfigured(*faults) from error


# ---------------------------------------------------------------------- a run


def _carry_out(settings: Settings, standing: Standing, journal: FileJournal) -> Standing:
    plan = standing.plan
    transport = outfit.ways(settings, plan)
    brake, heard = Brake(), Heard()
    with (
        outfit.reporting_api(settings, os.environ) as api,
        _view() as view,
        _told(api, plan, transport, heard) as tellers,
        _signals(brake),
    ):
        return Run(
            standing,
            hands=open_hands(transport, plan, outfit.record_of(api, plan), heard),
            health=outfit.health_of(plan, transport),
            journal=journal,
            watchers=[view, *tellers],
            time=outfit.real_time(),
            brake=brake,
            generation=outfit.generation_of(api, standing),
        ).carry_out()


def _view() -> Lines | Table:
    """What is seen of it while it runs, on standard error."""
    if not sys.stderr.isatty():
        return Lines(lambda line: click.echo(steerless(line), err=True), time.time)
    from rich.console import Console  # noqa: PLC0415 - see ``live``

    return Table(Console(stderr=True), time.time)


@contextlib.contextmanager
def _told(api: Api, plan: Plan, transport: Transport, heard: Heard) -> Iterator[Sequence[Watcher]]:
    """Those who tell the daemon, where it lets this caller."""
    if why := outfit.unreported(api):
        say(f"the daemon is not told of this run: {why}")
        yield ()
        return
    teller = Teller(api, say=say)
    census = None
    if plan.strategy.report_hosts:
        census = Census(api, outfit.census_of(transport), say=say, heard=heard)
    try:
        yield [teller, census] if census else [teller]
    finally:
        if census:
            census.close()
        teller.close()


@contextlib.contextmanager
def _signals(brake: Brake) -> Iterator[None]:
    """Ctrl-C pulls the brake, each time; that somebody wants the process to end does so once."""

    def interrupted(_number: int, _frame: object) -> None:
        brake.pull("Ctrl-C")

    def ending(number: int, _frame: object) -> None:
        if not brake.pulled:
            brake.pull(signal.Signals(number).name)

    handlers = {signal.SIGINT: interrupted, signal.SIGTERM: ending, signal.SIGHUP: ending}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# ---------------------------------------------------------------------- what is answered


def _show_plan(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        waves = [{"wave": one.number} | {key: getattr(one, key) for key in _OF_WAVE} for one in plan.waves]
        builds = [{"package": str(one.nevra), "header_sha256": one.header_sha256} for one in plan.aim.builds]
        found = {"group": plan.group, "action": plan.aim.action, "repository": plan.repository}
        click.echo(json.dumps(found | {"generation": plan.aim.generation, "builds": builds, "waves": waves}, indent=1))
        return
    for line in described(plan):
        click.echo(line)
    show(wave_rows(plan.waves), as_json=False, empty="no waves")


def answer(standing: Standing, *, as_json: bool) -> None:
    """How a run stands: a table for a person, the report for a machine."""
    report = document(standing)
    if as_json:
        click.echo(report.model_dump_json(by_alias=True, indent=1))
        return
    rows = [
        {
            "host": host.host,
            "wave": host.wave,
            "state": host.state,
            "from → to": change(standing.hosts[host.host]),
            "header": host.header_sha256[:12],
            "seconds": "" if host.seconds is None else f"{host.seconds:.1f}",
            "problem": f"{host.trouble}: {host.problem}" if host.trouble else host.problem,
        }
        for host in report.hosts
    ]
    show(rows, as_json=False, empty="no hosts")
    if report.problem:
        click.echo(report.problem)


def _leave(standing: Standing, *, report: Path | None, junit_file: Path | None, as_json: bool) -> None:
    answer(standing, as_json=as_json)
    if report:
        _write(report, document(standing).model_dump_json(by_alias=True, indent=1))
    if junit_file:
        _write(junit_file, junit_of(standing))
    say(f"run {standing.plan.id} {standing.end}: {summary(standing)}")
    if not standing.proven:
        for line in _whereabouts(standing):
            say(line)
        sys.exit(1)


def _whereabouts(standing: Standing) -> Iterator[str]:
    """Which build is where, and what to do."""
    where: dict[str, list[str]] = {}
    for row in standing.rows:
        if row.state != "updating" and (row.after or row.before):
            now = row.after or row.before or ()
            where.setdefault(", ".join(str(one.nevra) for one in now), []).append(row.host)
    for build, hosts in where.items():
        yield f"{build} is on {few(hosts, _NAMED, ' ')}"
    if begun := [row.host for row in standing.rows if row.state == "updating"]:
        yield f"not known yet of {few(begun, _NAMED, ' ')}: what was begun there goes on"
    if standing.end == "interrupted":
        yield f"take it up again with: repoctl hosts resume {standing.plan.id}"
    else:
        yield from _ways_on(standing)


def _ways_on(standing: Standing) -> Iterator[str]:
    """The commands that follow a run that did not reach all."""
    plan = standing.plan
    action = "update" if plan.aim.action == "reinstall" else plan.aim.action
    yield f"once that is mended: repoctl hosts {action} {plan.asked} --group {plan.group}"
    before = {str(one.nevra) for row in standing.rows if row.state == "proven" for one in row.before or ()}
    older = sorted(before - {str(build.nevra) for build in plan.aim.builds})
    if action == "update" and older:
        yield f"or back, where it came: repoctl hosts downgrade {' '.join(older)} --group {plan.group}"


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise Unavailable(f"{path} cannot be written ({error.strerror}); name another file") from error
