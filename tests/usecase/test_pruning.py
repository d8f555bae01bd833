"""When the daemon prunes, and what log and metrics hear of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from repod.builds import HostReport
from repod.errors import Unavailable
from repod.metrics import Metrics
from repod.prune import Pruner
from repod.pruning import Pruning
from repod.retention import Policy
from tests.cases.place import Log
from tests.lab.entries import made
from tests.lab.fakes import Clock
from tests.lab.faulty import Step
from tests.lab.pruners import Reports, pruner
from tests.lab.site import Site
from tests.lab.site import site as site_in


class Desk:
    """A site of six builds of one name that is pruned as the daemon does; ``seconds`` count what is due when."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.metrics = Metrics("test")
        self.metrics.repository("test")
        self.log = Log()
        self.seconds = Clock(0.0)
        self.reports = Reports()
        self.reports.reports = [HostReport(host="web1", time=site.clock.now, lines=["bash-1-1.noarch"])]
        publisher = site.opened()
        site.publish(publisher, *(made(f"hello-1.0-{number}.noarch") for number in range(1, 7)))
        self.store = site.store()
        words: dict[str, Any] = {"policy": Policy(keep=2), "generations": 1, "grace": 60, "reports": self.reports}
        self.pruning = self.opened(pruner(site, self.store, **words))

    def opened(self, pruner: Pruner) -> Pruning:
        return Pruning(
            name="test",
            pruner=pruner,
            metrics=self.metrics,
            log=self.log,
            clock=self.site.clock,
            monotonic=self.seconds,
        )

    def turn(self, *, quiet: bool = True, stopping: bool = False) -> bool:
        """The end of a turn; whether it looked for something to prune."""
        before = len(self.store.steps)
        number = self.site.generations[0].number
        self.pruning.after_turn(number, quiet=quiet, stopping=lambda: stopping)
        return len(self.store.steps) > before

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, {"repository": "test", **labels})


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with site_in(tmp_path) as site:
        yield Desk(site)


def test_one_line_says_what_left_and_the_metrics_count_it(desk: Desk) -> None:
    desk.turn()
    told = desk.log.told("builds left the metadata; their files go after grace")
    assert told["why"] == "4 builds beyond retention: 4 beyond keep = 2"
    assert told["builds"] == [f"hello-1.0-{number}.noarch" for number in (1, 2, 3, 4)]
    assert (desk.value("repod_pruned_packages_total"), desk.value("repod_pruned_bytes_total")) == (4, 0)
    desk.site.clock.now += 3600
    desk.seconds.now += 601
    desk.turn()
    told = desk.log.told("pruned")
    assert told["bytes"] == desk.value("repod_pruned_bytes_total") > 0
    assert len(list(desk.site.inner.list("Packages/"))) == 2
    desk.seconds.now += 601
    desk.turn()
    assert desk.value("repod_store_bytes") == sum(stored.size for stored in desk.site.inner.list(""))


def test_it_prunes_after_a_publish_once_it_is_quiet_and_every_ten_minutes(desk: Desk) -> None:
    assert desk.turn(quiet=False), "the first time is due at once"
    assert not desk.turn(), "the generation without those builds it has made itself"
    desk.site.publish(desk.site.opened(), made("hello-1.0-7.noarch"))
    assert not desk.turn(quiet=False)
    desk.seconds.now += 30
    assert desk.turn()
    desk.seconds.now += 599
    assert not desk.turn()
    desk.seconds.now += 1
    assert desk.turn(quiet=False), "a repository that is never quiet is pruned all the same"


def test_what_takes_long_is_done_seldom(desk: Desk) -> None:
    desk.seconds.tick = 0.5
    desk.turn()
    desk.seconds.tick = 0
    desk.site.publish(desk.site.opened(), made("hello-1.0-7.noarch"))
    desk.seconds.now += 20
    assert not desk.turn()
    desk.seconds.now += 60
    assert desk.turn()


def test_a_failure_is_told_once_counted_each_time_and_tried_again(desk: Desk) -> None:
    desk.reports.broken = "permission denied"
    for _ in range(3):
        assert desk.turn()
        assert not desk.turn(), "not at once"
        desk.seconds.now += 61
    assert desk.log.errors == ["permission denied"]
    assert desk.value("repod_errors_total", kind="unavailable") == 3
    desk.reports.broken = ""
    desk.turn()
    assert desk.value("repod_pruned_packages_total") == 4


def test_a_removal_that_fails_is_told_with_what_was_done_before(desk: Desk) -> None:
    desk.turn()
    desk.site.clock.now += 3600
    desk.seconds.now += 601

    def fail(step: Step) -> None:
        if step.name == "remove" and step.path.startswith("Packages/"):
            msg = "the disk fails"
            raise Unavailable(msg)

    desk.site.plan(desk.store, fail)
    desk.turn()
    assert desk.log.errors == ["the disk fails"]
    assert desk.log.told("pruned")["objects"] > 0


def test_a_daemon_that_stops_leaves_files_to_the_next_start(desk: Desk) -> None:
    desk.turn()
    desk.site.clock.now += 3600
    desk.seconds.now += 601
    desk.turn(stopping=True)
    assert desk.log.told("left to the next prune")["what"].startswith("4 files: ")
    desk.seconds.now += 601
    desk.turn()
    assert len(list(desk.site.inner.list("Packages/"))) == 2


def test_a_note_is_told_once(desk: Desk) -> None:
    desk.reports.reports.append(HostReport(host="web2", time=desk.site.clock.now - 90 * 86400, lines=["x-1-1.noarch"]))
    for release in (7, 8):
        desk.turn()
        desk.site.publish(desk.site.opened(), made(f"hello-1.0-{release}.noarch"))
    desk.turn()
    assert [note.split(" is ")[0] for note in desk.log.warned("retention")] == ["report of host web2"]


def test_a_person_who_asks_gets_the_error_itself(desk: Desk) -> None:
    desk.reports.broken = "permission denied"
    with pytest.raises(Unavailable, match="permission denied"):
        desk.pruning.at_once()
