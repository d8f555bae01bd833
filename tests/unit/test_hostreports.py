"""Reports of hosts are read whole, or not at all."""

import os
from pathlib import Path

import pytest

from repod.errors import Unavailable
from repod.hostreports import ReportFolder


def test_each_file_is_the_report_of_the_host_it_is_named_for(tmp_path: Path) -> None:
    (tmp_path / "web1").write_text("a-1-1.noarch\n\nb-2:1-1.x86_64\n")
    (tmp_path / "web2.example.com").write_text("a-2-1.noarch\n")
    os.utime(tmp_path / "web1", (1000, 1000))
    (tmp_path / ".web3.part").write_text("half a re")
    (tmp_path / "lost+found").mkdir()
    web1, web2 = ReportFolder(tmp_path).read()
    assert (web1.host, web1.time, list(web1.lines)) == ("web1", 1000.0, ["a-1-1.noarch", "b-2:1-1.x86_64"])
    assert web2.host == "web2.example.com"


def test_a_folder_that_is_not_there_or_holds_none_says_that_nothing_is_pruned(tmp_path: Path) -> None:
    for folder, text in ((tmp_path / "missing", "cannot be read"), (tmp_path, "no report of a host")):
        with pytest.raises(Unavailable, match=f"{text}.*nothing is pruned"):
            ReportFolder(folder).read()


def test_one_report_that_cannot_be_read_is_never_left_out(tmp_path: Path) -> None:
    (tmp_path / "web1").write_text("a-1-1.noarch\n")
    (tmp_path / "web2").symlink_to("gone")
    with pytest.raises(Unavailable, match="web2"):
        ReportFolder(tmp_path).read()


def test_what_is_no_plain_file_is_told_and_neither_waited_for_nor_read_without_end(tmp_path: Path) -> None:
    """Whoever may put reports there may put a pipe there, or a link to a device."""
    (tmp_path / "web1").write_text("hello-1.0-1.noarch")
    odd = tmp_path / "web2"
    for make in (lambda: os.mkfifo(odd), lambda: odd.symlink_to("/dev/zero")):
        make()
        with pytest.raises(Unavailable, match=r"web2.*nothing is pruned") as caught:
            ReportFolder(tmp_path).read()
        assert "it is no plain file" in str(caught.value)
        odd.unlink()
