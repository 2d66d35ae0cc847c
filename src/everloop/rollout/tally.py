"""Figures kept up to date from the captured answers: each row of the store is read once."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from everloop.data.store import DataStore
from everloop.ids import BundleId, PredictionId, SampleId
from everloop.rollout.figures import Beside, PairFigures, ServedFigures
from everloop.rollout.sequential.quantile import bucket
from everloop_runtime.routes import Role

if TYPE_CHECKING:
    import pyarrow as pa

_REMEMBERED = 50_000
"""Answers for which a label or an event may still come; older ones keep what came until then."""
_BY_DEGREE = ('{"value"', '{"boxes"')
"""Texts of labels that are near the truth rather than right or wrong: they are not compared."""
_SEVERAL = '{"classes"'
_KEPT = 20
"""Comparisons: a candidate's, a new champion's, and those of an experiment's variants."""
_CHUNK = 200_000


@dataclass(frozen=True, slots=True)
class Slice:
    """Which captured answers count: one bundle's, in some roles, over some time."""

    bundle: BundleId
    roles: frozenset[Role]
    since: datetime
    until: datetime | None = None


class _Served:
    """The answers of one slice so far."""

    def __init__(self, what: Slice) -> None:
        self.what = what
        self.requests = self.errors = 0
        self.confidence = 0.0
        self.latency: Counter[int] = Counter()
        self.answers: Counter[str] = Counter()
        self.given: dict[PredictionId, tuple[SampleId, str]] = {}
        self._settled = _Known()

    def take(self, rows: "pa.Table") -> None:
        for row in self._mine(rows).to_pylist():
            self.requests += 1
            if row["status"] != "ok":
                self.errors += 1
                continue
            self.latency[bucket(row["latency_ms"])] += 1
            self.confidence += min(max(row["confidence"] or 0.0, 0.0), 1.0)
            label = row["label"]
            if label is None or label.startswith(_BY_DEGREE):
                continue
            self.given[row["id"]] = (row["sample"], label)
            if not label.startswith(_SEVERAL):
                self.answers[label] += 1

    def _mine(self, rows: "pa.Table") -> "pa.Table":
        import pyarrow as pa
        import pyarrow.compute as pc

        what = self.what
        chosen = pc.and_(
            pc.equal(rows["bundle"], what.bundle),
            pc.is_in(rows["role"], value_set=pa.array(sorted(what.roles))),
        )
        chosen = pc.and_(chosen, pc.greater_equal(rows["at"], pa.scalar(what.since)))
        if what.until is not None:
            chosen = pc.and_(chosen, pc.less(rows["at"], pa.scalar(what.until)))
        return rows.filter(chosen)

    def oldest(self) -> "list[tuple[PredictionId, tuple[SampleId, str]]]":
        """The answers that are more than are remembered."""
        return list(islice(self.given.items(), max(0, len(self.given) - _REMEMBERED)))

    def settle(self, truth: "_Truth") -> None:
        """Forget the oldest answers, but not what became known of them.

        Dropped with it, events would be fewer for the side that answers more.
        """
        for prediction, (sample, label) in self.oldest():
            del self.given[prediction]
            self._settled.add(truth, prediction, sample, label)

    def figures(self, truth: "_Truth") -> ServedFigures:
        known = _Known(dict(self._settled.labelled), dict(self._settled.events))
        for prediction, (sample, label) in self.given.items():
            known.add(truth, prediction, sample, label)
        return ServedFigures(
            requests=self.requests,
            errors=self.errors,
            latency=dict(self.latency),
            answers=dict(self.answers),
            confidence=self.confidence,
            labelled=known.labelled,
            events=known.events,
        )


@dataclass(frozen=True, slots=True)
class _Truth:
    """What became known of answers: of one by its own id, or of its sample."""

    predictions: Mapping[PredictionId, str]
    samples: Mapping[SampleId, str]
    events: Mapping[PredictionId, Mapping[str, float]]
    caps: Mapping[str, float]

    def of(self, prediction: PredictionId, sample: SampleId) -> str | None:
        return self.predictions.get(prediction) or self.samples.get(sample)


@dataclass(slots=True)
class _Known:
    """What became known of some answers, in sum."""

    labelled: dict[str, tuple[int, int]] = field(default_factory=dict)
    events: dict[str, float] = field(default_factory=dict)

    def add(self, truth: _Truth, prediction: PredictionId, sample: SampleId, label: str) -> None:
        true = truth.of(prediction, sample)
        if true is not None:
            count, wrong = self.labelled.get(true, (0, 0))
            self.labelled[true] = (count + 1, wrong + (true != label))
        for name, value in truth.events.get(prediction, {}).items():
            earned = min(max(value, 0.0), truth.caps.get(name, value))
            self.events[name] = self.events.get(name, 0.0) + earned


class Tallies:
    """The comparisons under way; a new process counts anew from the store."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[Slice, Slice], _Tally] = {}

    def beside(
        self,
        data: DataStore,
        challenger: Slice,
        champion: Slice,
        caps: Mapping[str, float] = MappingProxyType({}),
    ) -> Beside:
        """The figures of two slices as they are now. `caps`: what one answer may earn of events."""
        key = (challenger, champion)
        if key not in self._tallies:
            while len(self._tallies) >= _KEPT:
                self._tallies.pop(next(iter(self._tallies)))
            self._tallies[key] = _Tally(challenger, champion)
        return self._tallies[key].beside(data, caps)


def _truth(data: DataStore, samples: Iterable[SampleId], caps: Mapping[str, float]) -> _Truth:
    standing = data.annotations.standing(list(set(samples)))
    return _Truth(
        data.feedback.labels(),
        {sample: said.label for sample, said in standing.items()},
        data.feedback.events(),
        caps,
    )


class _Tally:
    def __init__(self, challenger: Slice, champion: Slice) -> None:
        self._challenger, self._champion = _Served(challenger), _Served(champion)
        self._seen = 0
        self._known: tuple[object, ...] = ()
        self._beside = Beside()

    def beside(self, data: DataStore, caps: Mapping[str, float]) -> Beside:
        total = data.predictions.total()
        while self._seen < total:
            rows = data.predictions.from_row(self._seen, min(_CHUNK, total - self._seen))
            self._challenger.take(rows)
            self._champion.take(rows)
            self._seen += rows.num_rows or total
            self._settle(data, caps)
        known = (total, data.annotations.version, data.feedback.version)
        if known != self._known:
            self._known, self._beside = known, self._joined(data, caps)
        return self._beside

    def _settle(self, data: DataStore, caps: Mapping[str, float]) -> None:
        for side in (self._challenger, self._champion):
            if oldest := side.oldest():
                side.settle(_truth(data, [sample for _, (sample, _) in oldest], caps))

    def _joined(self, data: DataStore, caps: Mapping[str, float]) -> Beside:
        given = (*self._challenger.given.values(), *self._champion.given.values())
        truth = _truth(data, [sample for sample, _ in given], caps)
        return Beside(
            self._challenger.figures(truth), self._champion.figures(truth), self._pairs(truth)
        )

    def _pairs(self, truth: _Truth) -> PairFigures:
        counts: Counter[str] = Counter()
        for prediction, (sample, challenger) in self._challenger.given.items():
            other = self._champion.given.get(prediction)
            if other is None:
                continue
            champion = other[1]
            counts["pairs"] += 1
            counts["differ"] += challenger != champion
            true: Any = truth.of(prediction, sample)
            if true is not None:
                counts["labelled"] += 1
                counts["only_challenger_wrong"] += challenger != true == champion
                counts["only_champion_wrong"] += champion != true == challenger
        return PairFigures(**counts)
