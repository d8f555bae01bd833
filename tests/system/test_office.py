"""The office on the parts of a daemon: its changes beside the loops, one at a time, and ended in time."""

import hashlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from repod.actions.deeds import RecordedDeeds
from repod.actions.means import Means
from repod.actions.work import Work
from repod.board import Board
from repod.bus import Bus
from repod.config import load
from repod.daemon import Daemon
from repod.errors import Misconfigured, NotFound, Refused, Unavailable
from repod.intake import Outcome
from repod.office import Deed, Deeds, Looks
from repod.promote import Wanted
from tests.cases.place import forked
from tests.lab.buckets import Buckets
from tests.lab.checker import assert_sound
from tests.lab.daemon import repod as command
from tests.lab.daemon import toml
from tests.lab.keys import Key
from tests.lab.offices import BY, Records, Service
from tests.lab.rpms import quick
from tests.lab.seaweed import REGION
from tests.lab.wait import until

_HELLO = Wanted(names=["hello"])


@pytest.fixture
def service(tmp_path: Path, key_file: Path) -> Iterator[Service]:
    """dev lists hello 1.0 and 2.0; prod lists nothing, and lets nothing older come."""
    with Service(tmp_path, key_file, ["dev", "prod"]) as made:
        made.publish("dev", *(quick(tmp_path, "hello", version) for version in ("1.0", "2.0")))
        yield made


@pytest.fixture
def deeds(service: Service) -> Deeds:
    return service.office.deeds


@pytest.fixture
def looks(service: Service) -> Looks:
    return service.office.looks


def _recorded(service: Service, work: Work | None = None) -> tuple[RecordedDeeds, Records]:
    """The deeds of the service, with a record that remembers."""
    record = Records()
    staff = (service.system.signer, service.system.rpms)
    means = Means(settings=service.settings, environ={}, log=service.log, staff=staff)
    return RecordedDeeds(means, record, work=work), record


def test_a_change_is_made_with_the_processes_that_are_there(service: Service, deeds: Deeds, key: Key) -> None:
    before = forked()
    deed = deeds.promote("dev", "prod", _HELLO, BY, force=False, dry_run=False)
    assert (deed.generation, deed.code, deed.refused) == (2, 0, False)
    assert deed.text == "promoted hello-2.0-1.noarch from dev@2: generation 2 of prod"
    assert forked() == before
    assert set(assert_sound(service.store("prod"), key.public)) == {"hello-2.0-1.noarch"}
    (row, *_) = service.office.looks.history("prod")
    assert (row["generation"], row["actor"], row["added"]) == (2, "token ci", ["hello-2.0-1.noarch"])


def test_what_a_change_published_is_followed_at_once(service: Service, deeds: Deeds) -> None:
    loop = service.loop("prod")
    loop._follower._interval = 3600.0  # at which it would look without being woken
    loop.start()
    try:
        until(lambda: service.metric("repod_generation", "prod") == 1, 30, "the loop to have looked")
        deeds.promote("dev", "prod", _HELLO, BY, force=False, dry_run=False)
        until(lambda: service.metric("repod_packages", "prod") == 1, 60, "the metrics to follow")
        assert service.metric("repod_generation", "prod") == 2
    finally:
        loop.stop()
        assert loop.join(30)


def test_metrics_follow_what_others_published(service: Service) -> None:
    others = RecordedDeeds(Means(settings=service.settings, environ={}, log=service.log), Records())
    published = service.metric("repod_last_publish_timestamp_seconds", "dev")
    assert others.remove("dev", ["hello-1.0-1.noarch"], BY, dry_run=False).generation == 3
    service.loop("dev").follow()
    assert service.metric("repod_generation", "dev") == 3
    assert service.metric("repod_packages", "dev") == 1
    assert service.metric("repod_last_publish_timestamp_seconds", "dev") >= published


def test_a_dry_run_tells_and_changes_nothing(service: Service, key: Key) -> None:
    deeds, record = _recorded(service)
    told = [
        deeds.promote("dev", "prod", _HELLO, BY, force=False, dry_run=True),
        deeds.rollback("dev", 1, BY, dry_run=True),
        deeds.remove("dev", ["hello-2*"], BY, dry_run=True),
    ]
    assert [one.generation for one in told] == [None] * 3
    assert all(one.text.startswith("would ") for one in told)
    assert record.entries == []
    assert [state.generation for state in service.office.looks.states()] == [2, 1]


def test_every_change_is_recorded_with_what_became_of_it(service: Service) -> None:
    deeds, record = _recorded(service)
    deeds.promote("dev", "prod", _HELLO, BY, force=False, dry_run=False)
    older = deeds.promote("dev", "prod", Wanted(names=["hello-1.0-1"]), BY, force=False, dry_run=False)
    assert (older.refused, older.code, older.generation) == (True, 3, None)
    assert older.rows[0]["refused"]
    deeds.mark("dev", ["hello-2.0-1.noarch"], BY, label="tested")
    deeds.mark("dev", ["hello-2.0-1.noarch"], BY)
    with pytest.raises(Refused, match="pinned"):
        deeds.remove("dev", ["hello-2.0-1.noarch"], BY, dry_run=False)
    deeds.rollback("prod", 1, BY, dry_run=False)
    deeds.prune("dev", BY, _silent)
    deeds.verify("dev", BY, _silent, repair=True)
    said = [(entry.what, entry.repository, entry.outcome.partition(":")[0]) for entry in record.entries]
    assert said == [
        ("promote", "prod", "done"),
        ("promote", "prod", "refused"),
        ("label", "dev", "done"),
        ("pin", "dev", "done"),
        ("remove", "dev", "refused"),
        ("rollback", "prod", "done"),
        ("prune", "dev", "done"),
        ("repair", "dev", "done"),
    ]
    assert {entry.by for entry in record.entries} == {BY}
    assert record.entries[1].details["names"] == ["hello-1.0-1"]
    assert json.loads(json.dumps([entry.details for entry in record.entries]))


def _silent(_what: str, _done: int, _all: int) -> None:
    pass


def test_what_cannot_be_recorded_was_done_all_the_same_and_says_so(service: Service) -> None:
    deeds, record = _recorded(service)
    record.broken = Unavailable("audit.log cannot be written: no space")
    deed = deeds.mark("dev", ["hello-2.0-1.noarch"], BY)
    assert deed.warnings == ["not in the audit log: audit.log cannot be written: no space"]
    assert service.log.lines[-1][0] == "error"
    assert service.office.looks.builds("dev", "hello-2.0-1.noarch")[0]["pin"]["actor"] == "token ci"


def test_nothing_is_done_where_it_could_not_be_recorded(service: Service) -> None:
    deeds, record = _recorded(service)
    record.full = Unavailable("audit.log cannot be written: no space")
    with pytest.raises(Unavailable, match="no space"):
        deeds.remove("dev", ["hello-2.0-1.noarch"], BY, dry_run=False)
    assert service.office.looks.states()[0].generation == 2


def test_a_change_of_what_is_not_there_is_recorded_too(service: Service) -> None:
    deeds, record = _recorded(service)
    with pytest.raises(NotFound):
        deeds.remove("dev", ["nothing-1-1.noarch"], BY, dry_run=False)
    with pytest.raises(Misconfigured, match="there are: dev, prod"):
        deeds.prune("other", BY, _silent)
    assert [entry.outcome.partition(":")[0] for entry in record.entries] == ["failed", "failed"]


def test_changes_race_the_loop_and_each_other_and_none_is_lost(
    service: Service, deeds: Deeds, tmp_path: Path, key: Key
) -> None:
    built = tmp_path / "built"
    built.mkdir()
    packages = [quick(built, f"tool{number}") for number in range(12)]
    loop = service.loop("prod")
    loop.start()
    try:
        with ThreadPoolExecutor(4) as threads:
            works = [
                threads.submit(deeds.promote, "dev", "prod", _HELLO, BY, force=False, dry_run=False),
                threads.submit(deeds.promote, "dev", "prod", Wanted(names=["hello"]), BY, force=False, dry_run=False),
            ]
            for package in packages:
                service.drop("prod", package)
            until(lambda: not any(service.inbox("prod").iterdir()), 60, "the loop to take all in")
            works += [
                threads.submit(deeds.remove, "prod", [f"tool{number}-*"], BY, dry_run=False) for number in range(4)
            ]
            extra = quick(built, "extra")
            service.drop("prod", extra)
            for work in works:
                assert work.result(60).code == 0
            until(lambda: not any(service.inbox("prod").iterdir()), 60, "the loop to take the last one in")
    finally:
        loop.stop()
        assert loop.join(30)
    listed = set(assert_sound(service.store("prod"), key.public))
    expected = {"hello-2.0-1.noarch", "extra-1.0-1.noarch", *(f"tool{number}-1.0-1.noarch" for number in range(4, 12))}
    assert listed == expected


def test_two_changes_of_one_repository_take_turns_and_another_repository_does_not_wait() -> None:
    work = Work(patience=0.05)
    with work.begun("dev"):
        with work.begun("prod"):
            pass
        with pytest.raises(Unavailable, match="dev: another one is at work"), work.begun("dev"):
            pass
    with work.begun("dev"):
        assert not work.join(0)
    assert work.join(0)


def test_nothing_begins_where_repod_is_to_stop_and_who_waits_for_a_turn_is_told() -> None:
    work = Work(patience=30)
    waiting = threading.Event()

    def next_one() -> None:
        waiting.set()
        with work.begun("dev"):
            pass

    with ThreadPoolExecutor(1) as threads:
        with work.begun("dev"):
            other = threads.submit(next_one)
            assert waiting.wait(10)
            work.stop()
            with pytest.raises(Unavailable, match="repod is stopping"):
                other.result(10)
        with pytest.raises(Unavailable, match="repod is stopping"), work.begun("prod"):
            pass
    assert work.join(0)


def test_long_work_ends_where_repod_is_to_stop(service: Service, deeds: Deeds) -> None:
    begun = threading.Event()
    going_on = threading.Event()

    def tell(_what: str, _done: int, _all: int) -> None:
        begun.set()
        assert going_on.wait(30)

    with ThreadPoolExecutor(1) as threads:
        verifying = threads.submit(deeds.verify, "dev", BY, tell, repair=False)
        assert begun.wait(30)
        service.looped.stop()
        assert not service.looped.join(0)
        going_on.set()
        assert service.looped.join(30)
        with pytest.raises(Unavailable, match="repod is stopping"):
            verifying.result(30)


def test_a_change_that_outlasts_the_service_fails_cleanly_and_leaves_a_sound_repository(
    service: Service, deeds: Deeds, key: Key
) -> None:
    begun = threading.Event()
    going_on = threading.Event()

    def tell(_what: str, _done: int, _all: int) -> None:
        begun.set()
        assert going_on.wait(30)

    with ThreadPoolExecutor(1) as threads:
        # It waits where it has told that it is to stop only after it is told so.
        repairing = threads.submit(deeds.verify, "dev", BY, tell, repair=True)
        assert begun.wait(30)
        service.looped.close()
        going_on.set()
        with pytest.raises(Unavailable):
            repairing.result(30)
        with pytest.raises(Unavailable):
            deeds.promote("dev", "prod", _HELLO, BY, force=False, dry_run=False)
    assert set(assert_sound(service.store("dev"), key.public)) == {"hello-1.0-1.noarch", "hello-2.0-1.noarch"}


def test_a_daemon_that_stops_gives_up_a_change_that_does_not_end(tmp_path: Path, key_file: Path, key: Key) -> None:
    made = Service(tmp_path, key_file, ["dev"])
    begun, going_on = threading.Event(), threading.Event()

    def tell(_what: str, _done: int, _all: int) -> None:
        begun.set()
        assert going_on.wait(30)

    with ThreadPoolExecutor(1) as threads:
        works: list[Future[Deed]] = []

        def ready(_url: str) -> None:
            until(lambda: made.metric("repod_generation", "dev") == 1, 30, "the repository to be open")
            works.append(threads.submit(made.office.deeds.verify, "dev", BY, tell, repair=True))
            assert begun.wait(30)
            daemon.stop()

        daemon = Daemon(
            settings=made.settings,
            read=lambda: made.settings,
            build=made.build,
            metrics=made.metrics,
            log=made.log,
            environ={},
            ready=ready,
            bus=Bus(),
            board=Board(),
        )
        try:
            assert not daemon.run(), "it says that nothing was given up"
        finally:
            going_on.set()
        with pytest.raises(Unavailable):
            works[0].result(30)
    assert set(assert_sound(made.store("dev"), key.public)) == set()


def test_the_answers_are_those_of_the_commands(service: Service, looks: Looks, deeds: Deeds, tmp_path: Path) -> None:
    config = tmp_path / "repod.toml"
    config.write_text(toml(service.settings.model_dump(mode="json", exclude_defaults=True)))
    assert load(config).repository[0].name == "dev"

    def said(*words: str) -> object:
        ended = command(words[0], "--json", "-c", config, *words[1:])
        assert ended.rc == 0, ended.err
        return json.loads(ended.out)

    deeds.mark("dev", ["hello-2.0-1.noarch"], BY)
    deeds.promote("dev", "prod", _HELLO, BY, force=False, dry_run=False)
    assert list(looks.history("dev")) == said("history", "dev")
    assert [looks.diff("dev", None, "prod", None)] == said("diff", "dev", "prod")
    assert list(looks.builds("dev", "hello-2.0-1.noarch")) == said("why", "dev", "hello-2.0-1.noarch")
    assert list(deeds.rollback("prod", 1, BY, dry_run=True).rows) == said("rollback", "prod", "--to", "1", "--dry-run")


# ---------------------------------------------------------------- looks


def test_history_goes_back_piece_by_piece(service: Service, looks: Looks, deeds: Deeds) -> None:
    deeds.remove("dev", ["hello-1.0-1.noarch"], BY, dry_run=False)
    found = [row["generation"] for row in looks.history("dev", limit=2)]
    assert found == [3, 2]
    assert [row["generation"] for row in looks.history("dev", before=found[-1], limit=2)] == [1]
    assert list(looks.history("dev", before=1)) == []
    assert [row["generation"] for row in looks.history("dev", before=99, limit=1)] == [3]
    assert service.office.looks.history("dev", package="other", before=2) == []


def test_rejected_arrivals_come_newest_first_and_piece_by_piece(service: Service, looks: Looks, tmp_path: Path) -> None:
    for number in range(5):
        junk = tmp_path / f"junk{number}.rpm"
        junk.write_bytes(b"<html>%d" % number)
        service.publish("dev", junk)
    newest = looks.rejected("dev", limit=2)
    assert [one.file for one in newest] == ["junk4.rpm", "junk3.rpm"]
    older = looks.rejected("dev", before=newest[-1].id)
    assert [one.file for one in older] == ["junk2.rpm", "junk1.rpm", "junk0.rpm"]
    first = older[-1]
    assert first.place == str(service.base / "inbox/rejected/junk0.rpm")
    assert first.sha256 == hashlib.sha256(b"<html>0").hexdigest()
    (fault,) = first.faults
    assert fault["code"] == "not-rpm"
    assert fault["remedy"].startswith("Upload the RPM itself")
    with pytest.raises(Misconfigured, match="expected the id"):
        looks.rejected("dev", before="yesterday")


def test_inboxes_with_one_place_for_what_is_rejected_show_their_own(
    service: Service, looks: Looks, tmp_path: Path
) -> None:
    junk = tmp_path / "junk.rpm"
    junk.write_bytes(b"junk")
    service.publish("dev", junk)
    assert [one.file for one in looks.rejected("dev")] == ["junk.rpm"]
    assert list(looks.rejected("prod")) == []


def test_reasons_of_old_and_reasons_that_are_none_are_shown_as_far_as_they_go(service: Service, looks: Looks) -> None:
    folder = service.base / "inbox/rejected"
    folder.mkdir()
    old = {"file": "old.rpm", "inbox_path": "old.rpm", "sha256": None, "size": 3, "time": "2026-01-01T00:00:00Z"}
    faults = [{"code": "truncated", "text": "it ends early"}]
    (folder / "old.rpm.reason.json").write_text(json.dumps(old | {"faults": faults}))
    (folder / "odd.rpm.reason.json").write_bytes(b"\xff{")
    found = {one.file: one for one in looks.rejected("dev")}
    assert found.keys() == {"old.rpm", "odd.rpm"}
    assert found["old.rpm"].faults[0]["remedy"].startswith("Upload it again")
    assert found["odd.rpm"].faults[0]["text"] == "its reason file cannot be understood"


def test_what_became_of_uploaded_bytes_is_known_by_their_checksum(
    service: Service, looks: Looks, deeds: Deeds, tmp_path: Path
) -> None:
    junk = tmp_path / "junk.rpm"
    junk.write_bytes(b"junk")
    service.publish("dev", junk)
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.glob("*.rpm")}
    hello = looks.arrival("dev", sums["hello-1.0-1.noarch.rpm"])
    assert (hello.state, hello.generation, hello.packages) == ("published", 2, ["hello-1.0-1.noarch"])
    assert hello.file == "hello-1.0-1.noarch.rpm"
    refused = looks.arrival("dev", sums["junk.rpm"])
    assert (refused.state, refused.file, refused.faults[0]["code"]) == ("rejected", "junk.rpm", "not-rpm")
    assert looks.arrival("prod", sums["junk.rpm"]).state == "unknown"
    # What comes later is found too, and what brought the same bytes back is not taken for their arrival.
    late = quick(tmp_path, "late")
    assert looks.arrival("dev", hashlib.sha256(late.read_bytes()).hexdigest()).state == "unknown"
    service.publish("dev", late)
    deeds.rollback("dev", 1, BY, dry_run=False)
    deeds.rollback("dev", 3, BY, dry_run=False)
    assert looks.arrival("dev", hashlib.sha256(late.read_bytes()).hexdigest()).generation == 3
    assert looks.arrival("dev", sums["hello-1.0-1.noarch.rpm"]).generation == 2
    with pytest.raises(Misconfigured, match="64 lower-case"):
        looks.arrival("dev", "a" * 63)


def test_hosts_that_run_a_build_are_named_and_what_is_not_known_is_said(tmp_path: Path, key_file: Path) -> None:
    reports = tmp_path / "reports"
    with Service(tmp_path, key_file, {"dev": {"retention": {"hosts": str(reports)}}, "prod": {}}) as service:
        looks = service.office.looks
        assert "cannot be read" in looks.hosts("dev", "hello-2.0-1.noarch").warnings[0]
        reports.mkdir()
        for host, lines in {"web2": ["hello-2.0-1.noarch"], "web1": ["hello-2.0-1.noarch"], "db": ["a-1-1.x"]}.items():
            (reports / host).write_text("\n".join(lines))
        found = looks.hosts("dev", "hello-2.0-1.noarch")
        assert ([one.host for one in found.hosts], list(found.warnings)) == (["web1", "web2"], [])
        assert looks.hosts("dev", "hello-3.0-1.noarch").hosts == []
        nobody = looks.hosts("prod", "hello-2.0-1.noarch")
        assert (list(nobody.hosts), list(nobody.warnings)) == ([], [])
        with pytest.raises(Misconfigured, match="not a NEVRA"):
            looks.hosts("dev", "hello")


def test_the_office_asks_and_changes_what_lies_in_buckets(tmp_path: Path, key_file: Path, buckets: Buckets) -> None:
    inbox, stores = buckets.place(), {name: str(buckets.place()) for name in ("dev", "prod")}
    tables = {"dev": {"store": stores["dev"], "inbox": str(inbox)}, "prod": {"store": stores["prod"]}}
    reach = {"s3": {"endpoint": buckets.server.endpoint, "addressing": "path", "region": REGION}}
    client = buckets.server.client()
    with Service(tmp_path, key_file, tables, reach) as service:
        for name, data in {"junk.rpm": b"junk", "hello.rpm": quick(tmp_path, "hello").read_bytes()}.items():
            client.put_object(Bucket=inbox.bucket, Key=inbox.prefix + name, Body=data)
        done: list[Outcome] = []
        until(lambda: done.extend(service.loop("dev").once().outcomes) or len(done) == 2, 30, "both to be done with")
        looks, deeds = service.office.looks, service.office.deeds
        (junk,) = looks.rejected("dev")
        assert (junk.place, junk.inbox_path) == (f"{inbox}rejected/junk.rpm", "junk.rpm")
        assert looks.arrival("dev", hashlib.sha256(b"junk").hexdigest()).state == "rejected"
        deed = deeds.promote("dev", "prod", _HELLO, BY, force=False, dry_run=False)
        assert (deed.generation, deed.code) == (2, 0)
        assert [(one.generation, one.packages) for one in looks.states()] == [(2, 1), (2, 1)]
        assert deeds.verify("prod", BY, _silent, repair=False).rows == []
