"""Rich dependencies: what rpm can read of them, compared with rpm itself."""

import subprocess
from pathlib import Path

import pytest

from repod.rpmfile.rich import is_rich

_SPEC = """Name: a
Version: 1
Release: 1
Summary: a
License: a
Requires: {}
%description
"""


@pytest.mark.parametrize(
    ("text", "sound"),
    [
        ("(a)", True),
        ("(a or b)", True),
        ("( a  or b )", True),
        ("(a >= 1.0 or b = 2:1-3)", True),
        ("(a and b and c)", True),
        ("(a with b with c)", True),
        ("(a without b)", True),
        ("(a if b)", True),
        ("(a if b else c)", True),
        ("(a unless b else c)", False),  # in a conflict only
        ("((a if b) and (c or d))", True),
        ("(lib(x)(64bit) or lib(y) >= 2)", True),
        ("(python3dist(x) >= 1 with python3dist(x) < 2)", True),
        ("()", False),
        ("(a", False),
        ("(a if b", False),
        ("(a if)", False),
        ("(if a)", False),
        ("(a b)", False),
        ("(a >= )", False),
        ("(a or b and c)", False),
        ("(a if b if c)", False),
        ("(a if b else c else d)", False),
        ("(a or b))", False),
        ("(a OR b)", False),
        ("(" * 300 + "a" + ")" * 299, False),
    ],
)
def test_what_rpm_cannot_read_is_no_rich_dependency(text: str, sound: bool, tmp_path: Path) -> None:
    (tmp_path / "a.spec").write_text(_SPEC.format(text))
    asked = subprocess.run(["rpmspec", "-q", tmp_path / "a.spec"], capture_output=True, timeout=30, check=False)
    assert (asked.returncode == 0) == sound, asked.stderr
    assert is_rich(text) == (sound or "unless" in text)


@pytest.mark.parametrize("text", ["(a or b) c", "(a or b) >= 1", "((" * 5000, "(a or b),"])
def test_nothing_follows_a_rich_dependency(text: str) -> None:
    assert not is_rich(text)
