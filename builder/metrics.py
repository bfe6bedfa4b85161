"""What an operator's Prometheus reads: the queue, how long builds wait and take, how many are reused, the disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from builder.records import Build, Worker

SECONDS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_800, 3_600)


class Metrics:
    """Of one process; what is under way comes from the database, and so counts every process."""

    def __init__(self, state_directory: Path) -> None:
        self._registry = CollectorRegistry()
        self._waits = Histogram(
            "launchyard_build_wait_seconds",
            "From being asked for to its start; to its end, where it was cancelled before.",
            ("strategy", "outcome"), buckets=SECONDS, registry=self._registry,
        )  # fmt: skip
        self._times = Histogram(
            "launchyard_build_seconds", "From its start to its end.", ("strategy", "outcome"), buckets=SECONDS,
            registry=self._registry,
        )  # fmt: skip
        self._reused = Counter(
            "launchyard_builds_reused", "Builds that found their image there.", registry=self._registry
        )
        disk = Gauge("launchyard_disk_free_bytes", "Of the state directory's disk.", registry=self._registry)
        disk.set_function(lambda: shutil.disk_usage(state_directory).free)

    def watch(self, counts: Callable[[], Mapping[str, int]], workers: Callable[[], Sequence[Worker]]) -> None:
        """Show the queue's length by state and what works on it, as asked at each reading."""
        self._registry.register(_UnderWay(counts, workers))

    def ended(self, build: Build, *, reused: bool) -> None:
        """Count a build that has ended: once, whoever had it in hand before."""
        assert build.finished_at
        labels = build.strategy or "none", build.state
        self._waits.labels(*labels).observe(
            ((build.started_at or build.finished_at) - build.created_at).total_seconds()
        )
        if build.started_at:
            self._times.labels(*labels).observe((build.finished_at - build.started_at).total_seconds())
        self._reused.inc(reused)

    def text(self) -> bytes:
        """In Prometheus's text format, 0.0.4."""
        return generate_latest(self._registry)


class _UnderWay(Collector):
    def __init__(self, counts: Callable[[], Mapping[str, int]], workers: Callable[[], Sequence[Worker]]) -> None:
        self._counts = counts
        self._workers = workers

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily("launchyard_builds_under_way", "Builds that have not ended.", labels=["state"])
        found = self._counts()
        for state in ("queued", "running"):
            family.add_metric([state], found.get(state, 0))
        yield family
        workers = self._workers()
        yield GaugeMetricFamily("launchyard_workers", "Workers that are alive.", value=len(workers))
        yield GaugeMetricFamily(
            "launchyard_builds_at_once", "Builds that they run at a time.", value=sum(w.at_once for w in workers)
        )
