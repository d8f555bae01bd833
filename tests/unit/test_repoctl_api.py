"""The client of the API against a real HTTP server: what is sent, what is tried again, and what errors say."""

import hashlib
import io
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from repod.client.api import Api
from repod.client.hearing import events, told
from repod.client.settings import Server
from repod.client.tokens import Token
from repod.client.wire import Patience, Wire
from repod.errors import (
    Conflict,
    Corrupt,
    Misconfigured,
    NoRoom,
    NotFound,
    OutcomeUnknown,
    Refused,
    RepodError,
    Unavailable,
    Unfit,
)
from repod.office import Deed
from tests.lab.certificates import Authority
from tests.lab.scripted import Said, Scripted, answer, problem, scripted

_TOKEN = Token(text="repod_SECRET", source="REPOCTL_TOKEN")
_STATE = {"repository": "a", "generation": 7, "packages": 1, "published": None, "inbox": 0, "rejected": 0, "url": "u"}
_DEED = {"repository": "a", "generation": 8, "rows": [{"x": 1}], "text": "done", "not_known_yet": True}


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as found:
        yield found


class Opened:
    """An ``Api`` of a server; ``slept`` is how long it waited between tries."""

    def __init__(self, url: str, token: Token | None = _TOKEN, timeout: float = 5.0, ca: str = "") -> None:
        self.slept: list[float] = []
        self.wire = Wire(Server(url=url, timeout=timeout, ca=ca), token, Patience(), self.slept.append)
        self.api = Api(self.wire)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.api.close()


def test_a_question_carries_the_token_and_names_the_program(server: Scripted) -> None:
    server.play(answer(_STATE | {"new": 1}))
    with Opened(server.url + "/") as opened:
        assert opened.api.generation("a") == 7
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("GET", "/api/v1/repositories/a")
    assert asked.headers["authorization"] == "Bearer repod_SECRET"
    assert asked.headers["user-agent"].startswith("repoctl/")


def test_names_are_encoded_exactly_once_and_never_mean_another_place(server: Scripted) -> None:
    server.play(answer({"package": "", "builds": []}))
    with Opened(server.url) as opened:
        opened.api.package("a", "lib++-1.0-1%20/x^~.noarch")
        opened.api.package("..", ".")
    assert [asked.path for asked in server.asked] == [
        "/api/v1/repositories/a/packages/lib%2B%2B-1.0-1%2520%2Fx%5E~.noarch",
        "/api/v1/repositories/%2E%2E/packages/%2E",
    ]


@pytest.mark.parametrize(
    ("kind", "status", "error", "code"),
    [
        ("malformed", 400, Misconfigured, 2),
        ("credentials", 401, Misconfigured, 2),
        ("forbidden", 403, Refused, 3),
        ("not-found", 404, NotFound, 1),
        ("method", 405, Misconfigured, 2),
        ("conflict", 409, Conflict, 4),
        ("too-large", 413, Refused, 3),
        ("no-arrival", 415, Refused, 3),
        ("misdirected", 421, Misconfigured, 2),
        ("invalid", 422, Misconfigured, 2),
        ("refused", 422, Refused, 3),
        ("unfit", 422, Unfit, 1),
        ("mismatch", 422, Corrupt, 1),
        ("throttled", 429, Unavailable, 4),
        ("failed", 500, RepodError, 1),
        ("unavailable", 503, Unavailable, 4),
        ("no-room", 507, NoRoom, 4),
        ("of-a-newer-daemon", 422, Misconfigured, 2),
    ],
)
def test_a_problem_becomes_the_error_of_its_kind_with_the_daemons_line(
    server: Scripted, kind: str, status: int, error: type[RepodError], code: int
) -> None:
    server.play(problem(kind, status, "it is so"))
    with Opened(server.url) as opened, pytest.raises(error) as caught:
        opened.api.keys()
    assert type(caught.value) is error
    assert caught.value.exit_code == code
    more = (
        "; the token is that of REPOCTL_TOKEN; have a new one made where repod runs: repod token add"
        if status == 401
        else ""
    )
    assert str(caught.value) == "it is so" + more


@pytest.mark.parametrize(
    ("denied", "arguments"),
    [
        ("token ci may not verify el9-prod", " NAME --may verify --repository el9-prod"),
        ("this address may not metrics this", " NAME --may metrics"),
        ("token ci may not dance el9-prod", ""),
        ("token ci may not verify el9; rm -rf /", ""),
        ("token ci may not report of web1", ""),
    ],
)
def test_what_a_token_may_not_is_told_with_the_command_that_makes_one_that_may(
    server: Scripted, denied: str, arguments: str
) -> None:
    server.play(problem("forbidden", 403, denied))
    with Opened(server.url) as opened, pytest.raises(Refused) as caught:
        opened.api.keys()
    assert str(caught.value) == (f"{denied}; have a token made that may, where repod runs: repod token add{arguments}")


def test_every_fault_of_a_problem_is_a_line(server: Scripted) -> None:
    server.play(problem("refused", 422, "one; two", faults=["one", "two"]))
    with Opened(server.url) as opened, pytest.raises(Refused, match=r"^one\ntwo$"):
        opened.api.keys()


def test_without_a_token_it_is_said_how_to_give_one(server: Scripted) -> None:
    server.play(problem("credentials", 401, "credentials are needed"))
    with Opened(server.url, None) as opened, pytest.raises(Misconfigured, match="no token was sent: set REPOCTL_TOKEN"):
        opened.api.keys()
    assert "authorization" not in server.asked[0].headers


@pytest.mark.parametrize(
    ("said", "error", "text"),
    [
        (Said(body=b"<html>", media="text/html"), Misconfigured, "answers 200 with text/html, not as repod does"),
        (Said(status=404, body=b"<html>", media="text/html"), Misconfigured, "answers 404 with text/html"),
        (Said(body=b"{"), Misconfigured, "with what is no JSON, not as repod does"),
        (answer({"a": 1}), Misconfigured, "answers as no repod of this version does"),
        (Said(status=301, headers={"Location": "http://other/"}), Misconfigured, "answers 301, a redirect; set"),
        (Said(status=500, body=b"<b>\x1b[2J", media="text/html"), RepodError, "answers 500 (text/html): <b>\ufffd[2J"),
        (Said(status=502, body=b"Bad Gateway", media="text/plain"), Unavailable, "is the daemon behind it running?"),
    ],
)
def test_another_server_is_told_in_one_line(server: Scripted, said: Said, error: type[RepodError], text: str) -> None:
    server.play(said)
    with Opened(server.url) as opened, pytest.raises(error) as caught:
        opened.api.state("a")
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert server.url in str(caught.value)


def test_a_question_is_tried_again_while_the_daemon_is_in_trouble(server: Scripted) -> None:
    trouble = [Said(breaks=True), Said(status=502, media="text/html"), problem("unavailable", 503, "not now")]
    server.play(*trouble, answer(_STATE))
    with Opened(server.url) as opened:
        assert opened.api.generation("a") == 7
    assert len(server.asked) == 4
    assert opened.slept == sorted(opened.slept)


def test_what_the_daemon_asks_to_wait_is_waited_and_more_than_half_a_minute_is_not(server: Scripted) -> None:
    server.play(problem("throttled", 429, "wait", headers={"Retry-After": "7"}), answer(_STATE))
    with Opened(server.url) as opened:
        opened.api.state("a")
        assert opened.slept == [7.0]
        server.play(problem("throttled", 429, "wait", headers={"Retry-After": "31"}))
        with pytest.raises(Unavailable, match=r"^wait$"):
            opened.api.state("a")
    assert len(server.asked) == 1


def test_after_the_last_try_the_last_trouble_is_told(server: Scripted) -> None:
    server.play(problem("unavailable", 503, "not now"))
    with Opened(server.url) as opened, pytest.raises(Unavailable, match=r"^not now$"):
        opened.api.state("a")
    assert len(server.asked) == 5


def test_a_change_whose_answer_is_lost_is_not_made_twice(server: Scripted) -> None:
    server.play(Said(breaks=True))
    with Opened(server.url) as opened, pytest.raises(OutcomeUnknown, match="may have been made: look with repoctl"):
        opened.api.remove("a", ["x"])
    assert len(server.asked) == 1
    server.play(problem("unavailable", 503, "not now"))
    with Opened(server.url) as opened, pytest.raises(Unavailable):
        opened.api.remove("a", ["x"])
    assert len(server.asked) == 1


def test_a_pin_may_be_set_twice(server: Scripted) -> None:
    server.play(Said(breaks=True), answer(_DEED))
    with Opened(server.url) as opened:
        opened.api.mark("a", "x-1-1.noarch", why="so")
    assert [asked.body for asked in server.asked] == [b'{"why": "so"}'] * 2


def test_an_answer_that_takes_too_long_is_told(server: Scripted) -> None:
    server.play(Said(after=4), answer(_STATE), answer(_STATE))
    with Opened(server.url, timeout=1.5) as opened:
        assert opened.api.generation("a") == 7
    assert len(server.asked) == 2


def test_where_nobody_listens_it_is_said_and_a_change_is_tried_again_too() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with Opened(url) as opened, pytest.raises(Unavailable) as caught:
            opened.api.prune("a")
    assert (
        str(caught.value)
        == f"no connection to {url} (Connection refused); does repod run there, and is [server] url right?"
    )
    assert len(opened.slept) == 4


@pytest.mark.parametrize("url", ["http://repod.example.com", "http://10.0.0.1:8470", "http://127.0.0.1.example.com"])
def test_a_token_is_never_sent_in_clear_beyond_this_machine(url: str) -> None:
    with pytest.raises(Misconfigured, match=r"the token would go there in clear.* use https://") as caught:
        Opened(url)
    assert "SECRET" not in str(caught.value)
    Opened(url, None).api.close()


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.1.2.3:1", "http://[::1]:1", "https://far.example"])
def test_to_this_machine_and_over_tls_it_may_go(url: str) -> None:
    Opened(url).api.close()


def test_a_server_on_this_machine_is_not_asked_through_a_proxy(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.play(answer(_STATE))
    with Opened(server.url) as opened:
        assert opened.api.generation("a") == 7


def test_the_ca_of_the_settings_is_trusted_and_no_other(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    pair = authority.issue("repod")
    with scripted((str(pair.certificate), str(pair.key))) as server:
        server.play(answer(_STATE))
        with Opened(server.url, ca=str(authority.file)) as opened:
            assert opened.api.generation("a") == 7
        with Opened(server.url) as opened, pytest.raises(Misconfigured, match=r"not trusted .*\[server\] ca"):
            opened.api.state("a")
    with pytest.raises(Misconfigured, match=r"\[server\] ca: .* cannot be used"):
        Opened("https://127.0.0.1:1", ca=str(tmp_path / "none"))


def test_http_where_tls_was_meant_is_told(server: Scripted) -> None:
    server.play(answer(_STATE))
    with Opened(server.url.replace("http:", "https:")) as opened, pytest.raises(Misconfigured, match=r"or http://\?"):
        opened.api.state("a")


def _job(state: str, **more: Any) -> dict[str, Any]:
    return {"id": "1" * 32, "what": "verify", "repository": "a", "actor": "me", "state": state, "created": "", **more}


def test_a_job_is_waited_for_and_how_far_it_is_is_told(server: Scripted) -> None:
    far = _job("running", progress={"what": "packages", "done": 3, "total": 9})
    server.play(answer(_job("running"), 202), answer(far), answer(_job("done", result=_DEED)))
    heard: list[tuple[str, int, int]] = []
    with Opened(server.url) as opened:
        deed = opened.api.verify("a", tell=lambda *far: heard.append(far))
    assert deed == Deed(repository="a", generation=8, rows=[{"x": 1}], text="done")
    assert heard == [("packages", 3, 9)]
    assert [asked.path.partition("?")[0] for asked in server.asked[1:]] == [f"/api/v1/jobs/{'1' * 32}"] * 2


def test_what_a_job_met_is_raised_as_if_it_had_been_told_at_once(server: Scripted) -> None:
    met = {"type": "/api/v1/problems/conflict", "status": 409, "detail": "somebody was faster"}
    server.play(answer(_job("running"), 202), answer(_job("failed", problem=met)))
    with Opened(server.url) as opened, pytest.raises(Conflict, match=r"^somebody was faster$"):
        opened.api.verify("a")


def test_a_job_that_a_new_daemon_does_not_know_may_have_ended_either_way(server: Scripted) -> None:
    server.play(answer(_job("running"), 202), problem("not-found", 404, "there is no job"))
    with Opened(server.url) as opened, pytest.raises(OutcomeUnknown, match=r"began anew .*: repoctl history a"):
        opened.api.verify("a")


def test_a_change_that_a_policy_refuses_tells_what_it_would_have_been(server: Scripted) -> None:
    deed = {**_DEED, "rows": [{"refused": ["no"]}], "refused": True, "code": 3}
    server.play(problem("refused", 422, "no", refused=True, deed=deed))
    with Opened(server.url) as opened:
        found = opened.api.promote("a", "b", ["x"])
    assert (found.refused, found.code, found.rows) == (True, 3, [{"refused": ["no"]}])


def test_a_change_that_ended_halfway_is_no_success_whatever_it_says_of_itself(server: Scripted) -> None:
    server.play(problem("unavailable", 503, "no", deed=_DEED))
    with Opened(server.url) as opened:
        assert opened.api.prune("a").code == 4


def test_packages_of_many_pages_are_of_one_generation(server: Scripted) -> None:
    def page(name: str, generation: int, following: str) -> Said:
        row = {"package": name, "name": "x", "evr": "", "arch": "", "size": 1, "sha256": "", "path": ""}
        return answer({"rows": [row], "total": 2, "next": following, "generation": generation})

    new, old = "x-1.10-1.noarch", "x-1.9-1.noarch"
    current = answer(_STATE | {"generation": 2})
    server.play(current, page(old, 1, "n"), page(new, 2, ""), page(old, 2, "n"), page(new, 2, ""))
    with Opened(server.url) as opened:
        assert [row.package for row in opened.api.packages("a", name="x")] == [new, old]
        assert len(server.asked) == 5
        assert "after=n" in server.asked[2].path
        assert len(opened.slept) == 1


def test_packages_are_never_those_from_before_the_current_generation(server: Scripted) -> None:
    before, now = ({"rows": [], "total": 0, "next": "", "generation": number} for number in (6, 7))
    server.play(answer(_STATE), answer(before), answer(before), answer(now))
    with Opened(server.url) as opened:
        assert opened.api.packages("a") == []
        assert len(server.asked) == 4
        server.play(answer(_STATE), answer(before))
        with pytest.raises(Unavailable, match=r"expected the packages of generation 7, .* of 6; try again"):
            opened.api.packages("a")


def test_long_lists_are_read_to_the_limit(server: Scripted) -> None:
    link = '</api/v1/repositories/a/generations?before=9>; rel="next"'
    server.play(answer([{"generation": 9}], Link=link), answer([{"generation": 8}]))
    with Opened(server.url) as opened:
        assert [row["generation"] for row in opened.api.generations("a", limit=0)] == [9, 8]
    assert "before=9" in server.asked[1].path


def test_an_upload_is_sent_whole_again_where_the_connection_breaks(server: Scripted) -> None:
    data = b"x" * 700_000
    ticket = {"sha256": hashlib.sha256(data).hexdigest(), "state": "published", "file": "f.rpm", "generation": 3}
    server.play(Said(breaks=True), answer(ticket))
    file = io.BytesIO(b"head" + data)
    file.seek(4)
    sent: list[int] = []
    with Opened(server.url) as opened:
        found = opened.api.upload("a", file, "f+1.rpm", len(data), ticket["sha256"], wait=30, tell=sent.append)
    assert (found.state, found.generation) == ("published", 3)
    assert [asked.body for asked in server.asked] == [data, data]
    assert server.asked[0].path == "/api/v1/repositories/a/inbox/f%2B1.rpm?wait=30"
    assert server.asked[0].headers["x-checksum-sha256"] == ticket["sha256"]
    assert server.asked[0].headers["content-length"] == "700000"
    assert sent[-1] == 700_000


def test_a_rejected_upload_tells_every_reason(server: Scripted) -> None:
    faults = [{"code": "not-rpm", "text": "no", "remedy": "do"}]
    ticket = {"repository": "a", "sha256": "s", "state": "rejected", "file": "f.rpm", "faults": faults}
    server.play(problem("rejected", 422, "f.rpm: no", arrival=ticket))
    with Opened(server.url) as opened:
        found = opened.api.upload("a", io.BytesIO(b"x"), "f.rpm", 1, "s")
    assert (found.state, found.faults) == ("rejected", faults)


def test_an_arrival_that_never_came_is_unknown_and_a_repository_that_is_not_there_is_told(server: Scripted) -> None:
    missing = problem("not-found", 404, "nothing is known")
    server.play(missing, answer(_STATE))
    with Opened(server.url) as opened:
        assert opened.api.arrival("a", "s").state == "unknown"
    server.play(missing, problem("not-found", 404, "there is no repository 'a' here"))
    with Opened(server.url) as opened, pytest.raises(NotFound, match="no repository"):
        opened.api.arrival("a", "s")


def test_events_are_read_from_their_lines() -> None:
    lines = ["retry: 3000", "", ": alive", "", "event: k", "id: 1", 'data: {"a":', "data: 1}", "", "id: 2", ""]
    assert list(events(lines)) == [("1", {"a": 1})]


def test_an_event_is_a_line_whatever_strangers_wrote_into_it() -> None:
    data = {"file": "a\x1b[2J\n.rpm", "faults": [{"text": "bad"}]}
    event = {"type": "repod.arrival.rejected.v1", "source": "/repositories/a", "time": "T", "data": data}
    assert told(event) == "T  a  a\ufffd[2J\ufffd.rpm rejected: bad"
    assert told({"type": "new", "source": "/repositories/a", "time": "T", "data": {}}) == "T  a  new"
