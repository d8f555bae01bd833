"""Folders for work in hand: what ended the work is never hidden by an error of the cleaning up."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from repod.errors import Unavailable
from repod.scratch import discard, scratch


def _forbidden(*_: object, **__: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_it_is_private_and_gone_at_the_end_with_all_it_holds(tmp_path: Path) -> None:
    with scratch(tmp_path, "7-") as folder:
        assert folder.name.startswith("7-")
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "a").mkdir()
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_work_is_told_though_the_folder_cannot_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Unavailable("the store is full")
    with monkeypatch.context() as patch:
        for call in ("rmdir", "unlink", "chmod"):
            patch.setattr(os, call, _forbidden)
        with pytest.raises(Unavailable) as told, scratch(tmp_path):
            raise full
    assert told.value is full
    (left,) = tmp_path.iterdir()
    shutil.rmtree(left)


def test_where_there_is_no_room_for_it_the_place_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "mkdtemp", _forbidden)
    with pytest.raises(Unavailable, match=rf"^{tmp_path} cannot be used \(Operation not permitted\); it needs room"):
        scratch(tmp_path).__enter__()


def test_a_file_that_is_gone_or_cannot_be_removed_is_no_error(tmp_path: Path) -> None:
    discard(tmp_path / "none")
    discard(tmp_path)
    assert tmp_path.is_dir()
