"""Answers of hosts through Systems Manager: what they say of themselves is not believed."""

import base64
import gzip

import pytest

from repod.client.transports.ssmscript import MOST, Answer


def _answer(data: bytes, out: int, err: int) -> str:
    text = base64.encodebytes(gzip.compress(data)).decode()
    return f"repoctl-answer 0 {out} {out} {err} {err} gzip {len(text)}\n{text}"


def test_an_answer_is_what_both_streams_had() -> None:
    found = Answer.parse(_answer(b"outerror", 3, 5))
    assert found is not None
    assert (found.ran.out, found.ran.err, found.ran.code, found.ran.cut) == ("out", "error", 0, False)


@pytest.mark.parametrize(("data", "size"), [(b"x" * 9, 8), (b"x" * 7, 8), (b"0" * (80 << 20), 8), (b"x", MOST + 1)])
def test_an_answer_that_unpacks_to_more_or_less_than_it_says_is_none(data: bytes, size: int) -> None:
    with pytest.raises(ValueError, match="not an answer: it"):
        Answer.parse(_answer(data, size, 0))
