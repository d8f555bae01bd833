"""``repod check`` of places in buckets: what would not work is told before it fails, and nothing is changed."""

import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from repod.checks3 import check_inbox, check_store
from repod.config import Settings, parse
from repod.problems import Problem
from tests.lab.daemon import repod
from tests.lab.queues import Moto
from tests.lab.seaweed import Seaweed

_LISTING = (
    b'<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>'
    b"<KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>"
)
_DENIED = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>no</Message></Error>'
_UNMET = b'<?xml version="1.0"?><Error><Code>PreconditionFailed</Code><Message>no</Message></Error>'


def settings(inbox: str, store: str, more: str = "", queue: str = "") -> Settings:
    text = f'[signing]\nkey = "k"\n{more}\n[[repository]]\nname = "el9"\ninbox = "{inbox}"\nstore = "{store}"\n'
    return parse(text + (f'queue = "{queue}"\n' if queue else ""), Path("/srv"))


def told(found: Iterator[Problem]) -> list[str]:
    return [f"{problem.severity} {problem.where}: {problem.text}" for problem in found]


def store_problems(one: Settings) -> list[str]:
    return told(check_store(one, one.repository[0]))


def inbox_problems(one: Settings) -> list[str]:
    return told(check_inbox(one, one.repository[0]))


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch, s3: Seaweed) -> Seaweed:
    for name, value in s3.environ.items():
        monkeypatch.setenv(name, value)
    return s3


@contextmanager
def stub(statuses: Mapping[str, tuple[int, bytes]], date: str = "") -> Iterator[str]:
    """An S3 server whose rights, and whose clock, are as the test says; it lists an empty bucket."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __getattr__(self, name: str) -> object:
            """Each method (``do_GET`` ...) is answered alike."""
            return self.answer if name.startswith("do_") else super().__getattribute__(name)

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = statuses.get(self.command, (200, _LISTING))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return date or super().date_time_string(timestamp)

        def log_message(self, *args: object) -> None:
            """Nothing: the test reports."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_places_that_work_have_no_problem_and_are_left_as_they_were(environ: Seaweed) -> None:
    bucket, inbox = environ.bucket(), environ.bucket()
    one = settings(f"s3://{inbox}/in/", f"s3://{bucket}/el9/")
    assert store_problems(one) == []
    assert inbox_problems(one) == []
    for name in (bucket, inbox):
        assert environ.client().list_objects_v2(Bucket=name)["KeyCount"] == 0


def test_a_bucket_that_is_not_there_is_named(environ: Seaweed) -> None:
    one = settings("/in", "s3://no-such-bucket/el9/")
    (problem,) = store_problems(one)
    assert problem.startswith("fault el9: store: s3://no-such-bucket/el9/ cannot be listed (credentials: env)")
    assert "there is no such bucket" in problem


def test_wrong_credentials_are_told_with_their_kind(environ: Seaweed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    (problem,) = store_problems(settings("/in", f"s3://{environ.bucket()}/el9/"))
    assert "credentials: env" in problem
    assert "see the policies in config/iam" in problem


def test_missing_credentials_are_one_fault_with_the_ways_to_give_them(
    environ: Seaweed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    one = settings("s3://in-bucket/in/", "s3://some-bucket/el9/")
    for problems in (store_problems(one), inbox_problems(one)):
        (problem,) = problems
        assert "boto3 finds no credentials: give repod an instance or container role" in problem


def test_a_profile_that_is_not_there_is_told(environ: Seaweed) -> None:
    (problem,) = store_problems(settings("/in", "s3://some-bucket/el9/", '[s3]\nprofile = "nobody"'))
    assert "The config profile (nobody) could not be found" in problem


def test_a_clock_that_is_wrong_is_told_with_its_distance(environ: Seaweed) -> None:
    rights = {"HEAD": (404, b""), "DELETE": (412, _UNMET), "PUT": (412, _UNMET)}
    with stub(rights, "Thu, 01 Jan 2026 00:00:00 GMT") as endpoint:
        problems = inbox_problems(settings("s3://arrivals/in/", "/store", f'[s3]\nendpoint = "{endpoint}"'))
    assert [problem for problem in problems if "s from that of S3" in problem and "set it (NTP)" in problem]


def test_each_missing_right_is_named_and_all_at_once(environ: Seaweed) -> None:
    rights = {"HEAD": (403, b""), "DELETE": (403, _DENIED), "PUT": (403, _DENIED)}
    with stub(rights) as endpoint:
        problems = inbox_problems(settings("s3://arrivals/in/", "/store", f'[s3]\nendpoint = "{endpoint}"'))
    assert [problem.partition(":")[0] for problem in problems] == ["fault el9"] * 3
    for problem, action in zip(problems, ("s3:GetObject", "s3:DeleteObject", "s3:PutObject"), strict=True):
        assert f"({action})" in problem
        assert "config/iam" in problem


def test_a_queue_that_is_not_there_is_told(environ: Seaweed, queues: Moto) -> None:
    more = f'[s3]\nqueue_endpoint = "{queues.endpoint}"'
    one = settings(f"s3://{environ.bucket()}/in/", "/store", more, f"{queues.endpoint}/1/no-such-queue")
    (problem,) = inbox_problems(one)
    assert "queue http" in problem
    assert "(sqs:GetQueueAttributes)" in problem


def test_a_queue_set_up_by_half_is_told_of_each_half(queues: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in queues.environ.items():
        monkeypatch.setenv(name, value)
    queue = queues.queue(MessageRetentionPeriod="120")
    bucket = queues.bucket(queues.queue(), "other/")
    problems = inbox_problems(settings(f"s3://{bucket}/in/", "/store", "", queue))
    assert [problem.partition(": ")[2].partition(":")[0] for problem in problems if "If-Match" not in problem] == [
        "queue"
    ] * 4
    for text in ("no dead letter queue", "kept 120 s only", "config/iam/queue-policy.json", "does not tell it of"):
        assert sum(text in problem for problem in problems) == 1, problems


def test_a_queue_that_is_told_and_has_a_dead_letter_queue_has_no_problem(
    queues: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in queues.environ.items():
        monkeypatch.setenv(name, value)
    dead = queues.arn(queues.queue())
    policy = {
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage"}]
    }
    queue = queues.queue(
        RedrivePolicy=json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 5}), Policy=json.dumps(policy)
    )
    bucket = queues.bucket(queue, "in/")
    problems = inbox_problems(settings(f"s3://{bucket}/in/el9/", "/store", "", queue))
    assert [problem for problem in problems if "queue" in problem] == []


def test_the_command_shows_them_beside_all_others(environ: Seaweed, tmp_path: Path, key_file: Path) -> None:
    (tmp_path / "repod.toml").write_text(
        f'[signing]\nkey = "{key_file}"\n[[repository]]\nname = "el9"\n'
        'inbox = "s3://nowhere-a/in/"\nstore = "s3://nowhere-b/el9/"\n'
    )
    done = repod("check", "-c", tmp_path / "repod.toml", "--json", env=environ.environ)
    assert done.rc == 2
    where = [row["where"] for row in json.loads(done.out) if row["severity"] == "fault"]
    assert where == ["state_dir", "el9: inbox", "el9: store"]
