"""Checks of hosts and of waves, against real programs, a real web server and a real Prometheus."""

import contextlib
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from repod.client.fleet import Host, HostFault, Limits, Ran, Trouble
from repod.client.health import Checks
from repod.client.rolling import Rollout
from repod.client.waves import Wave
from repod.errors import Misconfigured, Unavailable, Unfit
from tests.lab.prometheus import Prometheus, prometheus

HOST = Host(name="web1", address="127.0.0.1")
WAVE = Wave(number=2, hosts=["web1", "web2"], why="")
ENVIRON = {"PATH": "/usr/bin:/bin"}


class Here:
    """A transport to this machine."""

    @contextlib.contextmanager
    def connect(self, _host: Host) -> Iterator["Here"]:
        yield self

    def run(self, argv: Sequence[str], *, limits: Limits) -> Ran:
        del limits  # time passes where it is slept
        done = subprocess.run(argv, capture_output=True, timeout=60, check=False)
        return Ran(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())


def nothing() -> None:
    """Goes on."""


class Passing:
    """Time that passes where it is slept."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def checks(environ: Mapping[str, str] = ENVIRON, **settings: Any) -> Checks:
    passing = Passing()
    rollout = Rollout.model_validate(settings)
    return Checks(rollout, Here(), environ=environ, sleep=passing.sleep, clock=lambda: passing.now)


@contextlib.contextmanager
def answering(*codes: int) -> Iterator[str]:
    """A server that answers with each code in turn, then always the last; its URL with a place for the address."""
    left = list(codes)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing: the test reports."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{{address}}:{server.server_address[1]}/health?host={{host}}"
        finally:
            server.shutdown()
            thread.join()


def test_without_a_check_every_host_and_wave_is_well() -> None:
    checks().host(HOST)
    checks().wave(WAVE, "run", nothing)


def test_a_command_is_tried_until_it_succeeds(tmp_path: Path) -> None:
    mark = tmp_path / "tries"
    checks(check=f"echo x >> '{mark}'; test $(wc -l < '{mark}') = 3").host(HOST)
    assert mark.read_text() == "x\n" * 3


def test_a_command_that_never_succeeds_is_told_with_its_last_words() -> None:
    with pytest.raises(HostFault, match=r"check 'echo is down >&2; exit 7' ends with 7, expected 0: is down") as caught:
        checks(check="echo is down >&2; exit 7", check_within="3s").host(HOST)
    assert caught.value.trouble is Trouble.UNHEALTHY


def test_words_of_a_command_arrive_as_they_are(tmp_path: Path) -> None:
    checks(check=["touch", str(tmp_path / "a b;c $HOME")], check_within=0).host(HOST)
    assert [path.name for path in tmp_path.iterdir()] == ["a b;c $HOME"]


def test_a_url_is_asked_until_it_answers_as_expected() -> None:
    with answering(503, 503, 200) as url:
        checks(check_http=url).host(HOST)
    with answering(204) as url:
        checks(check_http=url, check_status=204).host(HOST)


def test_a_url_that_answers_otherwise_or_not_at_all_is_told() -> None:
    with answering(500) as url, pytest.raises(HostFault, match=r"host=web1 answers 500, expected 200"):
        checks(check_http=url, check_within="3s").host(HOST)
    with pytest.raises(HostFault, match=r"does not answer .*, expected 200"):
        checks(check_http="http://{address}:1/health", check_within="2s").host(HOST)


def test_a_command_here_is_not_told_the_token_of_the_daemon(tmp_path: Path) -> None:
    out = tmp_path / "told"
    environ = {**ENVIRON, "REPOCTL_TOKEN": "secret", "KEPT": "kept"}
    script = f'echo "${{REPOCTL_TOKEN:-none}} $KEPT" > "{out}"'
    checks(environ, wave_check=script).wave(WAVE, "run-1", nothing)
    assert out.read_text() == "none kept\n"


def test_a_command_here_checks_a_wave_and_is_told_which(tmp_path: Path) -> None:
    out = tmp_path / "told"
    checks(wave_check=f'echo "$REPOCTL_RUN $REPOCTL_WAVE $REPOCTL_HOSTS" > "{out}"').wave(WAVE, "run-1", nothing)
    assert out.read_text() == "run-1 2 web1 web2\n"
    with pytest.raises(Unfit, match=r"wave_check 'echo too many; exit 1' ends with 1, expected 0: too many"):
        checks(wave_check="echo too many; exit 1").wave(WAVE, "run-1", nothing)
    with pytest.raises(Unfit, match=r"wave_check '/nowhere' cannot be run here"):
        checks(wave_check=["/nowhere"]).wave(WAVE, "run-1", nothing)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    rules = folder / "rules.yml"
    rules.write_text("groups: []\n")
    with prometheus(folder, rules=rules, target="127.0.0.1:1") as found:
        yield found


@pytest.mark.parametrize(
    ("query", "expect", "fault"),
    [
        ("vector(0.001)", "< 0.01", ""),
        ("scalar(vector(3))", "== 3", ""),
        ("vector(0.5)", "< 0.01", r"'vector\(0.5\)' is 0.5, expected < 0.01"),
        (
            'label_replace(vector(0.5), "code", "500", "", "")',
            "< 0.01",
            r"is 0.5 of code=500, expected < 0.01",
        ),
        ("vector(0)/0", "< 0.01", r"is nan, expected < 0.01"),
        ("nothing_of_that_name", "< 0.01", r"'nothing_of_that_name' has no sample in .*; expected < 0.01"),
        ("sum(", "< 0.01", r"answers 400 \(.*parse error.*\); correct wave_check"),
        ('"words"', "< 1", r"expected a query whose answer is a number or an instant vector, found string"),
    ],
)
def test_a_query_of_prometheus_must_be_as_expected(server: Prometheus, query: str, expect: str, fault: str) -> None:
    check = checks(wave_check={"url": server.url, "query": query, "expect": expect, "for": "5m"})
    if not fault:
        check.wave(WAVE, "run", nothing)
        return
    with pytest.raises(Unfit, match=fault):
        check.wave(WAVE, "run", nothing)


def test_a_prometheus_that_does_not_answer_is_no_success() -> None:
    query = {"url": "http://127.0.0.1:1", "query": "up", "expect": "== 1"}
    with pytest.raises(Unavailable, match=r"/api/v1/query does not answer"):
        checks(wave_check=query).wave(WAVE, "run", nothing)
    with pytest.raises(Misconfigured, match=r"token_file /nowhere cannot be read"):
        checks(wave_check=query | {"token_file": "/nowhere"}).wave(WAVE, "run", nothing)


@pytest.mark.parametrize(
    "check", ["sleep 60", {"url": "http://127.0.0.1:1", "query": "up", "expect": "== 1", "for": "1h"}]
)
def test_a_check_that_takes_long_ends_when_the_run_is_to_stop(check: Any) -> None:
    class Stop(Exception):
        pass

    asked = 0

    def stop() -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise Stop

    with pytest.raises(Stop):
        checks(wave_check=check).wave(WAVE, "run", stop)


def test_a_command_here_that_does_not_end_is_ended_with_all_that_it_started() -> None:
    with pytest.raises(Unfit, match=r"wave_check 'sleep 60 & sleep 60' did not end within 1 s"):
        Checks(
            Rollout.model_validate({"wave_check": "sleep 60 & sleep 60", "limit": 1}),
            Here(),
            environ=ENVIRON,
        ).wave(WAVE, "run", nothing)
