"""Tables of commands."""

import click
import pytest
from click.testing import CliRunner

from repod.errors import Unavailable
from repod.lazy import Program
from repod.options import say
from repod.show import show


def test_texts_of_strangers_never_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show([{"why": "a\x1b[2Jb\u202ec", "more": ["x\x07", "y"]}], as_json=False, empty="")
    printed = capsys.readouterr().out
    assert "a\ufffd[2Jb\ufffdc" in printed
    assert not {"\x1b", "\u202e", "\x07"} & set(printed)


@click.command()
def look() -> None:
    """What a host says of itself, and the daemon."""
    say("web1: \x1b]0;mine\x07")
    raise Unavailable("web2: \x9b2J")


def test_neither_do_errors_and_what_is_said_beside_an_answer() -> None:
    done = CliRunner().invoke(Program("repoctl", table={"look": f"{__name__}:look"}), ["look"])
    assert done.stderr == "repoctl: web1: \ufffd]0;mine\ufffd\nrepoctl: web2: \\x9b2J\n"
