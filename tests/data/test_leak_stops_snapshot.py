"""Near duplicates across training and hold-out stop the snapshot until one is left out."""

from pathlib import Path

import pytest
from tests.support.clock import at
from tests.support.scenes import jpeg, scene

from everloop.data.annotations import Annotation, annotation_id
from everloop.data.checks import leaks
from everloop.data.checks.leaks import near_duplicate_leaks
from everloop.data.examined import DecodingLimits
from everloop.data.samples import NewSample
from everloop.data.splits import Side, SplitRule
from everloop.data.store import DataStore
from everloop.data.take import Taken, take
from everloop.errors import Refused
from everloop_runtime.ids import sample_id
from everloop_runtime.images import ImageLimits

CLASSES = ("cat", "dog")


def _add(store: DataStore, pictures: list[bytes], side: Side, second: float) -> None:
    new = [NewSample(data, str(n), "s", "s", given_side=side) for n, data in enumerate(pictures)]
    added = store.samples.add(new, at(second), split=SplitRule(0.3))
    store.annotations.append(
        [
            Annotation(
                annotation_id(sample, CLASSES[n % 2], "ann", "o"), sample, CLASSES[n % 2],
                "ann", "person", None, at(second), "o",
            )
            for n, sample in enumerate(added)
        ]
    )  # fmt: skip


def _take(store: DataStore, second: float) -> Taken:
    check = near_duplicate_leaks(store, DecodingLimits(ImageLimits()))
    return take(store, classes=CLASSES, now=at(second), leaks=check)


@pytest.mark.parametrize("compared", [0, leaks._COMPARED])
def test_a_leak_stops_the_snapshot_until_one_of_the_two_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compared: int
) -> None:
    # With 0, what came is looked up as in a large store.
    monkeypatch.setattr(leaks, "_COMPARED", compared)
    store = DataStore(tmp_path)
    _add(store, [jpeg(scene(seed)) for seed in range(30)], "train", 0)
    _add(store, [jpeg(scene(seed)) for seed in range(50, 60)], "holdout", 1)
    first = _take(store, 2)
    assert (first.train, first.holdout) == (30, 10)
    _add(store, [jpeg(scene(7).resize((80, 80)), 60), jpeg(scene(77))], "holdout", 3)
    with pytest.raises(Refused, match=r"1 pairs of samples leak .*near duplicates"):
        _take(store, 4)
    assert [snapshot.id for snapshot in store.snapshots.list()] == [first.id]
    copy = sample_id(jpeg(scene(7).resize((80, 80)), 60))
    store.exclusions.leave_out([copy], "a copy", by="ann", now=at(5))
    assert _take(store, 6).holdout == 11


def test_copies_on_one_side_stop_nothing(tmp_path: Path) -> None:
    store = DataStore(tmp_path)
    pictures = [jpeg(scene(seed)) for seed in range(12)]
    _add(store, [*pictures, *(jpeg(scene(seed), 50) for seed in range(4))], "train", 0)
    _add(store, [jpeg(scene(90))], "holdout", 1)
    assert _take(store, 2).train == 16
