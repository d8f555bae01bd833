"""The command `repod-agent`."""

from __future__ import annotations

import argparse
import json
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from repod import __version__
from repod.hosts import install
from repod.hosts.agent.checking import findings
from repod.hosts.agent.document import seconds
from repod.hosts.agent.running import Agent
from repod.hosts.agent.settings import CONFIG, load
from repod.hosts.agent.state import StateFile
from repod.hosts.faults import Fault, Malformed, Refused, WrongUse
from repod.hosts.frame import DONE, FAILED, REFUSED, UNAVAILABLE, WRONG_USE, carried_out, show_findings, show_written

_EPILOG = (
    "Exit status: 0 the host runs what it is to run, or its turn has not come; 1 it does not, as a build failed here; "
    "2 wrong use; 3 the rollout file may not be followed; 4 unavailable, tried again."
)


_STATUSES = {WrongUse: WRONG_USE, Refused: REFUSED, Malformed: REFUSED, Fault: UNAVAILABLE}


def main(words: Sequence[str] | None = None) -> int:
    """Run it; the exit status."""
    return carried_out(command_line(), words, _STATUSES, interrupted=UNAVAILABLE)


def command_line() -> argparse.ArgumentParser:
    """The options of repod-agent, also for its manual page."""
    parser = argparse.ArgumentParser(
        prog="repod-agent",
        description="Brings this host to the builds that its ring of a repository names.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"repod-agent {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="ask the repository, and do what is to do now")
    _common(run)
    run.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
    run.add_argument(
        "--at", type=_time, metavar="TIME", help="with --dry-run: as if it were then (2026-11-27T02:00:00Z)"
    )
    run.add_argument("--retry", action="store_true", help="also what failed here before")
    run.set_defaults(run=_run)
    status = commands.add_parser("status", help="what came of the last run")
    _common(status)
    status.set_defaults(run=_status)
    check = commands.add_parser("check", help="whether all that a run needs is there")
    _common(check)
    check.set_defaults(run=_check)
    pack = commands.add_parser("pack", help="write this program as one file for hosts")
    pack.add_argument("file", type=Path, help="such as repod-agent.pyz")
    pack.add_argument("--python", default=install.PYTHON, help="Python 3.9 or newer on the hosts (%(default)s)")
    pack.set_defaults(run=_pack)
    put = commands.add_parser("install", help="put program, settings and units for systemd in place")
    put.add_argument("--root", type=Path, default=Path("/"), help="install below this folder (%(default)s)")
    put.add_argument("--python", default=install.PYTHON, help="Python 3.9 or newer (%(default)s)")
    put.add_argument("--json", action="store_true", help="for machines")
    put.set_defaults(run=_install)
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--config", type=Path, default=CONFIG, help="settings (%(default)s)")
    parser.add_argument("--json", action="store_true", help="for machines")


def _time(text: str) -> float:
    try:
        return seconds(text)
    except ValueError as error:
        msg = f"expected a time in UTC such as 2026-11-27T02:00:00Z, found {text!r}"
        raise argparse.ArgumentTypeError(msg) from error


def _run(options: argparse.Namespace) -> int:
    if options.at is not None and not options.dry_run:
        msg = "--at: expected --dry-run with it"
        raise WrongUse(msg)
    clock: Callable[[], float] = time.time if options.at is None else lambda: float(options.at)
    agent = Agent(load(options.config), clock, _asked_to_stop())
    outcome = agent.would() if options.dry_run else agent.run(retry=options.retry)
    if options.json:
        print(json.dumps(asdict(outcome), indent=1))
    else:
        print(f"{outcome.what}: {outcome.text}")
    return FAILED if outcome.bad else DONE


def _asked_to_stop() -> Callable[[], bool]:
    """Whether SIGTERM came: what is at work is not cut off, and nothing new is begun."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
    return lambda: bool(asked)


def _status(options: argparse.Namespace) -> int:
    state = StateFile(load(options.config).state).load()
    if options.json:
        print(json.dumps({**state.last, "serial": state.serial, "held": list(state.held)}, indent=1))
    elif state.last:
        print(f"{state.last['time']}  {state.last['outcome']}: {state.last['text']}")
    else:
        print("it has not run yet")
    if state.pending and not options.json:
        print(f"at work or interrupted: {', '.join(map(str, state.pending.wanted))}, step {state.pending.step}")
    return FAILED if state.held or state.last.get("outcome") == "failed" else DONE


def _check(options: argparse.Namespace) -> int:
    settings = load(options.config)
    return show_findings(findings(settings, Agent(settings, time.time)), as_json=options.json)


def _pack(options: argparse.Namespace) -> int:
    print(f"written  {install.pack(options.file, options.python, install.AGENT)}")
    return DONE


def _install(options: argparse.Namespace) -> int:
    then = "set /etc/repod-agent.conf; repod-agent check; systemctl enable --now repod-agent.timer"
    show_written(install.install_agent(options.root, options.python), then, as_json=options.json)
    return DONE
