"""``repod check`` of the listener: who could read along, and who could not read at all."""

import time
from pathlib import Path

import pytest

from repod.auditlog.file import AuditFile
from repod.callers.tokens import TokenFile
from repod.checkhttp import check_listener
from repod.config import parse
from repod.errors import Misconfigured
from tests.lab.audits import noted
from tests.lab.certificates import Authority


def told(base: Path, http: str, repository: str = "", now: float | None = None) -> list[str]:
    text = f'[http]\n{http}\n[signing]\nkey = "k"\n[[repository]]\nname = "r"\ninbox = "i"\nstore = "s"\n{repository}'
    problems = check_listener(parse(text, base), time.time() if now is None else now)
    return [f"{one.severity} {one.where}: {one.text}" for one in problems]


def test_the_defaults_have_no_problem(tmp_path: Path) -> None:
    assert told(tmp_path, "") == []


@pytest.mark.parametrize("more", ["", 'access = "readers"\ntokens = "t"', 'proxies = ["127.0.0.1", "::1"]'])
def test_what_others_reach_without_tls_or_a_named_proxy_is_a_fault(more: str, tmp_path: Path) -> None:
    text = told(tmp_path, f'listen = "0.0.0.0:80"\n{more}')[0]
    start = "fault http.listen: 0.0.0.0:80 is not a loopback address and has no TLS: who is between can read along"
    assert text.startswith(start)
    assert ("tokens and passwords too" in text) == ("tokens" in more)


def test_a_proxy_that_may_be_anyone_is_a_fault(tmp_path: Path) -> None:
    (text,) = told(tmp_path, 'proxies = ["*"]')
    assert text.startswith('fault http.proxies: proxies has "*", so whoever connects may say that he is another')


def test_tokens_that_change_things_without_an_audit_log_are_told(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path / "t", time.time)
    tokens.add("reader", lambda n: b"r" * n, verbs=["read", "metrics"], repositories=["*"], seconds=60)
    assert told(tmp_path, 'tokens = "t"') == []
    tokens.add("ci", lambda n: b"c" * n, verbs=["read", "upload"], repositories=["*"], seconds=60)
    (text,) = told(tmp_path, 'tokens = "t"')
    assert text == (
        "warning audit.file: tokens may change things (ci), and nothing writes down what they do; "
        "name a file in [audit] file"
    )
    assert told(tmp_path, 'tokens = "t"\n[audit]\nfile = "audit.jsonl"') == []


def test_a_file_of_tokens_that_others_can_read_is_a_fault(tmp_path: Path) -> None:
    TokenFile(tmp_path / "t", time.time).add("x", bytes, verbs=["read"], repositories=["*"], seconds=60)
    assert told(tmp_path, 'tokens = "t"') == []
    (tmp_path / "t").chmod(0o640)
    assert told(tmp_path, 'tokens = "t"') == [
        f"fault http.tokens: {tmp_path / 't'} is open to others than its owner; chmod 600 it"
    ]


def test_an_audit_log_that_cannot_be_written_or_was_cut_is_told(tmp_path: Path) -> None:
    file = tmp_path / "log/audit.jsonl"
    (text,) = told(tmp_path, f'[audit]\nfile = "{file}"')
    assert text.startswith(f"fault audit.file: {file.parent} is not a directory; create it for the user")
    file.parent.mkdir()
    assert told(tmp_path, f'[audit]\nfile = "{file}"') == []
    assert not file.exists()
    log = AuditFile(file, time.time, print)
    log.append([noted("one"), noted("two")])
    assert told(tmp_path, f'[audit]\nfile = "{file}"') == []
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0])
    (text,) = told(tmp_path, f'[audit]\nfile = "{file}"')
    assert "was cut off or altered since the last record; see: repod audit verify" in text


def test_behind_a_named_proxy_plain_http_is_no_problem(tmp_path: Path) -> None:
    TokenFile(tmp_path / "t", time.time).add("x", bytes, verbs=["read"], repositories=["*"], seconds=60)
    http = 'listen = "10.0.0.5:80"\naccess = "readers"\ntokens = "t"\nproxies = ["10.0.0.2"]'
    assert told(tmp_path, http) == []


def test_files_that_cannot_be_used_are_all_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("{}")
    (tmp_path / "p").write_text("web1:$apr1$x$y\n")
    problems = told(tmp_path, 'access = "readers"\ntokens = "t"\npasswords = "p"\ntls_certificate = "c"\ntls_key = "k"')
    assert [one.partition(": ")[0] for one in problems] == [
        "fault http.tls",
        "fault http.passwords",
        "fault http.tokens",
    ]
    assert "line 1: expected NAME:HASH with a bcrypt hash; write it with: htpasswd -B FILE NAME" in problems[1]


def test_a_certificate_that_ends_soon_or_has_ended_is_told(tmp_path: Path) -> None:
    pair = Authority(tmp_path / "ca").issue("localhost")
    http = f'tls_certificate = "{pair.certificate}"\ntls_key = "{pair.key}"'
    now = time.time()
    assert "it ends on " in told(tmp_path, http)[0]
    assert told(tmp_path, http, now=now - 30 * 86400) == []
    assert "it has expired" in told(tmp_path, http, now=now + 3 * 86400)[0]


def test_no_token_yet_and_readers_without_effect_are_told(tmp_path: Path) -> None:
    assert "repod token add NAME" in told(tmp_path, 'access = "readers"\ntokens = "t"')[0]
    assert "readers has no effect" in told(tmp_path, "", 'readers = ["web-*"]')[0]


@pytest.mark.parametrize(
    ("http", "wanted"),
    [
        ('tls_key = "k"', "http: tls_key is given and tls_certificate is not; give both, or none"),
        ('tls_client_ca = "c"', "http: tls_client_ca needs tls_certificate and tls_key"),
        ('access = "readers"', "http: access = 'readers' lets nobody in"),
        ('metrics = "readers"', "http: metrics = 'readers' lets nobody in"),
    ],
)
def test_settings_that_need_another_one_are_refused(http: str, wanted: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as caught:
        told(tmp_path, http)
    assert wanted in str(caught.value)
