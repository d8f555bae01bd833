"""``repod hooks``: who is told of what happens, what waits for them, and whether it arrives."""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from repod import tidings
from repod.commands.common import audited, settings_option
from repod.config import Repository, Settings, load
from repod.delivery import Delivery, Tried
from repod.doors import Store
from repod.errors import Misconfigured, NotFound, RepodError, Unavailable
from repod.hooking import Hook
from repod.options import json_option
from repod.outbox import Cursor, Outbox
from repod.outlets import open_delivery, open_sink
from repod.places import open_store, open_writable
from repod.show import show
from repod.times import stamp

_repository_option = click.option("--repository", metavar="REPO", default="", help="Of this repository alone.")


@click.group()
def hooks() -> None:
    """Hooks: what waits for them, whether events arrive, and what to do where they do not."""


@hooks.command("list")
@settings_option
@json_option
def list_(config: Path, *, as_json: bool) -> None:
    """Show each hook and repository: how it is, what waits, what failed last. Nothing is sent.

    "new" is one that no daemon has seen yet, "paused" one that asked for no more events.
    """
    settings = load(config)
    rows = [_row(settings, hook, one) for hook in settings.hook for one in settings.repository if hook.hears(one.name)]
    show(rows, as_json=as_json, empty="no hooks; see [[hook]] in config/repod.toml")


@hooks.command()
@settings_option
@json_option
@_repository_option
@click.argument("name")
def test(config: Path, name: str, repository: str, *, as_json: bool) -> None:
    """Send a test event to the hook NAME, past all that waits, and tell its answer.

    Answers 4 where it did not arrive.
    """
    settings = load(config)
    hook = _named(settings, name)
    one = _repositories(settings, hook, repository)[0]
    event = tidings.test(one.name, hook=name, time=time.time())
    sink = open_sink(hook, os.environ)
    began = time.perf_counter()
    answer = sink.deliver(event)
    row = {"hook": name, "to": hook.target, "id": event.id, "answer": answer}
    show([row | {"seconds": round(time.perf_counter() - began, 3)}], as_json=as_json, empty="")


@hooks.command()
@settings_option
@json_option
@_repository_option
@click.argument("name")
def retry(config: Path, name: str, repository: str, *, as_json: bool) -> None:
    """Deliver to the hook NAME now, also where it was paused or is not to be tried yet.

    Answers 4 where something still waits.
    """

    def deliver(delivery: Delivery, box: Outbox) -> int:
        box.change(Cursor.well)
        return delivery.run().pending

    _work(config, "retry", name, repository, deliver, as_json=as_json)


@hooks.command()
@settings_option
@json_option
@_repository_option
@click.argument("name")
def skip(config: Path, name: str, repository: str, *, as_json: bool) -> None:
    """Drop all that waits for the hook NAME: it goes on with what happens from now on."""
    _work(config, "skip", name, repository, lambda delivery, _: delivery.skip().pending, as_json=as_json)


def _work(
    config: Path, what: str, name: str, repository: str, work: Callable[[Delivery, Outbox], int], *, as_json: bool
) -> None:
    settings = load(config)
    hook = _named(settings, name)
    rows = []
    for one in _repositories(settings, hook, repository):
        with audited(settings, f"hooks {what}", one.name, {"hook": name}) as outcome:
            rows.append({"hook": name, "repository": one.name, **_worked(settings, one, hook, work)})
            outcome.end("")
    show(rows, as_json=as_json, empty="nothing")
    if any(row["waiting"] for row in rows):
        sys.exit(Unavailable.exit_code)


def _worked(settings: Settings, one: Repository, hook: Hook, work: Callable[[Delivery, Outbox], int]) -> dict[str, Any]:
    tries: list[Tried] = []
    store = open_writable(settings, one)
    pending = work(open_delivery(settings, one, hook, store, tries.append), Outbox(hook.name, store))
    counts = Counter(tried.result for tried in tries)
    problem = next((tried.text for tried in tries if tried.result in {"failed", "paused"}), "")
    done = {"delivered": counts["delivered"], "dropped": counts["dropped"], "waiting": pending}
    return {**done, "problem": problem}


def _named(settings: Settings, name: str) -> Hook:
    for hook in settings.hook:
        if hook.name == name:
            return hook
    there = ", ".join(hook.name for hook in settings.hook) or "none"
    msg = f"hook {name!r} is not in the settings; there are: {there}"
    raise Misconfigured(msg)


def _repositories(settings: Settings, hook: Hook, name: str) -> Sequence[Repository]:
    if name:
        settings.named(name)
    found = [one for one in settings.repository if hook.hears(one.name) and name in {"", one.name}]
    if not found:
        msg = f"hook {hook.name!r} is not told of {name!r}; see its repositories in the settings"
        raise NotFound(msg)
    return found


def _row(settings: Settings, hook: Hook, repository: Repository) -> dict[str, Any]:
    row: dict[str, Any] = {"hook": hook.name, "repository": repository.name, "to": hook.target}
    try:
        return row | dict(_standing(settings, hook, repository, open_store(settings, repository)))
    except RepodError as error:
        nothing = dict.fromkeys(("waiting", "oldest", "delivered", "dropped", "last"))
        return row | {"state": "unknown", **nothing, "problem": str(error)}


def _standing(settings: Settings, hook: Hook, repository: Repository, store: Store) -> Iterator[tuple[str, Any]]:
    seen, _ = Outbox(hook.name, store).cursor()
    standing = open_delivery(settings, repository, hook, store, lambda _: None).look()
    cursor = standing.cursor
    state = "new" if seen is None else "paused" if cursor.paused else "failing" if cursor.failures else "fine"
    yield "state", state
    yield "waiting", standing.pending
    yield "oldest", stamp(standing.oldest) if standing.oldest else None
    yield "delivered", cursor.delivered
    yield "dropped", cursor.dropped
    yield "last", stamp(cursor.last) if cursor.last else None
    yield "problem", cursor.problem
