"""Manual pages, made of what commands say of themselves and of commented settings, so that they cannot differ."""

import argparse
import inspect
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import click

from config.packaging import roff
from config.packaging.settings import body, summary
from repod.cli import main as repod
from repod.client.cli import main as repoctl
from repod.hosts.agent.command import command_line as agent_parser
from repod.hosts.command import command_line as s3_parser

_PLACES = {
    "repod.toml": "/etc/repod/repod.toml",
    "repoctl.toml": "/etc/repod/repoctl.toml",
    "repod-s3.conf": "/etc/repod-s3.conf",
    "repod-agent.conf": "/etc/repod-agent.conf",
    "repod-report.conf": "/etc/repod-report.conf",
}
_SEE = {
    "repod": ("repod.toml(5)", "repoctl(1)"),
    "repoctl": ("repoctl.toml(5)", "repod(1)"),
    "repod-s3": ("repod-s3.conf(5)", "repod(1)"),
    "repod-agent": ("repod-agent.conf(5)", "repod(1)"),
    "repod-report": ("repod-report.conf(5)", "repod(1)"),
}


class Pages:
    """The pages of one version. ``time``: of the version, in seconds since 1970."""

    def __init__(self, root: Path, version: str, time: int) -> None:
        """``root``: of the checkout."""
        self._root, self._version = root, version
        self._day = datetime.fromtimestamp(time, UTC).date().isoformat()

    def of_repod(self) -> str:
        """repod(1)."""
        return self._of_click("repod", repod)

    def of_repoctl(self) -> str:
        """repoctl(1)."""
        return self._of_click("repoctl", repoctl)

    def of_host(self, name: str) -> str:
        """The page of a command that hosts run, by its name."""
        if name == "repod-report":
            script = self._root / "repod/hosts/files/repod-report"
            done = subprocess.run(["sh", script, "--help"], check=True, capture_output=True, text=True)
            usage, _, about = done.stdout.partition("\n\n")
            text, _, rest = about.partition("\n\n")
            lines = [*roff.paragraphs(text), *_see(name, rest.splitlines())]
            return self._page(name, "1", text.partition(":")[0], [usage.removeprefix("Usage: ")], lines)
        parser = {"repod-s3": s3_parser, "repod-agent": agent_parser}[name]()
        about = (parser.description or "").rstrip(".")
        commands = _subparsers(parser)
        usages = [_usage(command) for command in commands.values()]
        lines = [*roff.paragraphs(f"{about}."), roff.heading("COMMANDS"), *_of_argparse(parser, commands)]
        return self._page(
            name, "1", about, usages, [*lines, *_see(name, [(parser.epilog or "").removeprefix("Exit status: ")])]
        )

    def of_settings(self, name: str) -> str:
        """The page of a file of settings."""
        folder = "config" if name.endswith(".toml") else "repod/hosts/files"
        text = (self._root / folder / name).read_text()
        program = name.partition(".")[0]
        lines = [*body(text), roff.heading("SEE ALSO"), roff.escaped(f"{program}(1)")]
        return self._page(name, "5", summary(text), [_PLACES[name]], lines)

    def _of_click(self, name: str, program: click.Group) -> str:
        about = _first(program)
        context = click.Context(program, info_name=name)
        lines = [*roff.paragraphs(inspect.cleandoc(program.help or "")), roff.heading("COMMANDS")]
        for words, command, inner in _commands(program, context):
            lines += _of_command(words, command, inner)
        lines += [roff.heading("EXIT STATUS"), *roff.paragraphs(_without_title(program.epilog or ""))]
        return self._page(name, "1", about, [f"{name} COMMAND [OPTIONS] [ARGUMENTS]"], [*lines, *_see(name, [])])

    def _page(self, name: str, section: str, about: str, synopsis: Sequence[str], lines: Sequence[str]) -> str:
        head = [
            f'.TH {roff.escaped(name).upper()} {section} {self._day} "repod {self._version}"',
            roff.heading("NAME"),
            rf"{roff.escaped(name)} \- {roff.escaped(about)}",
            roff.heading("SYNOPSIS"),
            *roff.literal(synopsis),
            roff.heading("DESCRIPTION"),
        ]
        return "\n".join([*_spaced([*head, *lines]), ""])


def _spaced(lines: Sequence[str]) -> Iterator[str]:
    """Without the paragraphs that would begin right below a heading, where one begins anyway."""
    for before, line in pairwise(["", *lines]):
        if line != ".PP" or not before.startswith((".SH", ".SS")):
            yield line


def _first(command: click.Command) -> str:
    """The first sentence, without its full stop."""
    return " ".join(inspect.cleandoc(command.help or "").partition("\n\n")[0].split()).rstrip(".")


def _without_title(text: str) -> str:
    """The exit codes without the line that names them, since a heading does."""
    return "\b\n" + text.partition("\n")[2].partition("\n")[2]


def _commands(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command below ``group`` that can be run, with all words that name it."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        yield inner.command_path, command, inner
        if isinstance(command, click.Group):
            yield from _commands(command, inner)


def _of_command(words: str, command: click.Command, context: click.Context) -> Iterator[str]:
    yield roff.heading(words, sub=True)
    if not isinstance(command, click.Group):
        usage = command.collect_usage_pieces(context)
        yield from roff.literal([" ".join([words, *usage])])
        yield ".PP"
    yield from roff.paragraphs(inspect.cleandoc(command.help or ""))
    for option in command.get_params(context):
        record = option.get_help_record(context)
        if record and record[1] and "--help" not in option.opts:
            yield from roff.item(*record)
    if command.epilog:
        yield ".PP"
        yield from roff.paragraphs(command.epilog)


def _see(name: str, more: Sequence[str]) -> Iterator[str]:
    if any(more):
        yield roff.heading("OPTIONS AND EXIT STATUS" if len(more) > 1 else "EXIT STATUS")
        yield from roff.literal(line.strip() for line in more)
    yield roff.heading("SEE ALSO")
    yield roff.escaped(", ".join(_SEE[name]))


def _subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (found,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001
    return dict(found.choices)


def _usage(parser: argparse.ArgumentParser) -> str:
    return " ".join(parser.format_usage().removeprefix("usage: ").split())


def _of_argparse(parser: argparse.ArgumentParser, commands: dict[str, argparse.ArgumentParser]) -> Iterator[str]:
    (group,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001
    about = {action.dest: action.help for action in group._choices_actions}  # noqa: SLF001
    for name, command in commands.items():
        yield roff.heading(f"{parser.prog} {name}", sub=True)
        yield from roff.paragraphs(f"{(about[name] or '').capitalize()}.")
        for action in command._actions:  # noqa: SLF001
            if action.dest != "help":
                said = (action.help or "") % {"default": action.default}
                yield from roff.item(_tag(action), said)


def _tag(action: argparse.Action) -> str:
    """An option or argument as its usage names it."""
    if not action.option_strings:
        return action.dest
    value = f" {action.metavar or action.dest.upper()}" if action.nargs is None else ""
    return ", ".join(action.option_strings) + value
