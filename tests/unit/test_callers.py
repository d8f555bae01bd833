"""Who is known, by token, password or certificate, and what the settings let them do."""

import ast
import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import bcrypt
import pytest

from repod.access import ANY, METRICS, READ, Caller, Offer, Reason, Rules, Scope, Stranger, Verb
from repod.callers.failures import Failures
from repod.callers.known import Known
from repod.callers.passwords import PasswordFile
from repod.callers.tokens import TokenFile
from repod.errors import Unavailable
from repod.listening import Http
from repod.web.tls import certificate_names


def line(name: str, password: str) -> str:
    return f"{name}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n"


def reason(known: Known, **offer: str) -> Reason:
    with pytest.raises(Stranger) as caught:
        known.recognize(Offer(address="192.0.2.1", **offer))
    return caught.value.reason


# ---------------------------------------------------------------- rules


def test_a_token_reaches_what_it_names_whatever_the_settings_say_of_names() -> None:
    rules = Rules(open=frozenset(), scopes={"a": Scope(public=False, readers=["web-*"]), "b": Scope(public=False)})
    bound = Caller(names=("t",), how="token", verbs=frozenset({READ}), repositories=frozenset({"a"}))
    free = Caller(names=("t",), how="token", verbs=frozenset({READ}), repositories=frozenset({ANY}))
    assert [rules.allows(bound, READ, name) for name in ("a", "b", "c")] == [True, False, False]
    assert [rules.allows(free, READ, name) for name in ("a", "b", "c")] == [True, True, True]
    assert not rules.allows(free, METRICS, "")


def test_names_reach_what_the_patterns_of_a_repository_let_in_and_can_do_no_more_than_read() -> None:
    rules = Rules(open=frozenset(), scopes={"a": Scope(public=False, readers=["web-*", "ci"])})
    for names, wanted in ((("web-1",), True), (("x", "ci"), True), (("db-1",), False)):
        assert rules.allows(Caller(names=names, how="certificate"), READ, "a") == wanted
    assert not rules.allows(Caller(names=("ci",), how="password"), Verb("promote"), "a")


def test_what_is_public_or_open_asks_nobody() -> None:
    rules = Rules(open=frozenset({METRICS}), scopes={"a": Scope(public=True), "b": Scope(public=False)})
    assert rules.asks_nobody(METRICS, "")
    assert rules.asks_nobody(READ, "a")
    assert not rules.asks_nobody(READ, "b")
    assert not rules.asks_nobody(READ, "no such repository")


# ---------------------------------------------------------------- passwords


def test_a_right_password_is_worked_out_once_until_the_file_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "htpasswd"
    file.write_text(line("web1", "right"))
    worked: list[bytes] = []
    real: Callable[[bytes, bytes], bool] = bcrypt.checkpw
    monkeypatch.setattr(bcrypt, "checkpw", lambda secret, known: worked.append(known) or real(secret, known))
    known = Known(Http(passwords=str(file)))
    for _ in range(1000):
        assert known.recognize(Offer(address="192.0.2.1", user="web1", password="right")).names == ("web1",)
    assert len(worked) == 1
    file.write_text(line("web1", "another") + "\n")
    assert reason(known, user="web1", password="right") == Reason.UNKNOWN
    assert str(known.recognize(Offer(address="192.0.2.1", user="web1", password="another"))) == "password web1"


@pytest.mark.parametrize("password", ["", "x" * 73, "a\0b", "\udcff", "righ", "right "])
def test_what_is_no_right_password_is_wrong_whatever_its_bytes(password: str, tmp_path: Path) -> None:
    (tmp_path / "p").write_text(line("web1", "right"))
    assert reason(Known(Http(passwords=str(tmp_path / "p"))), user="web1", password=password) == Reason.UNKNOWN


def test_an_unknown_name_takes_as_long_as_a_known_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "p").write_text(line("web1", "right"))
    worked: list[bytes] = []
    monkeypatch.setattr(bcrypt, "checkpw", lambda _secret, known: worked.append(known) or True)
    with pytest.raises(Stranger):
        PasswordFile(tmp_path / "p").recognize("nobody", "right")
    assert len(worked) == 1


# ---------------------------------------------------------------- tokens


def test_a_token_is_random_bits_and_its_hash_all_that_is_kept(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "t.json", lambda: 1000.0)
    secret = file.add("a", lambda count: b"\x07" * count, verbs=["read"], repositories=["r"], seconds=10)
    assert secret == "repod_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"
    (kept,) = json.loads((tmp_path / "t.json").read_text())["tokens"]
    assert set(kept) == {"name", "sha256", "verbs", "repositories", "created", "expires"}
    assert (kept["created"], kept["expires"]) == (1000.0, 1010.0)
    assert file.recognize(secret).repositories == frozenset({"r"})


@pytest.mark.parametrize(
    "text", ["{", "{}", "[]", '{"version": 2, "tokens": []}', '{"version": 1, "tokens": [{"a": 1}]}']
)
def test_a_file_of_tokens_that_is_not_understood_lets_nobody_in(text: str, tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "t.json", time.time)
    secret = file.add("a", bytes, verbs=["read"], repositories=[ANY], seconds=None)
    file.recognize(secret)
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(Unavailable):
        file.recognize(secret)
    with pytest.raises(Unavailable):
        file.add("b", bytes, verbs=["read"], repositories=[ANY], seconds=None)
    assert (tmp_path / "t.json").read_text() == text


def test_without_a_file_there_is_no_token_and_without_a_way_to_it_nobody_can_tell(tmp_path: Path) -> None:
    assert reason(Known(Http(tokens=str(tmp_path / "none.json"))), token="repod_x") == Reason.UNKNOWN
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable):
        TokenFile(tmp_path / "file" / "t.json", time.time).recognize("repod_x")


def test_a_verb_of_a_newer_version_is_kept_and_allows_nothing_here(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "t.json", time.time)
    secret = file.add("a", bytes, verbs=["read", "teleport"], repositories=[ANY], seconds=None)
    rules = Rules(open=frozenset(), scopes={})
    assert rules.allows(file.recognize(secret), READ, "r")
    assert [one.verbs for one in file.list()] == [["read", "teleport"]]


# ---------------------------------------------------------------- guessing


def test_an_address_that_failed_ten_times_waits_out_the_minute_and_others_do_not() -> None:
    now = [0.0]
    failures = Failures(lambda: now[0])
    for _ in range(9):
        failures.note("192.0.2.1")
    assert failures.wait("192.0.2.1") == 0
    failures.note("192.0.2.1")
    assert failures.wait("192.0.2.1") == 60
    assert failures.wait("192.0.2.2") == 0
    now[0] = 61.0
    assert failures.wait("192.0.2.1") == 0


def test_addresses_of_one_ipv6_site_count_together_and_no_flood_of_them_fills_the_memory() -> None:
    failures = Failures(lambda: 0.0)
    for number in range(10):
        failures.note(f"2001:db8::{number:x}")
    assert failures.wait("2001:db8::ffff") == 60
    for number in range(5000):
        failures.note(f"198.51.{number // 250}.{number % 250}")
    assert len(failures._found) <= 4096


def test_addresses_of_ipv4_that_a_listener_for_both_kinds_sees_are_not_one_site() -> None:
    failures = Failures(lambda: 0.0)
    for _ in range(10):
        failures.note("::ffff:192.0.2.1")
    assert failures.wait("::ffff:192.0.2.1") == failures.wait("192.0.2.1") == 60
    assert failures.wait("::ffff:192.0.2.2") == 0


@pytest.mark.parametrize("address", ["fe80::1%eth0", "unknown", "x" * 5000, "", "1.2.3.4.5", "\udcff"])
def test_whatever_a_proxy_calls_an_address_is_counted(address: str) -> None:
    failures = Failures(lambda: 0.0)
    for _ in range(10):
        failures.note(address)
    assert failures.wait(address) == 60
    assert max(map(len, failures._found)) <= 100


def test_who_guesses_shuts_out_nobody_who_shares_his_address(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path / "t", time.time)
    secret = tokens.add("ci", bytes, verbs=["upload"], repositories=[ANY], seconds=None)
    known = Known(Http(tokens=str(tmp_path / "t")))
    for _ in range(50):
        with pytest.raises(Stranger):
            known.recognize(Offer(address="192.0.2.1", token="repod_guess"))
    assert reason(known, token="repod_guess") == Reason.THROTTLED
    assert str(known.recognize(Offer(address="192.0.2.1", token=secret))) == "token ci"


def test_no_secret_is_compared_but_in_constant_time() -> None:
    """By construction: a token is looked up by its SHA-256, and what is compared goes through ``compare_digest``."""
    secret = re.compile(r"secret|password|token$|digest|sha256|hash|known$|right$", re.IGNORECASE)
    for file in (*Path("repod/callers").glob("*.py"), *Path("repod/web").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
                sides = [ast.unparse(side).rpartition(".")[2] for side in (node.left, *node.comparators)]
                found = [side for side in sides if secret.search(side)]
                assert not found, f"{file} line {node.lineno}: {ast.unparse(node)}"


def test_passwords_are_worked_on_two_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "p").write_text(line("web1", "right"))
    at_work, most, lock = [0], [0], threading.Lock()

    def slow(_secret: bytes, _known: bytes) -> bool:
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        time.sleep(0.02)
        with lock:
            at_work[0] -= 1
        return False

    monkeypatch.setattr(bcrypt, "checkpw", slow)
    known = Known(Http(passwords=str(tmp_path / "p")))
    threads = [threading.Thread(target=lambda n=n: reason(known, user="web1", password=str(n))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] <= 2


# ---------------------------------------------------------------- certificates


def test_a_certificate_is_for_its_dns_names_and_its_common_name() -> None:
    certificate = {
        "subject": ((("organizationName", "Example"),), (("commonName", "web-1"),)),
        "subjectAltName": (("DNS", "web-1.example.com"), ("IP Address", "10.0.0.1"), ("DNS", "web-1")),
    }
    assert certificate_names(certificate) == ("web-1.example.com", "web-1")
    assert certificate_names(None) == ()


def test_wrong_credentials_beside_a_certificate_are_wrong(tmp_path: Path) -> None:
    known = Known(Http(tokens=str(tmp_path / "t")))
    assert known.recognize(Offer(address="a", names=("web-1",))).how == "certificate"
    with pytest.raises(Stranger):
        known.recognize(Offer(address="a", names=("web-1",), token="repod_wrong"))
    assert reason(known) == Reason.NOTHING
