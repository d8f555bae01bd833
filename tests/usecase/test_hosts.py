"""What is said of the hosts of a repository: by metrics, bounded, and by lists."""

from datetime import UTC, datetime

import pytest

from repod.actions.hosts import Hosts
from repod.actions.hostwatch import HostWatch
from repod.actions.newest import newest_of
from repod.builds import HostReport
from repod.config import Repository, Retention
from repod.doors import Expect
from repod.hostbook import FOLDER, HostBook
from repod.metrics import Metrics
from repod.package import Nevra, StorePath
from repod.store.memory import MemoryStore
from tests.lab.offices import Log

_DAY = 86400.0
_NOW = 100 * _DAY


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(lambda: 0.0)


@pytest.fixture
def book(store: MemoryStore) -> HostBook:
    made = HostBook(store)
    for number in range(6):
        lines = [f"app-1.0-{number // 2}.noarch", "bash-1-1.x86_64", f"lib-2:1.0-{number}.x86_64"]
        made.write(HostReport(host=f"web{number}", time=_NOW - number * _DAY, lines=lines))
    made.write(HostReport(host="gone", time=_NOW - 40 * _DAY, lines=["app-0.1-1.noarch"]))
    return made


def repository(**retention: object) -> Repository:
    return Repository(name="test", inbox="/inbox", store="/store", retention=Retention.model_validate(retention))


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, {"repository": "test", **labels})


def test_metrics_count_hosts_by_build_for_the_packages_that_the_settings_name(book: HostBook) -> None:
    metrics = Metrics("1")
    HostWatch(repository(host_metrics=["app*"]), book, metrics, Log(), clock=lambda: _NOW).look()
    assert [value(metrics, "repod_hosts", package="app", version=f"1.0-{n}") for n in range(3)] == [2, 2, 2]
    for package, version in (("app", "0.1-1"), ("bash", "1-1"), ("lib", "2:1.0-1")):
        assert value(metrics, "repod_hosts", package=package, version=version) is None
    assert (value(metrics, "repod_hosts_reporting"), value(metrics, "repod_hosts_stale")) == (6, 1)
    assert value(metrics, "repod_hosts_oldest_report_timestamp_seconds") == _NOW - 5 * _DAY
    metrics.forget("test")
    assert value(metrics, "repod_hosts", package="app", version="1.0-1") is None


def test_a_build_that_no_host_runs_any_more_has_no_series(book: HostBook) -> None:
    metrics = Metrics("1")
    watch = HostWatch(repository(host_metrics=["app"]), book, metrics, Log(), clock=lambda: _NOW)
    watch.look()
    for number in (0, 1):
        book.write(HostReport(host=f"web{number}", time=_NOW, lines=["app-1.0-2.noarch"]))
    watch.look()
    assert value(metrics, "repod_hosts", package="app", version="1.0-0") is None
    assert value(metrics, "repod_hosts", package="app", version="1.0-2") == 4


@pytest.mark.parametrize("named", [["app"], []])
def test_after_a_reload_a_build_that_no_host_runs_or_nobody_wants_to_hear_of_has_no_series(
    book: HostBook, named: list[str]
) -> None:
    """What shows them is made anew then, and knows nothing of what was shown; alerts would go on for ever."""
    metrics = Metrics("1")
    HostWatch(repository(host_metrics=["app"]), book, metrics, Log(), clock=lambda: _NOW).look()
    for number in (0, 1):
        book.write(HostReport(host=f"web{number}", time=_NOW, lines=["app-1.0-2.noarch"]))
    HostWatch(repository(host_metrics=named), book, metrics, Log(), clock=lambda: _NOW).look()
    assert value(metrics, "repod_hosts", package="app", version="1.0-0") is None
    assert value(metrics, "repod_hosts", package="app", version="1.0-2") == (4 if named else None)


def test_series_are_bounded_the_most_run_builds_first_and_what_is_left_out_is_told_once(book: HostBook) -> None:
    metrics, log = Metrics("1"), Log()
    watch = HostWatch(repository(host_metrics=["*"]), book, metrics, log, clock=lambda: _NOW, most=4)
    watch.look()
    watch.look()
    assert value(metrics, "repod_hosts", package="bash", version="1-1") == 6
    assert value(metrics, "repod_hosts", package="app", version="1.0-0") == 2
    assert value(metrics, "repod_hosts", package="lib", version="2:1.0-1") is None
    assert value(metrics, "repod_hosts_left_out_builds") == 6
    assert [event for level, event, _ in log.lines if level == "warning"] == [
        "too many builds for metrics: repod_hosts leaves some out; name fewer in host_metrics"
    ]


def test_where_a_report_cannot_be_read_the_counts_stay_and_that_is_told_once(
    store: MemoryStore, book: HostBook
) -> None:
    metrics, log = Metrics("1"), Log()
    watch = HostWatch(repository(host_metrics=["app"]), book, metrics, log, clock=lambda: _NOW)
    watch.look()
    store.write(StorePath(f"{FOLDER}web1.json"), b"{", Expect.ANY)
    watch.look()
    watch.look()
    assert value(metrics, "repod_hosts_reporting") == 6
    ((_, event, fields),) = [line for line in log.lines if line[0] == "warning"]
    assert (event, "web1.json is unreadable" in fields["problem"]) == ("hosts not counted", True)


def test_the_list_says_what_each_host_runs_and_which_lag(book: HostBook) -> None:
    newest = newest_of(Nevra.parse(text) for text in ("app-1.0-1.noarch", "app-1.0-2.noarch", "lib-1.0-9.x86_64"))
    hosts = Hosts(repository(), book, lambda: newest, clock=lambda: _NOW)
    page = hosts.page(limit=3)
    assert [row.host for row in page.hosts] == ["gone", "web0", "web1"]
    assert (page.total, page.stale, page.differs, page.next) == (7, 1, 6, "web1")
    gone, first, _ = page.hosts
    assert (gone.stale, first.stale, first.reported) == (True, False, datetime.fromtimestamp(_NOW, UTC))
    assert [(one.package, one.newest, one.differs) for one in first.builds] == [
        ("app-1.0-0.noarch", "app-1.0-2.noarch", True),
        ("lib-2:1.0-0.x86_64", "lib-1.0-9.x86_64", True),
    ]
    only = hosts.page(package="bash")
    assert [one.package for row in only.hosts for one in row.builds] == ["bash-1-1.x86_64"] * 6
    assert only.differs == 0


def test_a_host_with_several_builds_of_a_name_lags_only_where_none_is_the_newest(book: HostBook) -> None:
    lines = ["kernel-5-1.x86_64", "kernel-5-2.x86_64", "kernel-5-3.x86_64"]
    book.write(HostReport(host="two", time=_NOW, lines=lines[:2]))
    book.write(HostReport(host="three", time=_NOW, lines=lines))
    hosts = Hosts(repository(), book, lambda: newest_of(map(Nevra.parse, lines)), clock=lambda: _NOW)
    found = {row.host: {one.differs for one in row.builds} for row in hosts.page(package="kernel").hosts}
    assert found == {"two": {True}, "three": {False}}
