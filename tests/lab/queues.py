"""Queues on loopback: moto's SQS, with its S3 that tells a queue of new objects. Never to prove compare-and-swap.

For objects in another S3 server, ``Moto.tell`` sends what Amazon's S3 would.
"""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.lab.ports import free_port
from tests.lab.processes import environment
from tests.lab.seaweed import REGION
from tests.lab.wait import until

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moto:
    """A running server: its URL, for S3 and SQS, and the pid of its process. It knows any key."""

    endpoint: str
    pid: int

    @property
    def environ(self) -> Mapping[str, str]:
        """What a process that speaks to it, and to nobody else, has in its environment."""
        return {
            "AWS_ACCESS_KEY_ID": "AKMOTO",
            "AWS_SECRET_ACCESS_KEY": "moto",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str) -> Any:
        """A plain boto3 client of it: ``sqs`` or ``s3``."""
        return _client(self.endpoint, service)

    def queue(self, **attributes: str) -> str:
        """The URL of a new, empty queue."""
        name = f"q{os.getpid()}-{next(_numbers)}"
        url: str = self.client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return url

    def arn(self, url: str) -> str:
        """The name of a queue as other services use it."""
        answer = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        name: str = answer["Attributes"]["QueueArn"]
        return name

    def bucket(self, url: str, prefix: str = "") -> str:
        """A new bucket here that tells the queue of each object created or removed below ``prefix``."""
        name = f"m{os.getpid()}-{next(_numbers)}"
        client = self.client("s3")
        client.create_bucket(Bucket=name)
        told = {
            "QueueArn": self.arn(url),
            "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
            "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}},
        }
        client.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"QueueConfigurations": [told]}
        )
        return name

    def send(self, url: str, body: object) -> None:
        """Put a message into a queue; what is no text is sent as JSON."""
        text = body if isinstance(body, str) else json.dumps(body)
        self.client("sqs").send_message(QueueUrl=url, MessageBody=text)

    def tell(self, url: str, bucket: str, *keys: str) -> None:
        """Tell a queue, in one message, of objects that were created in any S3 server. ``keys`` are raw."""
        self.send(url, notification(bucket, *keys))

    def counts(self, url: str) -> tuple[int, int]:
        """How many messages can be received, and how many are hidden since somebody has them."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
        shown, hidden = (int(answer["Attributes"][name]) for name in names)
        return shown, hidden


def notification(bucket: str, *keys: str, event: str = "ObjectCreated:Put") -> dict[str, Any]:
    """What S3 tells a queue of objects. ``keys`` are raw."""
    return {"Records": [_record(bucket, key, event) for key in keys]}


def _record(bucket: str, key: str, event: str) -> dict[str, Any]:
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventTime": "2026-01-01T00:00:00.000Z",
        "eventName": event,
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            # Amazon's S3 leaves slashes as they are.
            "object": {"key": quote_plus(key, safe="/"), "size": 1, "eTag": "0" * 32, "sequencer": "0A"},
        },
    }


@cache
def _client(endpoint: str, service: str) -> Any:
    return boto3.session.Session().client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="AKMOTO",
        aws_secret_access_key="moto",
        config=Config(s3={"addressing_style": "path"}) if service == "s3" else None,
    )


@contextmanager
def moto(folder: Path) -> Iterator[Moto]:
    """Run a server; it answers before this does. ``folder`` takes its log."""
    with contextlib.ExitStack() as stack:
        server = None
        while server is None:  # somebody may take its port first: choose another
            server = _started(folder, stack)
        yield server


def _started(folder: Path, stack: contextlib.ExitStack) -> Moto | None:
    """A server that answers; None where it ended. ``stack`` stops it."""
    port = free_port()
    words = [Path(sys.executable).with_name("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            words, cwd=folder, env=environment(folder), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    stack.callback(_stop, process)
    server = Moto(endpoint=f"http://127.0.0.1:{port}", pid=process.pid)
    until(lambda: process.poll() is not None or _answers(server), 60, "moto to answer")
    return server if process.poll() is None else None


def _answers(server: Moto) -> bool:
    try:
        server.client("sqs").list_queues()
    except (BotoCoreError, ClientError):
        return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
