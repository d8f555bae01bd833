"""Checksums of a body, as requests give them."""

import base64
import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from repod.web.api.digests import Digests
from repod.web.api.problems import Declined

DATA = b"a package"


def _of(algorithm: str, data: bytes = DATA) -> str:
    name = algorithm.replace("-", "")
    return f"{algorithm}=:{base64.b64encode(hashlib.new(name, data).digest()).decode()}:"


def _faults(*pairs: tuple[str, str]) -> list[str]:
    digests = Digests(Headers(raw=[(name.encode(), value.encode()) for name, value in pairs]))
    digests.update(DATA[:3])
    digests.update(DATA[3:])
    assert digests.sha256 == hashlib.sha256(DATA).hexdigest()
    return list(digests.faults())


def test_nothing_is_expected_where_nothing_is_given() -> None:
    assert _faults() == []


@pytest.mark.parametrize("header", ["content-digest", "repr-digest"])
def test_every_checksum_of_a_list_must_be_right(header: str) -> None:
    assert _faults((header, f"{_of('sha-256')}, {_of('sha-512')}")) == []
    wrong = _faults((header, f"{_of('sha-256')},{_of('sha-512', b'other')}"))
    assert len(wrong) == 1
    assert "expected sha512" in wrong[0]


def test_headers_that_come_twice_count_both() -> None:
    assert len(_faults(("content-digest", _of("sha-256", b"x")), ("content-digest", _of("sha-256", b"y")))) == 2


def test_algorithms_that_nobody_trusts_are_passed_over() -> None:
    assert _faults(("repr-digest", "md5=:AAAA:, unixsum=:AAA=:")) == []


def test_plain_digits_may_be_large_or_small() -> None:
    digits = hashlib.sha256(DATA).hexdigest()
    assert _faults(("x-checksum-sha256", digits.upper())) == []
    assert len(_faults(("x-checksum-sha256", "0" * 64))) == 1


@pytest.mark.parametrize(
    "value", ["sha-256", "sha-256=abc", "sha-256=:AA:", "sha-256=:!!:", "SHA-256=:AA==:", "sha-512=:AAAA:", "=::"]
)
def test_what_cannot_be_read_is_declined_with_what_was_found(value: str) -> None:
    with pytest.raises(Declined, match="content-digest: expected"):
        _faults(("content-digest", value))


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80))
def test_whatever_a_header_holds_it_is_declined_or_proven(value: str) -> None:
    for header in ("content-digest", "repr-digest", "x-checksum-sha256"):
        with contextlib.suppress(Declined):
            assert len(_faults((header, value))) <= 1 + value.count(",")
