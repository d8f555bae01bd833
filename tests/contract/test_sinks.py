"""Receivers take events or say why not, in bounded time; what they get is as the schema says."""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from repod import tidings
from repod.errors import Misconfigured, Unavailable
from repod.happenings import Event, Kind
from repod.hooking import Hook, Undelivered
from repod.hooks.aws import Bus, Topic
from repod.hooks.program import Program
from repod.hooks.webhook import Webhook, read_secrets
from tests.lab.certificates import Authority
from tests.lab.hooked import check_event, refusal
from tests.lab.processes import command
from tests.lab.queues import Moto
from tests.lab.receiver import Answer, WebReceiver
from tests.lab.wait import until

EVENT = refusal("späße.rpm", 1000.5)
_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def web() -> Iterator[WebReceiver]:
    with WebReceiver() as receiver:
        yield receiver


def webhook(url: str, *, timeout: float = 30.0, secret: str = _SECRET) -> Webhook:
    hook = Hook(name="ci", url=url, timeout=timeout)
    return Webhook(hook, read_secrets("the secret", secret.encode()), time.time)


def test_a_webhook_is_a_cloud_event_that_an_independent_verifier_takes(web: WebReceiver) -> None:
    assert webhook(web.url).deliver(EVENT) == "204"
    (posted,) = web.posted
    assert Verifier(_SECRET).verify(posted.body, dict(posted.headers)) == posted.event
    assert posted.headers["webhook-id"] == EVENT.id
    assert posted.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert (posted.path, posted.event["data"]["file"]) == ("/in", "späße.rpm")


def test_a_verifier_with_another_secret_or_other_bytes_refuses_it(web: WebReceiver) -> None:
    webhook(web.url).deliver(EVENT)
    (posted,) = web.posted
    with pytest.raises(WebhookVerificationError):
        Verifier("whsec_" + "A" * 32).verify(posted.body, dict(posted.headers))
    with pytest.raises(WebhookVerificationError):
        Verifier(_SECRET).verify(posted.body + b" ", dict(posted.headers))


def test_while_one_secret_takes_the_place_of_another_either_verifies(web: WebReceiver) -> None:
    old, new = "whsec_" + "B" * 32, _SECRET
    webhook(web.url, secret=f"{new}\n{old}\n").deliver(EVENT)
    (posted,) = web.posted
    for one in (old, new):
        Verifier(one).verify(posted.body, dict(posted.headers))


@pytest.mark.parametrize("secret", ["", "short", "whsec_***", "\xff" * 20 + "\n" + "x"])
def test_what_is_no_secret_is_refused_and_never_shown(secret: str) -> None:
    with pytest.raises(Misconfigured, match=r"the secret: expected a secret") as caught:
        read_secrets("the secret", secret.encode("latin-1"))
    assert "***" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("answer", "said", "after", "gone"),
    [
        (Answer(status=500, body=b"broken\nhere"), "http://127.0.0.1:PORT/ answered 500: broken here", None, False),
        (Answer(status=429, headers={"Retry-After": "7"}), "answered 429", 7.0, False),
        (Answer(status=503, headers={"Retry-After": "soon"}), "answered 503", None, False),
        (Answer(status=410), "it wants no more events: correct the hook, or run repod hooks retry", None, True),
        (Answer(status=302, headers={"Location": "http://x/secret"}), "it is elsewhere (x)", None, False),
        (Answer(status=404), "answered 404", None, False),
    ],
)
def test_what_is_no_success_is_no_delivery(
    web: WebReceiver, answer: Answer, said: str, after: float | None, gone: bool
) -> None:
    web.act = lambda _: answer
    with pytest.raises(Undelivered) as caught:
        webhook(web.url).deliver(EVENT)
    assert said.replace("PORT", str(web.port)) in str(caught.value)
    assert (caught.value.after, caught.value.gone) == (after, gone)
    assert len(web.posted) == 1  # a redirect is not followed


def test_a_date_after_which_to_come_again_is_understood(web: WebReceiver) -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    web.act = lambda _: Answer(status=503, headers={"Retry-After": when})
    with pytest.raises(Undelivered) as caught:
        webhook(web.url).deliver(EVENT)
    assert caught.value.after is not None
    assert 0 < caught.value.after <= 100


@pytest.mark.parametrize(
    "answer", [Answer(hang=30, late=True), Answer(status=200, hang=0.1, body=b"x" * 1000)], ids=["hangs", "drips"]
)
def test_one_that_hangs_or_drips_is_left_in_time(web: WebReceiver, answer: Answer) -> None:
    web.act = lambda _: answer
    # Were it waited for, it would be a delivery.
    with pytest.raises(Undelivered, match=r"did not answer within 0\.5 s"):
        webhook(web.url, timeout=0.5).deliver(EVENT)


def test_of_an_endless_answer_only_the_beginning_is_read(web: WebReceiver) -> None:
    web.act = lambda _: Answer(status=200, body=b"y" * 500_000)
    assert webhook(web.url).deliver(EVENT) == "200"


def test_one_that_is_away_says_who_and_nothing_secret() -> None:
    with WebReceiver() as gone:
        url = gone.url.replace("://", "://user:hunter2@") + "?key=hunter2"
    with pytest.raises(Undelivered, match=r"http://127\.0\.0\.1:[0-9]+/ cannot be reached") as caught:
        webhook(url).deliver(EVENT)
    assert "hunter2" not in str(caught.value)


def test_a_certificate_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path / "ca")
    with WebReceiver(tls=authority.issue("localhost")) as web:
        with pytest.raises(Undelivered, match="certificate verify failed"):
            webhook(web.url).deliver(EVENT)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        assert webhook(web.url).deliver(EVENT) == "204"


def program(tmp_path: Path, text: str, *, timeout: float = 60.0, environ: Mapping[str, str] | None = None) -> Program:
    path = tmp_path / "hook.py"
    path.write_text(text)
    hook = Hook(name="ci", exec=f"'{sys.executable}' '{path}' 'two words'", timeout=timeout)
    return Program(hook, os.environ if environ is None else environ)


def test_a_program_gets_the_event_and_no_secret(tmp_path: Path) -> None:
    text = f"""
import json, os, sys
json.dump([json.load(sys.stdin), sys.argv[1:], dict(os.environ)], open({str(tmp_path / "got")!r}, "w"))
print("taken")
"""
    environ = {
        "PATH": os.environ["PATH"],
        "AWS_SECRET_ACCESS_KEY": "s",
        "CREDENTIALS_DIRECTORY": "/run/c",
        "LC_ALL": "C",
    }
    assert program(tmp_path, text, environ=environ).deliver(EVENT) == "taken"
    event, words, found = json.loads((tmp_path / "got").read_text())
    check_event(event)
    assert words == ["two words"]
    about = {name: value for name, value in found.items() if name.startswith("REPOD_")}
    assert about == {
        "REPOD_EVENT_ID": EVENT.id,
        "REPOD_EVENT_TYPE": "repod.arrival.rejected.v1",
        "REPOD_EVENT_REPOSITORY": "test",
    }
    assert set(found) - set(about) <= {"PATH", "LC_ALL", "LC_CTYPE"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise SystemExit(3)", "ended with exit status 3"),
        ("import sys; print('first'); sys.exit('no such channel')", "ended with exit status 1: no such channel"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ended with signal 9"),
    ],
)
def test_a_program_that_fails_has_no_event(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Undelivered, match=said):
        program(tmp_path, text).deliver(EVENT)


def test_a_program_need_not_read_the_event_and_may_write_without_end(tmp_path: Path) -> None:
    large = tidings.rejected(
        "test", file="x" * 500_000, mark="", checksum="", package="", faults=(), place="", time=1.0
    )
    text = "import sys\nfor _ in range(20000): print('z' * 100)\nprint('end')"
    assert program(tmp_path, text).deliver(large) == "end"


def test_a_program_that_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    text = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
time.sleep(600)
"""
    with pytest.raises(Undelivered, match="took more than 6 s and was killed"):
        program(tmp_path, text, timeout=6.0).deliver(EVENT)
    child = int((tmp_path / "pid").read_text())
    until(lambda: not command(child), 30, "the child to be killed too")


def test_what_a_program_leaves_running_goes_with_it(tmp_path: Path) -> None:
    text = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
"""
    program(tmp_path, text).deliver(EVENT)
    child = int((tmp_path / "pid").read_text())
    until(lambda: not command(child), 30, "the child to be killed too")


@pytest.mark.parametrize("line", ["/no/such/program --all", "'open"])
def test_what_is_no_program_is_said_before_an_event_comes(line: str) -> None:
    with pytest.raises(Misconfigured, match="hook 'ci': exec: "):
        Program(Hook(name="ci", exec=line), os.environ)


def _received(queues: Moto, queue: str) -> list[dict[str, object]]:
    client = queues.client("sqs")
    found = client.receive_message(QueueUrl=queue, WaitTimeSeconds=5, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in found]


def _in_aws(queues: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in queues.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL")


@pytest.mark.parametrize("fifo", [False, True], ids=["plain", "fifo"])
def test_a_topic_tells_who_listens_to_it(queues: Moto, monkeypatch: pytest.MonkeyPatch, fifo: bool) -> None:
    _in_aws(queues, monkeypatch)
    ending, attributes = (".fifo", {"FifoQueue": "true"}) if fifo else ("", {})
    queue = queues.client("sqs").create_queue(QueueName=f"told{os.getpid()}{ending}", Attributes=attributes)["QueueUrl"]
    sns = queues.client("sns")
    topic = sns.create_topic(Name=f"told{ending}", Attributes={"FifoTopic": "true"} if fifo else {})["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queues.arn(queue))
    assert Topic(Hook(name="ci", sns=topic, endpoint=queues.endpoint)).deliver(EVENT)
    (message,) = _received(queues, queue)
    event = json.loads(str(message["Message"]))
    check_event(event)
    assert event["id"] == EVENT.id
    assert message["MessageAttributes"] == {
        "type": {"Type": "String", "Value": str(Kind.REJECTED)},
        "repository": {"Type": "String", "Value": "test"},
        "id": {"Type": "String", "Value": EVENT.id},
    }


def test_a_bus_tells_whom_its_rules_name(queues: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    _in_aws(queues, monkeypatch)
    queue, bus, events = queues.queue(), f"bus{os.getpid()}", queues.client("events")
    events.create_event_bus(Name=bus)
    pattern = {"source": ["our.repod"], "detail-type": [str(Kind.REJECTED)]}
    events.put_rule(Name="r", EventBusName=bus, EventPattern=json.dumps(pattern))
    events.put_targets(Rule="r", EventBusName=bus, Targets=[{"Id": "q", "Arn": queues.arn(queue)}])
    assert Bus(Hook(name="ci", eventbridge=bus, source="our.repod", endpoint=queues.endpoint)).deliver(EVENT)
    (message,) = _received(queues, queue)
    detail = message["detail"]
    assert isinstance(detail, dict)
    check_event(detail)
    assert detail["id"] == EVENT.id


def test_a_topic_that_is_not_there_is_named(queues: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    _in_aws(queues, monkeypatch)
    topic = "arn:aws:sns:us-east-1:123456789012:none"
    with pytest.raises(Exception, match=f"telling {topic}: it is not there"):
        Topic(Hook(name="ci", sns=topic, endpoint=queues.endpoint)).deliver(EVENT)


def test_aws_that_is_away_is_left_in_time(monkeypatch: pytest.MonkeyPatch, queues: Moto) -> None:
    _in_aws(queues, monkeypatch)
    with WebReceiver() as hanging:
        hanging.act = lambda _: Answer(hang=30, late=True)
        hook = Hook(name="ci", sns="arn:aws:sns:us-east-1:1:t", endpoint=f"http://127.0.0.1:{hanging.port}", timeout=1)
        with pytest.raises(Unavailable, match="no answer"):
            Topic(hook).deliver(EVENT)
        assert len(hanging.posted) == 1


def test_an_event_of_very_many_builds_is_cut_to_what_a_topic_takes() -> None:
    rows = [{"nevra": f"package-{number}-1.noarch", "text": "x" * 900} for number in range(500)]
    event = Event(kind=Kind.PUBLISHED, repository="test", id="a", time=1, data={"added": rows, "added_total": 500})
    cut = event.fitting(240_000)
    assert len(cut.to_json()) <= 240_000
    assert 100 < len(cut.data["added"]) < 500
    assert cut.data["added_total"] == 500
    assert event.fitting(10_000_000) == event
