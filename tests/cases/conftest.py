"""What the cases share: places that are closed after the test, and a folder to build packages in."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cases.place import MakePlace, Place
from tests.lab.keys import Key


@pytest.fixture
def make_place(tmp_path: Path, key: Key) -> Iterator[MakePlace]:
    """Makes open places, each in a folder of its own: ``make_place(settings, **repository)``."""
    with ExitStack() as stack:
        made: list[Place] = []

        def make(settings: dict[str, Any] | None = None, *, signed_with: Key = key, **repository: Any) -> Place:
            base = tmp_path / f"place{len(made)}"
            made.append(Place(base, signed_with, settings, repository))
            return stack.enter_context(made[-1])

        yield make


@pytest.fixture
def place(make_place: MakePlace) -> Place:
    """An open place with the settings that a test needs where it says nothing."""
    return make_place()


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A folder to build packages in, on the file system of the inbox."""
    folder = tmp_path / "built"
    folder.mkdir()
    return folder
