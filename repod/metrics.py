"""Every metric repod has, in one place: names, meanings, labels.

Labels are bounded: repositories, hooks, builds that hosts run (so many of each repository),
results, reasons, stages, error classes, templates of routes and classes
of status are fixed sets. All series exist from the start with the value 0; only sizes of file systems appear
when they were measured first.
"""

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

from repod.package import REASONS, trace

RESULTS: Sequence[str] = ("published", "duplicate", "rejected")
MESSAGES: Sequence[str] = ("done", "unrelated", "unknown", "returned")
STAGES: Sequence[str] = ("copy", "read", "sign", "seal", "store", "publish", "turn")
ERRORS: Sequence[str] = ("unavailable", "conflict", "corrupt", "misconfigured", "other")
PLACES: Sequence[str] = ("store", "inbox", "state")
DELIVERIES: Sequence[str] = ("delivered", "failed", "dropped")
REFUSALS: Sequence[str] = ("unknown", "expired", "throttled", "forbidden")
METHODS: Sequence[str] = ("GET", "HEAD", "PUT", "POST", "DELETE", "other")
STATUSES: Sequence[str] = ("2xx", "3xx", "4xx", "5xx")
UNROUTED = "none"
"""The route of requests that no route is for."""

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_HTTP_BUCKETS = (0.005, 0.025, 0.1, 0.25, 1, 5, 30)


class Metrics:
    """The metrics of one process, on a registry of its own."""

    def __init__(self, version: str) -> None:
        """``version``: repod's, for ``repod_build_info``."""
        # A second family per counter, which nothing reads, is left out.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._of_arrivals()
        self._of_publishing()
        self._of_keeping()
        self._of_hosts()
        self._of_the_machine()
        self._of_http()
        self._of_others()
        self._gauge("repod_build_info", "Version of the running repod; always 1.", "version").labels(version).set(1)

    def _of_arrivals(self) -> None:
        counter, gauge = self._counter, self._gauge
        self.arrivals = counter("repod_arrivals", "Arrivals done with, by what became of them.", "repository", "result")
        self.rejected = counter("repod_rejected", "Rejected arrivals by first reason.", "repository", "reason")
        self.found_by_scan = counter(
            "repod_found_by_scan", "Arrivals that the periodic scan found and no event told of.", "repository"
        )
        self.messages = counter(
            "repod_queue_messages",
            "Messages of queues that tell of uploads: done (live, then deleted), unrelated (deleted), "
            "unknown (left for the dead letter queue), returned (to be told again).",
            "result",
        )
        self.inbox_depth = gauge("repod_inbox_depth", "Arrivals in the inbox at the last scan.", "repository")
        self.inbox_oldest = gauge("repod_inbox_oldest_seconds", "Age of the oldest of them.", "repository")
        self.watcher_up = gauge("repod_watcher_up", "1 while the inbox is watched as configured.", "repository")
        self.last_scan = gauge(
            "repod_last_scan_timestamp_seconds", "When the inbox was last looked at, and all of it seen.", "repository"
        )
        for result in MESSAGES:
            self.messages.labels(result)

    def _of_publishing(self) -> None:
        counter, gauge, histogram = self._counter, self._gauge, self._histogram
        self.errors = counter("repod_errors", "What failed and is tried again.", "repository", "kind")
        self.publish_failures = counter(
            "repod_publish_failures", "Turns that failed as a whole, so that nothing was published.", "repository"
        )
        self.publish_conflicts = counter(
            "repod_publish_conflicts", "Publishes begun anew since another writer was faster.", "repository"
        )
        self.stage_seconds = histogram("repod_stage_seconds", "Time that one stage of the work took.", "stage")
        self.publish_seconds = histogram("repod_publish_seconds", "Time from change to live generation.", "repository")
        self.up = gauge("repod_up", "1 while the last turn of the repository went well.", "repository")
        self.failing_since = gauge(
            "repod_failing_since_timestamp_seconds", "Since when every turn failed; 0 while they work.", "repository"
        )
        self.generation = gauge("repod_generation", "Number of the current generation.", "repository")
        self.packages = gauge("repod_packages", "Packages in the current generation.", "repository")
        self.last_publish = gauge(
            "repod_last_publish_timestamp_seconds", "When the current generation was made.", "repository"
        )
        self.expected = gauge(
            "repod_expected_publish_seconds",
            "The setting expect_every: how old a generation may become; 0: as old as it likes.",
            "repository",
        )
        for stage in STAGES:
            self.stage_seconds.labels(stage)

    def _of_keeping(self) -> None:
        """What retention and keys tell."""
        counter, gauge = self._counter, self._gauge
        self.pruned_packages = counter("repod_pruned_packages", "Builds that retention took out.", "repository")
        self.pruned_bytes = counter("repod_pruned_bytes", "Bytes that pruning removed from the store.", "repository")
        self.store_bytes = gauge("repod_store_bytes", "Bytes in the store, when pruning last looked.", "repository")
        self.key_expiry = gauge(
            "repod_signing_key_expiry_timestamp_seconds", "When a key of hosts expires; +Inf: never.", "fingerprint"
        )
        self.statement_expiry = gauge(
            "repod_statement_expiry_timestamp_seconds",
            "Until when clients believe the signed statement beside repomd.xml; 0: there is none.",
            "repository",
        )
        self.rollout_expiry = gauge(
            "repod_rollout_expiry_timestamp_seconds",
            "Until when hosts in pull mode follow rollout.json; 0: there is none.",
            "repository",
        )

    def _of_hosts(self) -> None:
        """What hosts report that they run."""
        gauge = self._gauge
        self._shown: dict[str, set[tuple[str, str]]] = {}
        self.hosts = gauge(
            "repod_hosts",
            "Hosts that run a build, by reports that count; of packages that the setting host_metrics names.",
            "repository",
            "package",
            "version",
        )
        self.hosts_left_out = gauge(
            "repod_hosts_left_out_builds", "Builds that repod_hosts leaves out, as they are too many.", "repository"
        )
        self.hosts_reporting = gauge("repod_hosts_reporting", "Hosts whose reports count.", "repository")
        self.hosts_stale = gauge(
            "repod_hosts_stale", "Hosts whose reports are too old: what they ran is not kept for them.", "repository"
        )
        self.hosts_oldest = gauge(
            "repod_hosts_oldest_report_timestamp_seconds",
            "When the oldest of the reports that count came; 0: none does.",
            "repository",
        )

    def show_hosts(self, repository: str, builds: Mapping[tuple[str, str], int]) -> None:
        """How many hosts run builds (name, version and release). What was shown before and is not among them, goes.

        It is remembered here, not by who shows it: that is made anew with each reload.
        """
        for name, version in self._shown.get(repository, set()) - builds.keys():
            self.hosts.remove(repository, name, version)
        for (name, version), number in builds.items():
            self.hosts.labels(repository, name, version).set(number)
        self._shown[repository] = set(builds)

    def _of_the_machine(self) -> None:
        gauge = self._gauge
        self.free_bytes = gauge(
            "repod_filesystem_free_bytes",
            "Free bytes, for repod, of the file system of a store, an inbox, or (without repository) state_dir.",
            "repository",
            "place",
        )
        self.size_bytes = gauge("repod_filesystem_size_bytes", "Its size in bytes.", "repository", "place")
        self.workers = gauge("repod_worker_processes", "Processes that read packages and sign, and their server.")
        self.worker_bytes = gauge("repod_worker_resident_memory_bytes", "Resident memory of these processes together.")
        ProcessCollector(registry=self.registry)  # what every Prometheus client tells of its process

    def _of_http(self) -> None:
        counter = self._counter
        self.requests = counter(
            "repod_http_requests", "Requests answered, by template of the route.", "route", "method", "status"
        )
        self.request_seconds = self._histogram(
            "repod_http_request_seconds", "Time until the answer began.", "route", "method", buckets=_HTTP_BUCKETS
        )
        self.refused = counter(
            "repod_access_refused", "Requests that were not let in, but for those without any credentials.", "reason"
        )
        self.event_streams = self._gauge("repod_event_streams", "Open streams of events.")
        self.route(UNROUTED, ["GET"])
        for reason in REFUSALS:
            self.refused.labels(reason)

    def _of_others(self) -> None:
        """Who else is told: hooks, and the audit log."""
        counter, gauge = self._counter, self._gauge
        self.hook_deliveries = counter(
            "repod_hook_deliveries",
            "Tries to deliver an event: delivered, failed (tried again), dropped (given up).",
            "hook",
            "result",
        )
        self.hook_pending = gauge("repod_hook_pending", "Events that wait to be delivered.", "hook")
        self.hook_oldest = gauge(
            "repod_hook_oldest_timestamp_seconds", "When the oldest of them happened; 0: none waits.", "hook"
        )
        self.audit_errors = counter("repod_audit_errors", "Entries that the audit log could not take.")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str, buckets: Sequence[float] = _BUCKETS) -> Histogram:
        return Histogram(name, text, labels, registry=self.registry, buckets=buckets)

    def repository(self, name: str, expect_every: float = 0) -> None:
        """Make all series of a repository; ``expect_every``: the setting, in seconds."""
        for result in RESULTS:
            self.arrivals.labels(name, result)
        for reason in REASONS:
            self.rejected.labels(name, reason)
        for kind in ERRORS:
            self.errors.labels(name, kind)
        self.publish_seconds.labels(name)
        counters = (self.found_by_scan, self.publish_failures, self.publish_conflicts)
        for counter in (*counters, self.pruned_packages, self.pruned_bytes):
            counter.labels(name)
        for series in self._gauges:
            series.labels(name)
        self.expected.labels(name).set(expect_every)

    def forget(self, name: str) -> None:
        """Drop the gauges of a repository that is no longer in the settings; its counters stay."""
        for series in self._gauges:
            series.remove(name)
        for place in PLACES:
            self.forget_room(name, place)
        self.show_hosts(name, {})

    @property
    def _gauges(self) -> Sequence[Gauge]:
        return (
            self.up,
            self.failing_since,
            self.generation,
            self.packages,
            self.expected,
            self.inbox_depth,
            self.inbox_oldest,
            self.last_scan,
            self.last_publish,
            self.store_bytes,
            self.statement_expiry,
            self.rollout_expiry,
            self.watcher_up,
            self.hosts_left_out,
            self.hosts_reporting,
            self.hosts_stale,
            self.hosts_oldest,
        )

    def works(self, repository: str) -> None:
        """A turn went well."""
        self.up.labels(repository).set(1)
        self.failing_since.labels(repository).set(0)

    def fails(self, repository: str, since: float) -> None:
        """A turn failed, as all did from ``since`` on (seconds since 1970)."""
        self.publish_failures.labels(repository).inc()
        self.up.labels(repository).set(0)
        self.failing_since.labels(repository).set(since)

    def stage(self, name: str, seconds: float, checksum: str = "") -> None:
        """Note how long a stage took; ``checksum``: the SHA-256 of an arrival that was in it."""
        self.stage_seconds.labels(name).observe(seconds, _exemplar(checksum))

    def published(self, repository: str, seconds: float, checksum: str = "") -> None:
        """Note how long a publish took; ``checksum`` as in ``stage``."""
        self.publish_seconds.labels(repository).observe(seconds, _exemplar(checksum))
        self.stage("publish", seconds, checksum)

    def message(self, result: str) -> None:
        """Count a message of a queue under what became of it."""
        self.messages.labels(result).inc()

    def conflict(self, repository: str) -> None:
        """Count a publish that is begun anew since another writer was faster."""
        self.publish_conflicts.labels(repository).inc()

    def refuse(self, reason: str) -> None:
        """Count a request that was not let in, under one of ``REFUSALS``."""
        self.refused.labels(reason).inc()

    def error(self, repository: str, error: BaseException | None = None) -> None:
        """Count a failure under the class of its error."""
        names = {type(error).__name__.lower(), *(base.__name__.lower() for base in type(error).__mro__)}
        kind = next((kind for kind in ERRORS if kind in names), "other")
        self.errors.labels(repository, kind).inc()

    def room(self, repository: str, place: str, free: int, size: int) -> None:
        """Note what a file system holds, in bytes; ``place`` is one of ``PLACES``."""
        self.free_bytes.labels(repository, place).set(free)
        self.size_bytes.labels(repository, place).set(size)

    def forget_room(self, repository: str, place: str) -> None:
        """Drop the series of a place, where there are any."""
        for series in (self.free_bytes, self.size_bytes):
            series.remove(repository, place)

    def hook(self, name: str) -> None:
        """Make all series of a hook."""
        for result in DELIVERIES:
            self.hook_deliveries.labels(name, result)
        self.hook_pending.labels(name)
        self.hook_oldest.labels(name)

    def forget_hook(self, name: str) -> None:
        """Drop the gauges of a hook that is no longer in the settings; its counters stay."""
        self.hook_pending.remove(name)
        self.hook_oldest.remove(name)

    def route(self, path: str, methods: Iterable[str]) -> None:
        """Make all series of a route; ``path`` is its template."""
        for method in methods:
            self.request_seconds.labels(path, _known(method))
            for status in STATUSES:
                self.requests.labels(path, _known(method), status)

    def answered(self, path: str, method: str, status: int, seconds: float) -> None:
        """Count a request by the template of its route, and note after how many seconds the answer began."""
        self.requests.labels(path, _known(method), f"{status // 100}xx").inc()
        self.request_seconds.labels(path, _known(method)).observe(seconds)

    def page(self, accept: str = "") -> tuple[bytes, str]:
        """The metrics and their media type, as ``accept`` (the header of that name) prefers them.

        OpenMetrics, with exemplars, where that is named; else Prometheus' text format 0.0.4.
        """
        encode, media_type = choose_encoder(accept)
        return encode(self.registry), media_type


def _exemplar(checksum: str) -> dict[str, str] | None:
    return {"trace_id": trace(checksum)} if checksum else None


def _known(method: str) -> str:
    return method if method in METHODS else "other"
