"""A root of another Debian suite runs that suite's programs, and nothing that runs in it reaches the root itself."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import debian, newer
from tests.lab.box import box


def test_programs_of_the_suite_run_and_leave_the_root_as_it_was(tmp_path: Path) -> None:
    root = newer.forky()
    folder = tmp_path / "shared"
    folder.mkdir()
    with box(tmp_path / "box", root, folder) as inside:
        assert inside.run("dnf5", "--version").out.startswith("dnf5 version 5.")
        assert inside.run("rpm", "--version").out.startswith("RPM version 6.")
        inside.run("sh", "-c", f"touch /etc/written /usr/bin/written {folder}/shared")
        assert inside.run("hostname").out == "box\n"
    assert not (root / "etc/written").exists()
    assert not (root / "usr/bin/written").exists()
    assert (folder / "shared").exists()


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(b""), lambda _: None])
def test_a_root_that_lost_a_file_or_its_bytes_is_not_whole(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    file = tmp_path / "root/usr/bin/sed"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"sed")
    assert not debian.whole(tmp_path / "root")
    debian.keep(tmp_path / "root")
    damage(file)
    assert debian.whole(tmp_path / "root") == (file.exists() and file.read_bytes() == b"sed")


def test_a_suite_that_cannot_be_reached_is_told_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPOD_ROOTS", str(tmp_path))
    with pytest.raises(AssertionError, match="Debian's suite 'nosuch' cannot be read"):
        debian.root("nosuch", "sed")
