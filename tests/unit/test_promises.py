"""What README says that a test holds, is held by a test that there is."""

import ast
import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_README = (_ROOT / "README.md").read_text(encoding="utf-8")
_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_CHAPTERS = ("What repod promises", "Security")


def _chapter(name: str) -> str:
    return _README.split(f"\n## {name}\n")[1].split("\n## ")[0]


def test_every_test_that_readme_names_is_there() -> None:
    named = set(_NAMED.findall(_README))
    assert len(named) > 50
    missing = []
    for path, name in sorted(named):
        file = _ROOT / path
        tree = ast.parse(file.read_text(encoding="utf-8")) if file.exists() else ast.Module([], [])
        if not any(isinstance(node, ast.FunctionDef) and node.name == name for node in tree.body):
            missing.append(f"{path}::{name}")
    assert missing == []


@pytest.mark.parametrize("name", _CHAPTERS)
def test_no_test_is_named_in_a_form_that_nobody_checks(name: str) -> None:
    assert len(re.findall(r"tests/[\w/]+\.py::", _chapter(name))) == len(_NAMED.findall(_chapter(name)))


def test_every_promise_names_a_test() -> None:
    promises = re.split(r"^- ", _chapter(_CHAPTERS[0]), flags=re.MULTILINE)[1:]
    assert len(promises) > 20
    assert [promise for promise in promises if not _NAMED.search(promise)] == []
