"""The map in repod/README.md shows the house as it is."""

import re
from collections import Counter
from pathlib import Path

_PACKAGE = Path(__file__).parents[2] / "repod"


def _on_the_map() -> list[tuple[str, str]]:
    """The lines of modules: path, as in the map, and what is said of it."""
    return re.findall(r"(?m)^- `([^`]+)`: (.+)$", (_PACKAGE / "README.md").read_text())


def _in_the_tree() -> list[str]:
    """Every module by its path below repod/; a package, its ``__init__``, is its folder."""
    paths = [path.relative_to(_PACKAGE) for path in sorted(_PACKAGE.rglob("*.py"))]
    return [f"{path.parent}/" if path.name == "__init__.py" and path.parent.name else str(path) for path in paths]


def test_every_module_has_one_line_on_the_map_and_every_line_its_module() -> None:
    on_the_map = Counter(path for path, _ in _on_the_map())
    in_the_tree = Counter(_in_the_tree())
    assert sorted((in_the_tree - on_the_map).elements()) == [], "without a line in repod/README.md"
    assert sorted((on_the_map - in_the_tree).elements()) == [], "on the map and not, or not twice, in the tree"


def test_no_line_of_the_map_is_longer_than_a_line() -> None:
    assert [path for path, text in _on_the_map() if len(path) + len(text) > 100] == []
