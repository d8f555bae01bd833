"""Tables of commands."""

import pytest

from repod.show import show


def test_texts_of_strangers_never_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show([{"why": "a\x1b[2Jb\u202ec", "more": ["x\x07", "y"]}], as_json=False, empty="")
    printed = capsys.readouterr().out
    assert "a\ufffd[2Jb\ufffdc" in printed
    assert not {"\x1b", "\u202e", "\x07"} & set(printed)
