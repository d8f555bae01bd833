"""What a host's shell is handed, and what of its answer is the command's."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repod.client.transports.frame import READER, Stream, line, marked
from repod.client.transports.kept import Kept, last_line
from tests.lab.oddwords import ODD

MARK = "0123456789abcdef" * 2


def _through(
    shell: str, argv: list[str], data: bytes = b"", before: str = "", env: Mapping[str, str] | None = None
) -> tuple[Stream, Stream]:
    """A command as sshd has a login shell run it."""
    done = subprocess.run(
        [shell, "-c", before + READER],
        input=line(marked(argv, MARK, root=False)) + data,
        env={**os.environ, **(env or {})},
        capture_output=True,
        check=False,
        timeout=120,
    )
    out, err = Stream(MARK, 1 << 20), Stream(MARK, 1 << 20)
    out.feed(done.stdout)
    err.feed(done.stderr)
    return out, err


_WORDS = [*ODD, b"\xff\xc3".decode("utf-8", "surrogateescape"), "\\c", "\n7", "x" * 100_000]


def _arrive(out: Stream, err: Stream) -> None:
    text = "".join(f"<{word}>" for word in _WORDS).encode("utf-8", "surrogateescape").decode(errors="replace")
    assert (out.kept.text(), out.code) == (text + "the input\n", 0)
    assert (err.kept.text(), err.code) == ("", 0)


@pytest.mark.parametrize("shell", ["sh", "bash", "tcsh", "fish"])
def test_every_login_shell_hands_on_each_argument_as_it_is(shell: str) -> None:
    path = shutil.which(shell)
    assert path, f"{shell} is not installed; run tests/run"
    _arrive(*_through(path, ["sh", "-c", 'printf "<%s>" "$@"; cat', "sh", *_WORDS], data=b"the input\n"))


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_whatever_sh_is_there_it_reads_each_argument_as_it_is(tmp_path: Path, shell: str, locale: str) -> None:
    path = shutil.which(shell)
    assert path
    (tmp_path / "sh").symlink_to(path)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LC_ALL": locale}
    _arrive(*_through(path, ["sh", "-c", 'printf "<%s>" "$@"; cat', "sh", *_WORDS], data=b"the input\n", env=env))


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=4))
def test_the_line_means_the_arguments_whatever_is_in_them(words: list[str]) -> None:
    """What is quoted once and read by ``sh`` once is what it was."""
    done = subprocess.run(
        ["sh", "-c", READER.removeprefix("sh -c '").removesuffix("'")],
        input=line(["printf", "%s\\0", *words]),
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode().split("\0")[: len(words)] == words


def test_an_argument_with_a_nul_byte_is_refused_before_anything_runs() -> None:
    with pytest.raises(ValueError, match="has a NUL byte"):
        line(["echo", "a\0b"])


def test_what_others_write_before_and_after_is_not_the_commands_output() -> None:
    out, _ = _through("sh", ["echo", "mine"], before="echo hello there;")
    assert (out.kept.text(), out.code) == ("mine\n", 0)
    stream = Stream(MARK, 100)
    stream.feed(f"welcome\n{MARK}-begin\nmine\n{MARK}-end 7\nbye\n".encode())
    stream.feed(b"and more")
    stream.close()
    assert (stream.kept.text(), stream.code) == ("mine\n", 7)


def test_where_it_never_begins_what_was_said_is_kept() -> None:
    stream = Stream(MARK, 100)
    stream.feed(b"This account is\n  currently not available.\n")
    assert (stream.begun, stream.noise) == (False, "This account is currently not available.")


@given(st.binary(max_size=200), st.lists(st.integers(0, 300), max_size=8), st.integers(0, 255))
def test_a_stream_is_the_same_however_it_is_cut_into_pieces(body: bytes, cuts: list[int], code: int) -> None:
    whole = b"noise\n" + f"{MARK}-begin\n".encode() + body + f"{MARK}-end {code}\n".encode()
    places = sorted({0, len(whole), *(min(cut, len(whole)) for cut in cuts)})
    stream = Stream(MARK, 1 << 10)
    for start, stop in pairwise(places):
        stream.feed(whole[start:stop])
    assert (stream.code, stream.kept.text()) == (code, body.decode(errors="replace"))


@given(st.lists(st.binary(max_size=30), max_size=20), st.integers(2, 40))
def test_of_a_stream_as_much_is_kept_as_the_limit_says_from_both_ends(pieces: list[bytes], limit: int) -> None:
    kept, whole = Kept(limit), b"".join(pieces)
    for piece in pieces:
        kept.add(piece)
    half = limit // 2
    assert kept.cut == (len(whole) > 2 * half)
    if not kept.cut:
        assert kept.text() == whole.decode(errors="replace")
    else:
        ends = (whole[:half].decode(errors="replace"), whole[-half:].decode(errors="replace"))
        assert kept.text() == f"{ends[0]}\n[{len(whole) - 2 * half} bytes left out]\n{ends[1]}"


def test_the_last_line_is_the_last_one_that_says_something() -> None:
    assert last_line(b"one\ntwo: \n\n  \n") == "two:"
    assert last_line(b" \n") == ""


def test_an_end_with_a_number_that_is_no_exit_status_is_no_end() -> None:
    stream = Stream("mark", 1 << 20)
    stream.feed(b"mark-begin\nmark-end " + b"9" * 10_000 + b"\n")
    assert stream.code is None
    stream.feed(b"mark-end 7\n")
    assert stream.code == 7
