"""Groups of commands that are imported when they are asked for."""

from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from repod.errors import Conflict
from repod.lazy import EXIT_CODES, Program


@click.command()
def fine() -> None:
    """It does."""
    click.echo("done")


@click.command()
def late() -> None:
    """It does not."""
    msg = "somebody was faster\nread again"
    raise Conflict(msg)


def _program(heard: list[str]) -> Program:
    table = {"late": f"{__name__}:late", "gone": "repod.no_such_module:gone", "fine": f"{__name__}:fine"}
    return Program("main", table=table, before=heard.append, epilog=EXIT_CODES)


def test_a_command_whose_part_is_missing_breaks_itself_alone() -> None:
    heard: list[str] = []
    program, runner = _program(heard), CliRunner()
    assert runner.invoke(program, ["fine"], prog_name="tool").output == "done\n"
    listed = runner.invoke(program, ["--help"], prog_name="tool").output
    assert "gone  Cannot run: a part is missing." in listed
    gone = runner.invoke(program, ["gone", "--any", "word"], prog_name="tool")
    assert gone.exit_code == 2
    assert gone.stderr.startswith("tool: gone cannot run: No module named 'repod.no_such_module'; install repod again")
    assert heard == ["fine", "gone"]


def test_a_library_that_the_system_lacks_is_named_as_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "libgobject-2.0.so.0: cannot open shared object file: No such file or directory"
    (tmp_path / "lacks_glib.py").write_text(f"raise ImportError({said!r})\n")
    monkeypatch.syspath_prepend(tmp_path)
    program = Program("main", table={"gone": "lacks_glib:gone"})
    ended = CliRunner().invoke(program, ["gone"], prog_name="tool")
    remedy = "install the package of this system that has libgobject-2.0.so.0"
    assert (ended.exit_code, ended.stderr) == (2, f"tool: gone cannot run: {said}; {remedy}\n")


def test_each_line_of_an_error_is_told_by_the_name_of_the_program_and_its_kind_is_the_exit_code() -> None:
    ended = CliRunner().invoke(_program([]), ["late"], prog_name="tool")
    assert (ended.exit_code, ended.stderr) == (4, "tool: somebody was faster\ntool: read again\n")


def test_names_are_completed_in_their_order_and_no_command_is_imported_for_that() -> None:
    complete = ShellComplete(_program([]), {}, "tool", "_TOOL_COMPLETE")
    assert [item.value for item in complete.get_completions([], "")] == ["late", "gone", "fine"]
    assert [item.value for item in complete.get_completions([], "f")] == ["fine"]
