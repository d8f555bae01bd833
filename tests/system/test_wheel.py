"""Wheel and source archive of repod: the same from the same sources, whole, and installed on every Python we name."""

import tomllib
import zipfile
from pathlib import Path

import certifi
import pytest
from packaging.metadata import Metadata

from config.packaging.wheels import build
from tests.lab import debian, delivery
from tests.lab.box import box
from tests.lab.ports import free_port


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Wheel and source archive of this checkout."""
    return build(delivery.ROOT, tmp_path_factory.mktemp("dist"))


def test_two_builds_are_the_same_to_the_byte(built: tuple[Path, Path], tmp_path: Path) -> None:
    again = build(delivery.ROOT, tmp_path)
    assert [path.name for path in again] == [path.name for path in built]
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in built]


def test_the_wheel_holds_every_file_of_the_package_and_what_systemd_and_settings_need(
    built: tuple[Path, Path],
) -> None:
    with zipfile.ZipFile(built[0]) as packed:
        held = set(packed.namelist())
    sources = (path for path in (delivery.ROOT / "repod").rglob("*") if path.is_file())
    wanted = {str(path.relative_to(delivery.ROOT)) for path in sources if "__pycache__" not in path.parts}
    shared = {name.partition(".data/data/share/repod/")[2] for name in held if ".data/data/" in name}
    assert wanted <= held
    assert {"systemd/repod.service", "systemd/repod-s3.socket", "repod.toml", "prometheus/alerts.yml"} <= shared
    assert not [name for name in held if name.startswith(("tests/", "config/"))]


def test_the_metadata_of_the_wheel_is_what_an_index_takes(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[0]) as packed:
        (name,) = [name for name in packed.namelist() if name.endswith(".dist-info/METADATA")]
        text = packed.read(name)
    metadata = Metadata.from_email(text, validate=True)
    assert metadata.license_expression == "GPL-2.0-or-later"
    assert metadata.description_content_type == "text/markdown"
    asked = tomllib.loads((delivery.ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert str(metadata.requires_python) == asked


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("suite", "python"), [("trixie", "3.13"), ("forky", "3.14")])
def test_the_wheel_installs_and_publishes_on_a_newer_python(
    built: tuple[Path, Path], tmp_path: Path, suite: str, python: str
) -> None:
    # The wheel of createrepo-c takes GLib from the system.
    root = debian.root(suite, "python3", "python3-venv", "gnupg", "libglib2.0-0t64")
    wheels = delivery.wheels(python)
    with box(tmp_path / "box", root, wheels, built[0].parent, size="900m") as inside:
        # Debian's pip reads this file of ca-certificates, whatever it is asked for; no script of that package ran here.
        inside.put("/etc/ssl/certs/ca-certificates.crt", Path(certifi.where()).read_bytes())
        # Its own /tmp is too small for what pip unpacks.
        roomy = ("env", "TMPDIR=/var/tmp")
        inside.run(*roomy, "python3", "-m", "venv", "/opt/repod")
        assert inside.run("/opt/repod/bin/python", "--version").out.startswith(f"Python {python}.")
        inside.run(*roomy, "/opt/repod/bin/python", "-m", "pip", *delivery.pip(built[0], wheels))
        for name in ("repod", "repoctl", "repod-s3", "repod-agent"):
            assert "sage: " in inside.run(f"/opt/repod/bin/{name}", "--help").out
        done = inside.run(*roomy, "sh", "-c", delivery.DEMO, "sh", "/opt/repod/bin", str(free_port()), "/opt")
        assert "repod-hello" in done.out
