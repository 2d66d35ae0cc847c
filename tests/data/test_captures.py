"""Captured answers in the store: each once, in order, with the bytes they were about."""

from pathlib import Path

import pytest
from tests.support.clock import START, at
from tests.support.pictures import noise

from everloop.data.collect import collect
from everloop.data.pool import unlabelled
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.errors import Refused
from everloop.ids import BundleId, PredictionId
from everloop_runtime.capture import Captured, CaptureWriter, sealed_segments
from everloop_runtime.ids import sample_id

BUNDLE = BundleId("b" * 64)


def _segment(folder: Path, numbers: range, *, failing: int | None = None) -> Path:
    writer = CaptureWriter(folder)
    for n in numbers:
        image = noise(n % 50)
        bad = n == failing
        writer.append(
            Captured(
                prediction=PredictionId(f"p{n}"),
                sample=sample_id(image),
                bundle=BUNDLE,
                role="champion",
                key="k'; DROP",
                at=START.timestamp() + n,
                latency_ms=float(n),
                status="error" if bad else "ok",
                error="it broke" if bad else None,
                label=None if bad else "1",
                confidence=None if bad else 0.5 + n / 1000,
                probabilities=() if bad else (0.25, 0.75),
                embedding=() if bad else (float(n), 1.0),
                image=image,
            )
        )
    writer.close()
    return sealed_segments(folder)[-1]


def test_collected_twice_it_is_there_once(tmp_path: Path) -> None:
    store, segment = DataStore(tmp_path / "s"), _segment(tmp_path / "c", range(30), failing=7)
    first = collect(store, segment, now=at(0), split=SplitRule(0.2))
    again = collect(DataStore(tmp_path / "s"), segment, now=at(9), split=SplitRule(0.2))
    assert (first.predictions, first.samples, first.errors) == (30, 30, 1)
    assert (again.predictions, again.samples) == (0, 0)
    assert store.predictions.count(BUNDLE) == 29
    found = store.predictions.get(PredictionId("p3"))
    assert found is not None
    assert store.samples.read([found["sample"]]) == [noise(3)]
    assert store.predictions.get(PredictionId("' OR 1=1 --")) is None


def test_windows_follow_the_order_of_the_answers(tmp_path: Path) -> None:
    store = DataStore(tmp_path / "s")
    for start in (0, 10, 20):
        segment = _segment(tmp_path / "c", range(start, start + 10))
        collect(store, segment, now=at(0), split=SplitRule(0.2))
    window = store.predictions.window(BUNDLE, 8, 6)
    assert window.ids == tuple(f"p{n}" for n in range(8, 14))
    assert window.embeddings[:, 0].tolist() == [8, 9, 10, 11, 12, 13]
    assert window.values.shape == (6, 2)
    assert store.predictions.total() == 30
    assert store.predictions.from_row(28, 9).column("id").to_pylist() == ["p28", "p29"]


def test_a_damaged_segment_brings_nothing_in(tmp_path: Path) -> None:
    store, segment = DataStore(tmp_path / "s"), _segment(tmp_path / "c", range(5))
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    with pytest.raises(Refused, match="damaged at byte"):
        collect(store, segment, now=at(0), split=SplitRule(0.2))
    assert store.samples.count() == 0
    assert store.predictions.count(BUNDLE) == 0


def test_the_pool_has_each_unlabelled_sample_once(tmp_path: Path) -> None:
    from tests.data.test_data import _label

    store = DataStore(tmp_path / "s")
    collect(store, _segment(tmp_path / "c", range(100)), now=at(0), split=SplitRule(0.2))
    store.annotations.append([_label(sample_id(noise(4)), "1", "ann", "person", 1)])
    pool = unlabelled(store, BUNDLE, start=0, most=1000)
    assert len(pool.samples) == len(set(pool.samples)) == 49
    assert sample_id(noise(4)) not in pool.samples
    assert pool.embeddings.shape == (49, 2)
    places = store.samples.places(pool.samples)
    assert list(pool.sides) == [places[s].side for s in pool.samples]
