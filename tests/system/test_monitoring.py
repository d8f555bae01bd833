"""What watches repod: rules and dashboard hold to the metrics there are, a real Prometheus uses them, and one
package is followed from its arrival to its generation."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from repod.metrics import Metrics
from tests.lab import damage
from tests.lab.daemon import Repod
from tests.lab.prometheus import Prometheus, prometheus, promtool
from tests.lab.rpms import quick
from tests.lab.wait import until

_CONFIG = Path(__file__).resolve().parents[2] / "config"
_ALERTS = _CONFIG / "prometheus/alerts.yml"
_DASHBOARD = _CONFIG / "grafana/repod.json"
_TARGET = {"instance", "job"}
_ALL = {"$instance": ".*", "$repository": ".*", "$__rate_interval": "1m", "$__range": "6h"}


def _rules() -> Sequence[Mapping[str, Any]]:
    return [rule for group in yaml.safe_load(_ALERTS.read_text())["groups"] for rule in group["rules"]]


def _asked() -> Sequence[str]:
    return [rule["expr"] for rule in _rules()]


def _panels() -> Sequence[Mapping[str, Any]]:
    return [panel for panel in json.loads(_DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def _shown() -> Sequence[str]:
    """Every expression of the dashboard, for all that there is."""
    found = [target["expr"] for panel in _panels() for target in panel["targets"]]
    found += [one["expr"] for one in json.loads(_DASHBOARD.read_text())["annotations"]["list"]]
    for name, value in _ALL.items():
        found = [expr.replace(name, value) for expr in found]
    return found


def _series() -> dict[str, set[str]]:
    """The labels of every sample that repod has, by its name."""
    metrics = Metrics("1")
    metrics.repository("r")
    metrics.hook("h")
    metrics.hosts.labels("r", "p", "1")
    metrics.room("r", "store", 1, 2)
    metrics.key_expiry.labels("A").set(1)
    found: dict[str, set[str]] = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found | {"up": set(), "ALERTS": {"alertname", "alertstate", "repository", "hook"}}


def _used(expr: str) -> Iterator[tuple[set[str], set[str]]]:
    """Metrics of an expression with the labels that it has for them: of each selector, and of all in ``by``."""
    selectors = re.findall(r"\b(up|ALERTS|(?:repod|process)_[a-z_]+)\b(?:\{([^}]*)\})?", expr)
    for name, matchers in selectors:
        yield {name}, set(re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", matchers))
    for labels in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expr):
        yield {name for name, _ in selectors}, {label.strip() for label in labels.split(",")}


def test_every_alert_is_right_by_promtool_and_fires_where_it_must_and_nowhere_else() -> None:
    assert f"{len(_rules())} rules found" in promtool("check", "rules", _ALERTS)
    promtool("test", "rules", _ALERTS.with_name("alerts_test.yml"))
    tested = re.findall(r'alertname="(\w+)"', _ALERTS.with_name("alerts_test.yml").read_text())
    assert set(tested) == {rule["alert"] for rule in _rules()}


def test_every_alert_says_how_bad_it_is_what_it_means_and_where_to_read_on() -> None:
    names = [rule["alert"] for rule in _rules()]
    assert len(set(names)) == len(names)
    for rule in _rules():
        assert rule["labels"]["severity"] in {"page", "ticket", "info"}
        said = rule["annotations"]
        assert said["runbook"] == f"README.md#{rule['alert'].lower()}"
        assert set(said) == {"summary", "description", "runbook"}
        if "repository" in rule["expr"]:
            assert "$labels.repository" in said["summary"] + said["description"]
        assert "$labels.instance" in said["summary"] + said["description"]


@pytest.mark.parametrize("expr", sorted({*_asked(), *_shown()}))
def test_alerts_and_dashboard_ask_only_for_metrics_and_labels_that_there_are(expr: str) -> None:
    series = _series()
    for names, labels in _used(expr):
        assert names <= series.keys()
        assert labels - _TARGET <= set().union(*(series[name] for name in names)), expr


def test_the_dashboard_shows_every_metric_of_repod_that_an_alert_asks_for() -> None:
    asked, shown = (set(re.findall(r"\brepod_[a-z_]+", " ".join(some))) for some in (_asked(), _shown()))
    assert asked - shown == set()


def test_the_dashboard_is_whole() -> None:
    dashboard = json.loads(_DASHBOARD.read_text())
    assert dashboard["schemaVersion"] >= 39
    assert [one["name"] for one in dashboard["templating"]["list"]] == ["datasource", "instance", "repository"]
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(numbers)) == len(numbers)
    taken = set[tuple[int, int]]()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    for panel in _panels():
        assert panel["description"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert [target["refId"] for target in panel["targets"]] == list("ABCDEFG")[: len(panel["targets"])]


# ---------------------------------------------------------------- a real Prometheus


def _firing(server: Prometheus, name: str) -> list[dict[str, Any]]:
    return [alert for alert in server.alerts(name) if alert["state"] == "firing"]


def test_a_real_prometheus_tells_of_a_broken_repository_and_draws_the_dashboard(tmp_path: Path, key_file: Path) -> None:
    """The store of one repository goes away: its alert, which waits no five minutes here, fires for it alone."""
    rules = tmp_path / "rules.yml"
    text = _ALERTS.read_text()
    rules.write_text(
        text.replace("repod_failing_since_timestamp_seconds > 300", "repod_failing_since_timestamp_seconds > 0")
    )
    assert rules.read_text() != text
    with Repod(tmp_path, key_file, ["good", "bad"]) as daemon:
        package = quick(tmp_path, "one")
        checksum = hashlib.sha256(package.read_bytes()).hexdigest()
        with prometheus(tmp_path, rules=rules, target=daemon.url.partition("//")[2]) as server:
            package.rename(daemon.inbox("good") / "one.rpm")
            until(
                lambda: server.query('repod_arrivals_total{repository="good",result="published"} == 1'), 60, "a count"
            )
            away = tmp_path / "away"
            daemon.store("bad").rename(away)
            quick(daemon.inbox("bad"), "two")
            (alert,) = until(lambda: _firing(server, "RepodPublishFailing"), 60, "the alert to fire")
            assert alert["labels"]["repository"] == "bad"
            assert alert["annotations"]["summary"].startswith("repository bad cannot be published for ")
            for expr in _shown():
                server.query(expr)
            found = server.api("query_exemplars", query="repod_publish_seconds_bucket", start="0", end="9999999999")
            assert {one["labels"]["trace_id"] for row in found for one in row["exemplars"]} == {checksum[:32]}
            away.rename(daemon.store("bad"))
            until(lambda: not _firing(server, "RepodPublishFailing"), 90, "the alert to end")
            until(lambda: server.query('repod_up{repository="bad"} == 1'), 30, "it to be up")


# ---------------------------------------------------------------- following one package


def test_one_package_is_followed_by_its_trace_from_arrival_to_generation(tmp_path: Path, key_file: Path) -> None:
    """``sha256sum`` tells it; it stands in each line about the arrival, the record, the exemplar, the reason file."""
    good = quick(tmp_path, "good")
    bad = damage.flip_bit(good, tmp_path / "bad.rpm", -1)
    traces = [hashlib.sha256(path.read_bytes()).hexdigest()[:32] for path in (good, bad)]
    with Repod(tmp_path, key_file) as daemon:
        for path in (good, bad):
            shutil.copyfile(path, daemon.inbox() / f".{path.name}")
            (daemon.inbox() / f".{path.name}").rename(daemon.inbox() / path.name)
        until(lambda: daemon.find_events("package published"), 60, "the good one to be published")
        # A moment after its packages: then the time that it took has been counted.
        until(lambda: daemon.find_events("published"), 30, "the generation to be told of")
        until(lambda: daemon.find_events("package rejected"), 30, "the bad one to be rejected")
        page = daemon.get("/metrics", accept="application/openmetrics-text")[1].decode()
    lines = [json.loads(line) for line in daemon.log.read_text().splitlines() if traces[0] in line]
    told = {line["event"]: line for line in lines}
    assert told["package published"]["trace"] == traces[0]
    assert told["published"]["traces"] == [traces[0]]
    number = told["published"]["generation"]
    assert number == told["package published"]["generation"]
    record = json.loads((daemon.store() / f".repod/generations/{number}.json").read_bytes())
    assert [origin["checksum"][:32] for origin in record["origins"]] == [traces[0]]
    pointed = {
        sample.exemplar.labels["trace_id"]
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "repod_publish_seconds_bucket" and sample.exemplar
    }
    assert pointed == {traces[0]}
    rejected = daemon.find_events("package rejected")
    assert [event["trace"] for event in rejected] == [traces[1]]
    reason = json.loads((daemon.rejected() / "bad.rpm.reason.json").read_bytes())
    assert reason["trace"] == traces[1]
