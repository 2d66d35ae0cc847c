"""The service's figures: plain counts in each process, added up and told in Prometheus' format."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

import msgspec

Labels = tuple[str, ...]

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
_MOST_SERIES = 200
"""Of one name; a further combination of labels is counted under "other"."""

_COUNTERS = {
    "everloop_requests": ("Answers, by what became of them.", ("bundle", "role", "status")),
    "everloop_refused": ("Requests refused before a model saw them.", ("code",)),
    "everloop_feedback": ("Feedback taken.", ("kind",)),
    "everloop_cpu_seconds": ("Core-seconds of the service's own processes.", ()),
    "everloop_capture_bytes": ("Bytes of captures written.", ()),
    "everloop_capture_dropped": ("Records that could not be captured.", ()),
    "everloop_capture_late": ("Records whose answer did not wait for the slow disk.", ()),
    "everloop_capture_skipped": ("Answers that sampling left out.", ()),
}
_GAUGES = {
    "everloop_queue_depth": ("Images that wait for a model.", ()),
    "everloop_in_flight": ("Requests being answered.", ()),
}
_HISTOGRAMS = {
    "everloop_request_seconds": (
        "From the whole request's arrival to its answer.",
        ("bundle", "role"),
        SECONDS,
    ),
    "everloop_decode_seconds": ("Decoding one image.", (), SECONDS),
    "everloop_model_seconds": ("One run of a model.", ("bundle",), SECONDS),
    "everloop_batch_images": ("Images of one run of a model.", ("bundle",), SIZES),
}


class Histogram(msgspec.Struct):
    """Counts by bucket, the last one for everything beyond."""

    counts: list[int]
    total: float = 0.0


class Figures(msgspec.Struct):
    """What one process has counted since it began."""

    counters: dict[str, dict[str, float]] = {}
    gauges: dict[str, float] = {}
    histograms: dict[str, dict[str, Histogram]] = {}

    def count(self, name: str, labels: Labels = (), by: float = 1) -> None:
        """Add to a counter."""
        series = self.counters.setdefault(name, {})
        key = _key(series, labels)
        series[key] = series.get(key, 0) + by

    def observe(self, name: str, labels: Labels, values: Iterable[float]) -> None:
        """Add values to a histogram."""
        series = self.histograms.setdefault(name, {})
        key = _key(series, labels)
        buckets: Sequence[float] = _HISTOGRAMS[name][2]
        found = series.get(key)
        if found is None:
            found = series[key] = Histogram([0] * (len(buckets) + 1))
        counts = found.counts
        for value in values:
            counts[bisect_left(buckets, value)] += 1
            found.total += value

    def add(self, other: "Figures") -> None:
        """Add what another process has counted."""
        for name, series in other.counters.items():
            for key, value in series.items():
                self.counters.setdefault(name, {})
                self.counters[name][key] = self.counters[name].get(key, 0) + value
        for name, value in other.gauges.items():
            self.gauges[name] = self.gauges.get(name, 0) + value
        for name, bars in other.histograms.items():
            for key, bar in bars.items():
                mine = self.histograms.setdefault(name, {}).get(key)
                if mine is None:
                    self.histograms[name][key] = Histogram(list(bar.counts), bar.total)
                else:
                    mine.counts = [a + b for a, b in zip(mine.counts, bar.counts, strict=True)]
                    mine.total += bar.total

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry()
        registry.register(_Told(self))  # type: ignore[arg-type]
        return generate_latest(registry)


def _key(series: "dict[str, float] | dict[str, Histogram]", labels: Labels) -> str:
    key = "\0".join(labels)
    if key not in series and len(series) >= _MOST_SERIES:
        return "\0".join("other" for _ in labels)
    return key


class _Told:
    """Figures as Prometheus' client library wants to collect them."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterable[object]:
        """Every family that is known, also those that nothing was counted of."""
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        told = self._figures
        for name, (text, labels) in _COUNTERS.items():
            counter = CounterMetricFamily(name, text, labels=labels)
            series = told.counters.get(name, {}) or ({} if labels else {"": 0.0})
            for key, value in series.items():
                counter.add_metric(_values(key, labels), value)
            yield counter
        for name, (text, labels) in _GAUGES.items():
            gauge = GaugeMetricFamily(name, text, labels=labels)
            gauge.add_metric((), told.gauges.get(name, 0))
            yield gauge
        for name, (text, labels, buckets) in _HISTOGRAMS.items():
            family = HistogramMetricFamily(name, text, labels=labels)
            for key, bar in told.histograms.get(name, {}).items():
                family.add_metric(_values(key, labels), _cumulative(bar.counts, buckets), bar.total)
            yield family


def _values(key: str, labels: Labels) -> list[str]:
    return key.split("\0") if labels else []


def _cumulative(counts: Sequence[int], buckets: Sequence[float]) -> list[tuple[str, float]]:
    told, running = [], 0
    for edge, count in zip([*map(str, buckets), "+Inf"], counts, strict=True):
        running += count
        told.append((edge, float(running)))
    return told
