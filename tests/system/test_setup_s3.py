"""The set-up of bucket, queue and policies, line by line as the README has it, with the real AWS command line."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.awscli import aws
from tests.lab.queues import Moto, moto
from tests.lab.rpms import quick

ROOT = Path(__file__).parents[2]

_CHAPTER = (ROOT / "README.md").read_text().partition("\n## From `aws s3 cp` ")[2].partition("\n## ")[0]

# The AWS command line of version 1 knows the endpoint of SQS by this option alone.
_LOCAL = 'aws() { command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }\n'


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory, long_lived: set[int]) -> Iterator[tuple[Moto, str, Path]]:
    """An account of its own, the output of the whole set-up in it, and the folder in which it ran."""
    folder = tmp_path_factory.mktemp("setup")
    (folder / "config").symlink_to(ROOT / "config")
    (folder / ".venv").mkdir()
    (folder / ".venv/bin").symlink_to(Path(sys.executable).parent)
    (folder / "build").mkdir()
    quick(folder / "build", "hello")
    with moto(folder) as server:
        long_lived.add(server.pid)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        env = {**os.environ, **server.environ, "PATH": path, "PYTHONPATH": str(ROOT), "AWS_PAGER": ""}
        chapter = re.findall(r"```sh\n(.*?)```", _CHAPTER, re.DOTALL)
        lines = "\n".join([_LOCAL, *chapter, 'echo "token=$TOKEN"'])
        words = ["bash", "-euo", "pipefail", "-c", lines]
        done = subprocess.run(words, check=False, cwd=folder, env=env, capture_output=True, text=True, timeout=250)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        yield server, done.stdout, folder


def test_after_the_set_up_there_is_no_fault_left(account: tuple[Moto, str, Path]) -> None:
    assert "\nno faults\n" in account[1]


def test_what_is_copied_to_the_inbox_is_told_of_and_published(account: tuple[Moto, str, Path]) -> None:
    server, said, _ = account
    assert re.search(r"(?m)^hello-1\.0-1\.noarch +[0-9]+ +[0-9a-f]{64} +Packages/h/hello-1\.0-1\.noarch\.rpm", said)
    client = server.client("sqs")
    url = client.get_queue_url(QueueName="repod-arrivals")["QueueUrl"]
    attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert json.loads(attributes["RedrivePolicy"])["maxReceiveCount"] in {10, "10"}


def test_the_policies_are_policies_of_the_account(account: tuple[Moto, str, Path]) -> None:
    server, said, _ = account
    made = re.findall(r"arn:aws:iam::[0-9]+:policy/(\S+)", said)
    assert made == ["repod-daemon", "repod-inbox-writer", "repod-reader"]
    names = {one["PolicyName"] for one in server.client("iam").list_policies(Scope="Local")["Policies"]}
    assert names == set(made)


def test_a_token_for_hosts_is_made(account: tuple[Moto, str, Path]) -> None:
    said, folder = account[1], account[2]
    assert re.search(r"token=repod_[A-Za-z0-9_-]{43}\n", said)
    assert re.search(r"(?m)^web-tier +read +el9-prod +\* +20\S+ +20\S+ +good$", said)
    assert (folder / "build/s3/tokens.json").stat().st_mode & 0o777 == 0o600


def test_a_dead_letter_is_shown_and_forgotten(account: tuple[Moto, str, Path]) -> None:
    server, _, folder = account
    client = server.client("sqs")
    url = client.get_queue_url(QueueName="repod-arrivals-dead")["QueueUrl"]
    client.send_message(QueueUrl=url, MessageBody="of no event")
    chapter = (ROOT / "README.md").read_text().partition("**Dead letters.**")[2]
    show, forget = (line.replace("URL", url, 1).split()[1:] for line in re.findall(r"`(aws sqs [^`]+)`", chapter)[:2])
    # The AWS command line of version 1 knows the endpoint of SQS by this option alone.
    assert "of no event" in aws(folder, server.environ, "--endpoint-url", server.endpoint, *show)
    aws(folder, server.environ, "--endpoint-url", server.endpoint, *forget)
    assert server.counts(url) == (0, 0)
