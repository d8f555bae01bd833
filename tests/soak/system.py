"""What is soaked: one daemon as users run it, its repositories, a bucket, a receiver of hooks."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.daemon import Repod
from tests.lab.receiver import WebReceiver
from tests.lab.seaweed import Seaweed
from tests.lab.uploads import token
from tests.soak.plan import Shape

_VERBS = ("read", "upload", "promote", "rollback", "prune")
GENERATIONS = 10
INCOMPLETE = 6
KEEP = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A running daemon. ``temporary`` is its TMPDIR, ``url`` where it listens, ``secret`` a token that may do all."""

    repod: Repod
    shape: Shape
    url: str
    secret: str
    temporary: Path
    receiver: WebReceiver

    @property
    def state(self) -> Path:
        """Its state directory."""
        return self.repod.base / "state"


def settings_of(shape: Shape, hook: str) -> Mapping[str, Any]:
    """As a user writes them: defaults, but for what is a day there and minutes here."""
    return {
        "http": {"listen": "127.0.0.1:0", "tokens": "tokens.json"},
        "log": {"format": "json", "level": "info"},
        "workers": {"count": 0},
        "inbox": {"scan_interval": "5s", "settle": "2s", "incomplete_after": f"{INCOMPLETE}s"},
        "audit": {"file": "audit.jsonl"},
        # The receiver is Python among many threads of a busy machine: that it is slow is not what is tried here.
        "hook": [{"name": "soak", "url": hook, "timeout": "60s"}],
    }


@contextmanager
def running(shape: Shape, base: Path, key: Path, s3: Seaweed | None) -> Iterator[System]:
    """The daemon in ``base``; at the end it is stopped, and every generation there is must be sound.

    ``key``: the armored secret key; ``s3``: the server of the repositories in buckets, needed where there are some.
    """
    repositories = {name: _repository(shape, name, s3) for name in shape.names}
    reach = {"s3": {"endpoint": s3.endpoint, "addressing": "path"}} if s3 else {}
    base.mkdir()
    with tempfile.TemporaryDirectory(prefix="soak-", dir="/tmp") as temporary, WebReceiver() as receiver:
        settings = {**settings_of(shape, receiver.url), **reach}
        repod = Repod(base, key, repositories, settings=settings, env={"TMPDIR": temporary}, s3=s3)
        with repod:
            yield System(
                repod=repod,
                shape=shape,
                url=repod.url,
                secret=token(repod, *(word for verb in _VERBS for word in ("--may", verb))),
                temporary=Path(temporary),
                receiver=receiver,
            )


def _repository(shape: Shape, name: str, s3: Seaweed | None) -> Mapping[str, Any]:
    retention = {"keep": KEEP, "generations": GENERATIONS, "grace": f"{shape.grace:g}s"}
    if name in shape.in_buckets:
        assert s3, "a repository in a bucket needs an S3 server"
        return {"retention": retention, "store": f"s3://{s3.bucket()}/{name}/"}
    return {"retention": retention}
