"""Whatever an arrival is refused for, its reason says what to do."""

import ast
from pathlib import Path

import pytest

from repod.package import REASONS, REMEDIES

_REPOD = Path(__file__).parents[2] / "repod"


def _codes() -> set[str]:
    """The codes of all faults that any module makes."""
    calls = (
        node
        for path in _REPOD.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Fault"
    )
    values = (word.value for call in calls for word in call.keywords if word.arg == "code")
    return {value.value for value in values if isinstance(value, ast.Constant)}


def test_every_code_that_a_fault_is_made_with_is_a_reason_with_a_remedy() -> None:
    assert _codes() == set(REMEDIES) == set(REASONS)


@pytest.mark.parametrize("code", REASONS)
def test_a_remedy_is_one_plain_sentence(code: str) -> None:
    text = REMEDIES[code]
    assert text.endswith(".")
    assert text[0].isupper()
    assert "\n" not in text
    assert len(text) < 120
