"""What nearly every use case is tried on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.desk import Desk, desk
from tests.lab.site import Site
from tests.lab.site import site as site_in


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A repository in memory, with a clock that the test moves."""
    with site_in(tmp_path) as site:
        yield site


@pytest.fixture
def one(site: Site, tmp_path: Path) -> Iterator[Desk]:
    """Who takes in what arrives there."""
    with desk(site, tmp_path / "work") as one:
        yield one
