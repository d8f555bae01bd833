"""What a look found nothing to prune is remembered for the next process, under the same settings only."""

from pathlib import Path

from repod.idle import Idle
from repod.idlefile import IdleFile

IDLE = Idle(generation=7, until=100.5, room=None, stored=12)


def test_the_next_process_finds_what_was_found(tmp_path: Path) -> None:
    path = tmp_path / "idle/dev.json"
    assert IdleFile(path, "keep 5").load() is None
    IdleFile(path, "keep 5").save(IDLE)
    assert IdleFile(path, "keep 5").load() == IDLE
    assert [found.name for found in path.parent.iterdir()] == ["dev.json"]


def test_other_settings_and_something_to_do_forget_it(tmp_path: Path) -> None:
    path = tmp_path / "dev.json"
    IdleFile(path, "keep 5").save(IDLE)
    assert IdleFile(path, "keep 3").load() is None
    IdleFile(path, "keep 5").save(None)
    assert IdleFile(path, "keep 5").load() is None


def test_a_damaged_file_is_nothing_and_a_full_disk_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "dev.json"
    for text in ("", "{", "[]", '{"terms": "keep 5", "idle": {"generation": 1}}'):
        path.write_text(text)
        assert IdleFile(path, "keep 5").load() is None
    file = IdleFile(path / "below a file", "keep 5")
    file.save(IDLE)
    assert file.load() == IDLE
