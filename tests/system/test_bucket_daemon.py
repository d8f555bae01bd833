"""The daemon with an inbox in a bucket and a queue: SeaweedFS holds the objects, moto the messages."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cases.place import Place
from tests.lab import rpms
from tests.lab.daemon import Repod
from tests.lab.keys import Key
from tests.lab.queues import Moto
from tests.lab.seaweed import REGION, Seaweed
from tests.lab.wait import until


class Bench:
    """A bucket, a queue, and the settings that name them."""

    def __init__(self, s3: Seaweed, queues: Moto) -> None:
        self.queues = queues
        self.environ = {name: value for name, value in s3.environ.items() if not name.startswith("AWS_ENDPOINT")}
        self.client = s3.client()
        self.bucket = s3.bucket()
        self.url = queues.queue()
        self.repository: Mapping[str, Any] = {"inbox": f"s3://{self.bucket}/el9/", "queue": self.url}
        reach = {"endpoint": s3.endpoint, "queue_endpoint": queues.endpoint, "region": REGION, "addressing": "path"}
        self.settings: Mapping[str, Any] = {
            "s3": reach,
            "inbox": {"scan_interval": 0.5, "list_interval": 3600.0, "visibility": 600.0},
        }

    def put(self, file: Path) -> None:
        """Upload a package, and tell of it."""
        self.client.put_object(Bucket=self.bucket, Key=f"el9/{file.name}", Body=file.read_bytes())
        self.queues.tell(self.url, self.bucket, f"el9/{file.name}")

    def left(self) -> list[str]:
        """The keys in the bucket."""
        return [item["Key"] for item in self.client.list_objects_v2(Bucket=self.bucket).get("Contents", ())]

    def counts(self) -> tuple[int, int]:
        return self.queues.counts(self.url)


@pytest.fixture
def bench(s3: Seaweed, queues: Moto) -> Bench:
    return Bench(s3, queues)


class Crash(BaseException):
    """The process ends here."""


def crash(*_: Any, **__: Any) -> None:
    raise Crash


@pytest.fixture
def place(bench: Bench, tmp_path: Path, key: Key, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    for name, value in bench.environ.items():
        monkeypatch.setenv(name, value)
    with Place(tmp_path / "place", key, bench.settings, bench.repository) as place:
        yield place


@pytest.mark.parametrize(
    ("step", "generations"), [("publish", 1), ("remove", 2)], ids=["before it is live", "before it is removed"]
)
def test_after_a_crash_the_message_comes_again_and_nothing_is_published_twice(
    place: Place, bench: Bench, tmp_path: Path, step: str, generations: int
) -> None:
    bench.put(rpms.quick(tmp_path))
    until(place.wired.inbox.scan, 20, "the arrival")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place.wired.publisher if step == "publish" else place.wired.inbox, step, crash)
        with pytest.raises(Crash):
            place.turn()
    assert bench.counts() == (0, 1), "nobody deletes what is not done with"
    assert place.number() == generations
    place.restart()
    until(lambda: place.turn().outcomes, 20, "the arrival to be told of again")
    assert bench.left() == []
    until(lambda: bench.counts() == (0, 0), 20, "the message to be deleted")
    assert place.number() == 2
    assert list(place.sound()) == ["hello-1.0-1.noarch"]


def test_a_message_is_deleted_after_its_package_is_live_and_never_before(
    place: Place, bench: Bench, tmp_path: Path
) -> None:
    files = [rpms.quick(tmp_path, f"p{number}") for number in range(8)]
    with place.running():
        for file in files:
            bench.put(file)

        def all_gone() -> bool:
            gone = len(files) - sum(bench.counts())
            listed = json.loads((place.store / f".repod/generations/{place.number()}.json").read_bytes())["packages"]
            assert gone <= listed
            return gone == len(files)

        until(all_gone, 60, "all messages to be deleted")
    assert len(place.sound()) == len(files)
    assert bench.left() == []
    done = partial(place.metrics.registry.get_sample_value, "repod_queue_messages_total", {"result": "done"})
    until(lambda: done() == len(files), 20, "all to be counted")


def test_the_daemon_publishes_what_it_is_told_of_refuses_junk_and_stops_at_once(
    bench: Bench, tmp_path: Path, key_file: Path
) -> None:
    daemon = Repod(tmp_path, key_file, {"test": bench.repository}, bench.settings, env=bench.environ)
    with daemon:
        until(lambda: b'repod_watcher_up{repository="test"} 1.0' in daemon.get("/metrics")[1], 20, "the queue")
        junk = tmp_path / "junk.rpm"
        junk.write_bytes(b"<html>502</html>")
        bench.put(junk)
        bench.put(rpms.quick(tmp_path))
        until(lambda: daemon.find_events("package published"), 30, "the package")
        until(lambda: daemon.find_events("package rejected"), 30, "the refusal")
        until(lambda: bench.counts() == (0, 0), 30, "both messages to be deleted")
        (refused,) = daemon.find_events("package rejected")
        assert refused["moved_to"] == f"s3://{bench.bucket}/el9/rejected/junk.rpm"
        daemon.stop(15)  # it asks the queue for longer than that at a time
    assert sorted(bench.left()) == ["el9/rejected/junk.rpm", "el9/rejected/junk.rpm.reason.json"]
    reason = bench.client.get_object(Bucket=bench.bucket, Key="el9/rejected/junk.rpm.reason.json")["Body"].read()
    assert json.loads(reason)["faults"][0]["code"] == "not-rpm"
    status = daemon.cli("status", "--json")
    assert [(row["inbox"], row["rejected"]) for row in json.loads(status.out)] == [(0, 1)]


def test_once_takes_in_what_the_bucket_holds_and_leaves_the_queue_to_a_daemon(
    bench: Bench, tmp_path: Path, key_file: Path
) -> None:
    daemon = Repod(tmp_path, key_file, {"test": bench.repository}, bench.settings, env=bench.environ)
    bench.put(rpms.quick(tmp_path))
    assert daemon.once().rc == 0
    assert (bench.left(), bench.counts()) == ([], (1, 0))
    with daemon:
        until(lambda: bench.counts() == (0, 0), 30, "the message of what is gone to be deleted")
