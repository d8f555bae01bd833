"""Cases about what a command is started in: closed streams, other locales, files that editors wrote."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import rpms
from tests.lab.daemon import Repod
from tests.lab.keys import make_key
from tests.lab.wait import until

ROOT = Path(__file__).resolve().parents[2]


def shell(words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A line of bash in the checkout."""
    return subprocess.run(
        ["bash", "-c", words],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHON": sys.executable} | environ,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )


@pytest.fixture
def repod(tmp_path: Path, key_file: Path) -> Repod:
    """A repository with one package in its inbox."""
    repod = Repod(tmp_path, key_file)
    rpms.quick(repod.inbox())
    return repod


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_with_standard_streams_closed_a_command_does_its_work_and_no_file_takes_their_place(
    repod: Repod, closed: str
) -> None:
    """Else the first file that is opened has the number of standard output, and what is printed goes into it."""
    done = shell(f'"$PYTHON" -m repod once -c {repod.config} {closed}')
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "hello-1.0-1.noarch" in repod.cli("packages", "test").out
    assert shell(f'"$PYTHON" -m repod packages -c {repod.config} test {closed}').returncode == 0


@pytest.mark.parametrize("words", ["packages -c {} test", "--help", "packages --help"])
def test_an_answer_that_cannot_be_written_is_one_line_and_no_success(repod: Repod, words: str) -> None:
    """A full disk behind a redirection: exit code 4, and no traceback."""
    assert repod.once().rc == 0
    done = shell(f'"$PYTHON" -m repod {words.format(repod.config)} >/dev/full')
    assert done.returncode == 4
    assert "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_a_log_on_a_full_disk_stops_neither_a_command_nor_the_daemon(tmp_path: Path, key_file: Path) -> None:
    """What cannot be told is done all the same, and is a success."""
    repod = Repod(tmp_path, key_file, prefix=("sh", "-c", 'exec "$@" 2>/dev/full', "sh"))
    rpms.quick(repod.inbox(), "first")
    assert shell(f'"$PYTHON" -m repod once -c {repod.config} 2>/dev/full').returncode == 0
    rpms.quick(repod.inbox(), "second")
    repod.spawn()
    until(lambda: not list(repod.inbox().iterdir()), 30, "the daemon to take the package in")
    assert repod.stop() == 0
    listed = repod.cli("packages", "test").out
    assert ("first-1.0-1.noarch.rpm" in listed, "second-1.0-1.noarch.rpm" in listed) == (True, True)


def test_in_a_locale_without_utf8_a_path_that_is_not_ascii_refuses_no_package(tmp_path: Path, key_file: Path) -> None:
    """Who reads packages takes paths as UTF-8 alone; in another locale sound packages were refused for the folder."""
    base = tmp_path / "Pakete für Köln"
    base.mkdir()
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    repod = Repod(base, key_file, env=locale)
    rpms.quick(base).rename(repod.inbox() / "grüße.rpm")
    done = repod.once()
    assert done.rc == 0, done.err
    told = repod.cli("history", "test")
    assert told.rc == 0, told.err
    assert "grüße.rpm" in told.out


def test_a_letter_that_the_terminal_does_not_know_stops_no_answer(repod: Repod) -> None:
    """It is told by its number."""
    (package,) = repod.inbox().iterdir()
    package.rename(package.with_name("łódź.rpm"))
    assert repod.once().rc == 0
    done = shell(f'"$PYTHON" -m repod history -c {repod.config} test', PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u0142" in done.stdout


def test_settings_as_editors_write_them_are_read(repod: Repod) -> None:
    """With a byte order mark and with CRLF; what is not UTF-8 is named by its line."""
    text = repod.config.read_text()
    repod.config.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert repod.once().rc == 0
    repod.config.write_bytes(text.encode() + b"# caf\xe9\n")
    done = repod.cli("status")
    assert done.rc == 2
    assert f"byte 0xe9 at line {text.count(chr(10)) + 1}" in done.err
    assert "UTF-8" in done.err


def test_a_key_and_a_passphrase_with_a_mark_before_them_are_read(tmp_path: Path) -> None:
    """As an editor of another system saves them."""
    key = make_key("rsa2048", passphrase="open sesame")
    secret, word = tmp_path / "key.asc", tmp_path / "passphrase"
    for file, data in ((secret, key.secret), (word, b"open sesame\r\n")):
        file.write_bytes(b"\xef\xbb\xbf" + data)
        file.chmod(0o600)
    repod = Repod(tmp_path, secret, settings={"signing": {"passphrase_file": str(word)}})
    rpms.quick(repod.inbox())
    assert repod.once().rc == 0
    assert "hello-1.0-1.noarch" in repod.cli("packages", "test").out
