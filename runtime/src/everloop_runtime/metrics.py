"""The service's figures for Prometheus, with a bounded number of series."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """One registry a service. Labels are the bundle (there are few), the role and the status."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "everloop_requests",
            "Requests, by what became of them.",
            ("bundle", "role", "status"),
            registry=self._registry,
        )
        self.seconds = Histogram(
            "everloop_request_seconds",
            "From the whole body's arrival to the answer.",
            ("bundle", "role"),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self.refused = Counter(
            "everloop_refused",
            "Requests refused before a model saw them, by HTTP status.",
            ("code",),
            registry=self._registry,
        )
        self.dropped = Gauge(
            "everloop_capture_dropped",
            "Answers that could not be captured.",
            registry=self._registry,
        )

    def text(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self._registry)
