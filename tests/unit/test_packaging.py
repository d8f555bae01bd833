"""The recipes of the packages agree with what they package."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from config.packaging.rpms import Release
from config.packaging.target import targets
from tests.lab.rpms import tool

_ROOT = Path(__file__).parents[2]
_PACKAGING = _ROOT / "config/packaging"
_SCRIPTLETS = sorted((_PACKAGING / "scriptlets").glob("*.sh"))


def test_what_erasing_removes_of_the_state_folder_is_what_repod_makes_there() -> None:
    modules = (path for path in (_ROOT / "repod").rglob("*.py") if "client" not in path.parts)
    sources = "".join(path.read_text() for path in modules)
    made = set(re.findall(r'(?:state_dir\)? / |state_dir, |\bplace / )"(\w+)"', sources))
    script = (_PACKAGING / "scriptlets/repod-postremove.sh").read_text()
    (names,) = re.findall(r"for name in ([\w ]+); do", script)
    assert set(names.split()) == made


@pytest.mark.parametrize("script", _SCRIPTLETS, ids=lambda path: path.name)
def test_a_scriptlet_is_clean_posix_sh(script: Path) -> None:
    done = subprocess.run([tool("shellcheck"), "--shell=sh", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_folder_that_is_made_for_the_first_repository_goes_where_it_is_empty() -> None:
    made = re.findall(r"(?m)^d (/srv\S+|/var\S+)", (_ROOT / "systemd/repod.tmpfiles.conf").read_text())
    script = (_PACKAGING / "scriptlets/repod-postremove.sh").read_text()
    assert set(made) <= set(re.findall(r"/[\w/-]+", script))


def test_every_recipe_names_scriptlets_that_are_there() -> None:
    named = set(re.findall(r"scriptlets/([\w-]+\.sh)", "".join(path.read_text() for path in _PACKAGING.glob("*.yaml"))))
    assert named == {path.name for path in _SCRIPTLETS}


def test_a_target_with_a_daemon_has_a_python_that_repod_runs_on() -> None:
    required = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert required == ">=3.11"
    for target in targets("x86_64").values():
        assert not target.python or tuple(map(int, target.python.split("."))) >= (3, 11)


@pytest.mark.parametrize(
    ("wheel", "version"),
    [("1.2.3", "1.2.3"), ("1.2.3rc1", "1.2.3~rc1"), ("1.2.3.dev4", "1.2.3~.dev4"), ("1.2.3a1", "1.2.3~a1")],
)
def test_a_pre_release_comes_before_its_release_for_rpm(wheel: str, version: str) -> None:
    made = Release(root=_ROOT, wheel=Path(f"repod-{wheel}-py3-none-any.whl"), time=0)
    assert made.version == version
