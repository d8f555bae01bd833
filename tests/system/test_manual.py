"""Manual pages: made of what commands and settings say, whole, and clean for groff and mandoc."""

import os
import re
import subprocess
from pathlib import Path

import click
import pytest

from config.packaging import roff
from config.packaging.manual import Pages
from config.packaging.settings import body
from repod.cli import main as repod
from repod.client.cli import main as repoctl

_ROOT = Path(__file__).parents[2]
_PAGES = Pages(_ROOT, "1.2.3", 1_700_000_000)
_MADE = {
    "repod.1": _PAGES.of_repod(),
    "repoctl.1": _PAGES.of_repoctl(),
    "repod.toml.5": _PAGES.of_settings("repod.toml"),
    "repoctl.toml.5": _PAGES.of_settings("repoctl.toml"),
    **{f"{name}.1": _PAGES.of_host(name) for name in ("repod-s3", "repod-agent", "repod-report")},
    **{f"{name}.5": _PAGES.of_settings(name) for name in ("repod-s3.conf", "repod-agent.conf", "repod-report.conf")},
}


def _read(text: str, folder: Path, name: str) -> str:
    """The page as a person reads it, in one line a paragraph or so."""
    path = folder / name
    path.write_text(text)
    environ = os.environ | {"MANWIDTH": "2000", "LC_ALL": "C.UTF-8", "MANPAGER": "cat"}
    done = subprocess.run(["man", "--warnings", "-l", path], capture_output=True, text=True, check=True, env=environ)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("name", _MADE)
def test_groff_and_mandoc_have_nothing_to_say_of_a_page(tmp_path: Path, name: str) -> None:
    assert _read(_MADE[name], tmp_path, name)
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", tmp_path / name], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(("name", "program"), [("repod", repod), ("repoctl", repoctl)])
def test_the_page_of_a_program_has_every_command_and_every_exit_status(
    tmp_path: Path, name: str, program: click.Group
) -> None:
    text = _read(_MADE[f"{name}.1"], tmp_path, f"{name}.1")
    for command in program.list_commands(click.Context(program)):
        assert re.search(rf"(?m)^   {name} {command}$", text), command
    assert re.search(r"(?m)^EXIT STATUS\n +0 +done\n +1 +failed\n", text)


@pytest.mark.parametrize("name", ["repod.toml", "repoctl.toml", "repod-s3.conf", "repod-agent.conf"])
def test_the_page_of_a_file_has_every_setting_as_the_file_says_it(tmp_path: Path, name: str) -> None:
    text = _read(_MADE[f"{name}.5"], tmp_path, name)
    lines = (_ROOT / "config" / name).read_text().splitlines()
    keys = [match[1] for line in lines if (match := re.match(r"(#?[\w-]+ =.*?)( +# .*)?$", line))]
    shown = {" ".join(line.split()) for line in text.splitlines()}
    assert keys
    for key in keys:
        assert any(line == " ".join(key.split()) or line.startswith(" ".join(key.split()) + " ") for line in shown), key


def test_text_that_looks_like_a_request_stays_text(tmp_path: Path) -> None:
    page = [
        "." + 'TH X 1 2026-01-01 "x"',
        ".SH NAME",
        r"x \- y",
        ".SH TEXT",
        *roff.paragraphs(r".so it's \fBa ~ ^ - `b`"),
    ]
    assert r".so it's \fBa ~ ^ - `b`" in _read("\n".join([*page, ""]), tmp_path, "x.1")


def test_a_comment_above_a_setting_and_lines_below_it_belong_to_it() -> None:
    text = """# Settings of x.
[x]
# What may be read.
#allow =
#    s3://a/

# Whole.
[y]
#key = 1                # a number,
#                       # or none
"""
    assert list(body(text)) == [
        "Settings of x.",
        '.SS "[x]"', ".TP", r"\fB#allow =\fR", "What may be read.", ".RS", ".nf", "s3://a/", ".fi", ".RE",
        '.SS "[y]"', ".PP", "Whole.", ".TP", r"\fB#key = 1\fR", "a number, or none",
    ]  # fmt: skip
