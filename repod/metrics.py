"""Every metric repod has, in one place: names, meanings, labels.

Labels are bounded: repositories, results, reasons, stages and error classes are fixed sets.
All series exist from the start with the value 0.
"""

from collections.abc import Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from repod.package import REASONS

RESULTS: Sequence[str] = ("published", "duplicate", "rejected")
MESSAGES: Sequence[str] = ("done", "unrelated", "unknown", "returned")
STAGES: Sequence[str] = ("copy", "read", "sign", "seal", "store", "publish", "turn")
ERRORS: Sequence[str] = ("unavailable", "conflict", "corrupt", "misconfigured", "other")
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """The metrics of one process, on a registry of its own."""

    def __init__(self, version: str) -> None:
        """``version``: repod's, for ``repod_build_info``."""
        # A second family per counter, which nothing reads, is left out.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()

        counter, gauge, histogram = self._counter, self._gauge, self._histogram
        self.arrivals = counter("repod_arrivals", "Arrivals done with, by what became of them.", "repository", "result")
        self.rejected = counter("repod_rejected", "Rejected arrivals by first reason.", "repository", "reason")
        self.errors = counter("repod_errors", "What failed and is tried again.", "repository", "kind")
        self.found_by_scan = counter(
            "repod_found_by_scan", "Arrivals that the periodic scan found and no event told of.", "repository"
        )
        self.messages = counter(
            "repod_queue_messages",
            "Messages of queues that tell of uploads: done (live, then deleted), unrelated (deleted), "
            "unknown (left for the dead letter queue), returned (to be told again).",
            "result",
        )
        self.stage_seconds = histogram("repod_stage_seconds", "Time that one stage of the work took.", "stage")
        self.publish_seconds = histogram("repod_publish_seconds", "Time from change to live generation.", "repository")
        self.generation = gauge("repod_generation", "Number of the current generation.", "repository")
        self.packages = gauge("repod_packages", "Packages in the current generation.", "repository")
        self.inbox_depth = gauge("repod_inbox_depth", "Arrivals in the inbox at the last scan.", "repository")
        self.inbox_oldest = gauge("repod_inbox_oldest_seconds", "Age of the oldest of them.", "repository")
        self.last_publish = gauge(
            "repod_last_publish_timestamp_seconds", "When the current generation was made.", "repository"
        )
        self._of_keeping()
        self.audit_errors = counter("repod_audit_errors", "Entries that the audit log could not take.")
        gauge("repod_build_info", "Version of the running repod; always 1.", "version").labels(version).set(1)
        for stage in STAGES:
            self.stage_seconds.labels(stage)
        for result in MESSAGES:
            self.messages.labels(result)

    def _of_keeping(self) -> None:
        """What retention and keys tell."""
        counter, gauge = self._counter, self._gauge
        self.pruned_packages = counter("repod_pruned_packages", "Builds that retention took out.", "repository")
        self.pruned_bytes = counter("repod_pruned_bytes", "Bytes that pruning removed from the store.", "repository")
        self.store_bytes = gauge("repod_store_bytes", "Bytes in the store, when pruning last looked.", "repository")
        self.watcher_up = gauge("repod_watcher_up", "1 while the inbox is watched as configured.", "repository")
        self.key_expiry = gauge(
            "repod_signing_key_expiry_timestamp_seconds", "When a key of hosts expires; +Inf: never.", "fingerprint"
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(name, text, labels, registry=self.registry, buckets=_BUCKETS)

    def repository(self, name: str) -> None:
        """Make all series of a repository."""
        for result in RESULTS:
            self.arrivals.labels(name, result)
        for reason in REASONS:
            self.rejected.labels(name, reason)
        for kind in ERRORS:
            self.errors.labels(name, kind)
        self.publish_seconds.labels(name)
        for counter in (self.found_by_scan, self.pruned_packages, self.pruned_bytes):
            counter.labels(name)
        for series in self._gauges:
            series.labels(name)

    def forget(self, name: str) -> None:
        """Drop the gauges of a repository that is no longer in the settings; its counters stay."""
        for series in self._gauges:
            series.remove(name)

    @property
    def _gauges(self) -> Sequence[Gauge]:
        return (
            self.generation,
            self.packages,
            self.inbox_depth,
            self.inbox_oldest,
            self.last_publish,
            self.store_bytes,
            self.watcher_up,
        )

    def stage(self, name: str, seconds: float) -> None:
        """Note how long a stage took."""
        self.stage_seconds.labels(name).observe(seconds)

    def message(self, result: str) -> None:
        """Count a message of a queue under what became of it."""
        self.messages.labels(result).inc()

    def error(self, repository: str, error: BaseException | None = None) -> None:
        """Count a failure under the class of its error."""
        names = {type(error).__name__.lower(), *(base.__name__.lower() for base in type(error).__mro__)}
        kind = next((kind for kind in ERRORS if kind in names), "other")
        self.errors.labels(repository, kind).inc()

    def page(self) -> bytes:
        """The metrics as Prometheus reads them (text format 0.0.4)."""
        return generate_latest(self.registry)
