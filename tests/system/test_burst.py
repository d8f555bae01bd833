"""A thousand packages dropped at once: all of them live in a few generations, and the daemon answers meanwhile."""

import shutil
from collections import Counter
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.lab.checker import assert_sound
from tests.lab.daemon import Repod
from tests.lab.keys import Key
from tests.lab.rpms import quick
from tests.lab.wait import until

_COUNT = 1000


def _sample(page: bytes, name: str, **labels: str) -> float:
    found = [
        sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return sum(found)


def test_a_burst_of_a_thousand_packages_is_published_in_few_generations_while_metrics_answer(
    tmp_path: Path, key: Key, key_file: Path
) -> None:
    built = tmp_path / "built"
    built.mkdir()
    for number in range(_COUNT):
        quick(built, f"burst-{number:04}", requires=["glibc >= 2.34"])
    pages: list[tuple[int, bytes]] = []

    def all_live() -> bool:
        pages.append(repod.get("/metrics", seconds=60))
        return _sample(pages[-1][1], "repod_packages") == _COUNT

    with Repod(tmp_path, key_file, settings={"workers": {"count": 0}}) as repod:
        for package in built.iterdir():
            shutil.copyfile(package, repod.inbox() / package.name)
        until(all_live, 200, "all packages to be live")
        until(lambda: not [*repod.inbox().iterdir()], 30, "the inbox to be cleared")
        until(lambda: len(repod.find_events("package published")) == _COUNT, 30, "all packages to be told")
        assert {status for status, _ in pages} == {200}
        assert len(pages) > 5
        _, page = repod.get("/metrics")
        assert _sample(page, "repod_arrivals_total", result="published") == _COUNT
        assert _sample(page, "repod_errors_total") == 0
        assert _sample(page, "repod_inbox_depth") == 0
        packages = assert_sound(repod.repo_url(), key.public)
    events = repod.log_events()
    assert {package.name for package in packages.values()} == {f"burst-{number:04}" for number in range(_COUNT)}
    assert Counter(event["event"] for event in events)["package published"] == _COUNT
    assert {event["file"] for event in events if event["event"] == "package published"} == {
        package.name for package in built.iterdir()
    }
    generations = [event["generation"] for event in events if event["event"] == "published"]
    assert generations == list(range(2, 2 + len(generations)))
    assert len(generations) <= 20
    assert sum(event["added"] for event in events if event["event"] == "published") == _COUNT
    assert not repod.noise()
