"""Where hosts say what they run: one suite for the folder, the store, and both together."""

from collections.abc import Callable
from pathlib import Path

import pytest

from repod.builds import HostReport, HostReports
from repod.doors import Expect
from repod.errors import Corrupt, NotFound, Unavailable, Unfit
from repod.hostbook import FOLDER, AllReports, HostBook
from repod.hostreports import ReportFolder
from repod.package import StorePath
from repod.store.local import LocalStore
from repod.store.memory import MemoryStore
from tests.lab.faulty import FaultyStore, at, raising

_DIGEST = "ab" * 32
Put = Callable[[str, list[str]], None]
Case = tuple[HostReports, Put, Callable[[str], bool]]


def report(host: str, *lines: str, time: float = 1000.0, **more: tuple[str, ...]) -> HostReport:
    return HostReport(host=host, time=time, lines=lines, by="token ci", **more)  # type: ignore[arg-type]


@pytest.fixture(params=["folder", "memory", "local", "both"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    (tmp_path / "hosts").mkdir()
    (tmp_path / "store").mkdir()
    folder = ReportFolder(tmp_path / "hosts")
    store = LocalStore(tmp_path / "store") if request.param == "local" else MemoryStore(lambda: 0.0)
    book = HostBook(store)

    def write(host: str, lines: list[str]) -> None:
        folder.write(host, "".join(f"{line}\n" for line in lines))

    def keep(host: str, lines: list[str]) -> None:
        book.write(report(host, *lines))

    if request.param == "folder":
        return folder, write, folder.forget
    if request.param == "both":
        write("folder-only", ["z-1-1.noarch"])
        return AllReports([folder, book]), keep, book.forget
    return book, keep, book.forget


def hosts(reports: HostReports) -> dict[str, list[str]]:
    return {one.host: list(one.lines) for one in reports.read() if one.host != "folder-only"}


def test_what_a_host_said_last_is_read_and_gone_once_the_host_is_forgotten(case: Case) -> None:
    reports, put, forget = case
    put("web1", ["a-1-1.noarch"])
    put("web2.example.com", ["a-1-1.noarch", "b-2:1-1.x86_64"])
    assert hosts(reports) == {"web1": ["a-1-1.noarch"], "web2.example.com": ["a-1-1.noarch", "b-2:1-1.x86_64"]}
    put("web1", ["a-2-1.noarch", "c-1-1.noarch"])
    assert hosts(reports)["web1"] == ["a-2-1.noarch", "c-1-1.noarch"]
    assert forget("web1")
    assert not forget("web1")
    assert list(hosts(reports)) == ["web2.example.com"]


# ---------------------------------------------------------------- the store


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore(lambda: 0.0)


def test_a_store_without_any_report_says_so_and_stops_nothing(memory: MemoryStore) -> None:
    assert HostBook(memory).read() == []
    with pytest.raises(NotFound):
        HostBook(memory).one("web1")


def test_digests_the_way_back_and_who_sent_it_are_kept_for_any_daemon_on_the_store(memory: MemoryStore) -> None:
    said = report("web1", "a-2-1.noarch", "b-1-1.noarch", digests=(_DIGEST, ""), previous=("a-1-1.noarch",))
    HostBook(memory).write(said)
    other = HostBook(memory)
    assert other.one("web1") == said
    (read,) = other.read()
    assert read == said
    assert (read.digest_of({"a-2-1.noarch"}), read.digest_of({"b-1-1.noarch"}), read.digest_of(())) == (_DIGEST, "", "")


def test_a_report_is_read_again_only_when_it_changed(memory: MemoryStore) -> None:
    asked: list[str] = []
    store = FaultyStore(memory, lambda step: asked.append(step.path) if step.name == "read" else None)
    for host in ("web1", "web2"):
        HostBook(memory).write(report(host, "a-1-1.noarch"))
    book = HostBook(store)
    book.read()
    asked.clear()
    book.read()
    assert asked == []
    HostBook(memory).write(report("web2", "a-2-1.noarch", "b-1-1.noarch"))
    assert [list(one.lines) for one in book.read()] == [["a-1-1.noarch"], ["a-2-1.noarch", "b-1-1.noarch"]]
    assert set(asked) == {f"{FOLDER}web2.json"}


@pytest.mark.parametrize("data", [b"", b"[]", b'{"format": 2}', b'{"format": 1, "host": "web1"}'])
def test_one_report_that_is_unreadable_is_never_left_out(memory: MemoryStore, data: bytes) -> None:
    book = HostBook(memory)
    book.write(report("web2", "a-1-1.noarch"))
    memory.write(StorePath(f"{FOLDER}web1.json"), data, Expect.ANY)
    with pytest.raises(Corrupt, match=r"web1\.json is unreadable"):
        book.read()


def test_a_store_that_cannot_be_listed_or_read_says_so(memory: MemoryStore) -> None:
    HostBook(memory).write(report("web1", "a-1-1.noarch"))
    for number in (1, 2):
        with pytest.raises(Unavailable, match="away"):
            HostBook(FaultyStore(memory, at(number, "before", raising(Unavailable("away"))))).read()


def test_reports_of_so_many_hosts_are_kept_and_those_may_report_again(memory: MemoryStore) -> None:
    book = HostBook(memory, most=2)
    for host in ("web1", "web2", "web1"):
        book.write(report(host, "a-1-1.noarch"))
    with pytest.raises(Unfit, match="reports of 2 hosts are kept, and none of web3; forget hosts that are gone"):
        book.write(report("web3", "a-1-1.noarch"))
    book.forget("web1")
    book.write(report("web3", "a-1-1.noarch"))


def test_all_reports_together_have_a_bound_of_bytes_that_each_may_still_be_replaced_within(memory: MemoryStore) -> None:
    lines = [f"package-{number}-1.noarch" for number in range(12_000)]
    book = HostBook(memory, most_bytes=1_000_000)
    book.write(report("web1", *lines))
    book.write(report("web2", *lines))
    with pytest.raises(Unfit, match=r"web3: reports of 2 other hosts have .* more than 1,000,000; forget hosts"):
        book.write(report("web3", *lines))
    book.write(report("web3", "a-1-1.noarch"))
    with pytest.raises(Unfit, match="forget hosts"):
        book.write(report("web3", *lines))
    book.write(report("web2", *lines, "a-1-1.noarch"))
    assert len(book.one("web3").lines) == 1


# ---------------------------------------------------------------- the folder


def test_a_folder_that_may_not_be_mounted_stops_whatever_the_store_says(tmp_path: Path, memory: MemoryStore) -> None:
    book = HostBook(memory)
    book.write(report("web1", "a-1-1.noarch"))
    with pytest.raises(Unavailable, match="no report of a host"):
        AllReports([ReportFolder(tmp_path), book]).read()


def test_a_report_in_a_folder_that_cannot_be_removed_is_told(tmp_path: Path) -> None:
    (tmp_path / "web1").mkdir()
    (tmp_path / "web1" / "x").mkdir()
    with pytest.raises(Unavailable, match="report of host web1 cannot be removed"):
        ReportFolder(tmp_path).forget("web1")
