"""Reading a snapshot for training: whole, at random, in other processes, after a compaction."""

import pickle
from datetime import timedelta
from pathlib import Path

import lance
import numpy as np
import pytest
from tests.support.clock import at
from tests.support.pictures import bar, noise

from everloop.data.annotations import Annotation, annotation_id
from everloop.data.reading import SnapshotReader
from everloop.data.samples import NewSample
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.data.tabular import arrow_stream, polars_frame
from everloop.data.take import take
from everloop.errors import Refused
from everloop.ids import SampleId
from everloop_runtime.ids import sample_id
from everloop_runtime.images import ImageSpec

CLASSES = ("lying", "upright")
COUNT = 60


def filled(place: Path) -> SnapshotReader:
    """A reader of a snapshot of 60 bars, in several fragments."""
    store = DataStore(place)
    for first in range(0, COUNT, 20):
        pictures = {n: bar(n % 2 == 1, n) for n in range(first, first + 20)}
        store.samples.add(
            (NewSample(data, "", "s", "s") for data in pictures.values()),
            at(0),
            split=SplitRule(0.3),
        )
        store.annotations.append(
            [_label(sample_id(data), CLASSES[n % 2]) for n, data in pictures.items()]
        )
    return SnapshotReader.of(place, take(store, classes=CLASSES, now=at(1)).id, None)


def _label(sample: SampleId, label: str) -> Annotation:
    name = annotation_id(sample, label, "import:s", "s")
    return Annotation(name, sample, label, "import:s", "import", None, at(0), "s")


@pytest.fixture
def reader(tmp_path: Path) -> SnapshotReader:
    return filled(tmp_path)


def test_every_sample_comes_once_with_its_own_bytes_and_label(reader: SnapshotReader) -> None:
    examples = list(reader)
    assert len(examples) == len(reader) == COUNT
    assert [example.sample for example in examples] == sorted(e.sample for e in examples)
    expected = {sample_id(bar(n % 2 == 1, n)): CLASSES[n % 2] for n in range(COUNT)}
    assert {example.sample: example.label for example in examples} == expected
    assert all(sample_id(example.data) == example.sample for example in examples)
    stored = [example for batch in reader.batches(7, "stored") for example in batch]
    assert sorted(e.sample for e in stored) == [e.sample for e in examples]


def test_any_rows_come_in_the_order_asked_for(reader: SnapshotReader) -> None:
    names = reader.rows.column("sample").to_pylist()
    rows = [5, 59, 0, 5]
    assert [example.sample for example in reader.read(rows)] == [names[row] for row in rows]


def test_the_sides_share_no_sample_and_are_the_whole(reader: SnapshotReader) -> None:
    sides = [
        SnapshotReader(reader.location, reader.snapshot, side) for side in ("train", "holdout")
    ]
    train, held = ({example.sample for example in each} for each in sides)
    assert not train & held
    assert len(train) + len(held) == COUNT


def test_arrays_are_decoded_as_the_service_decodes(reader: SnapshotReader) -> None:
    spec = ImageSpec(16, 16, 1)
    batches = list(reader.arrays(spec, size=16))
    pixels = np.concatenate([part for part, _ in batches])
    assert pixels.shape == (COUNT, 16, 16, 1)
    first = reader.read([0])[0]
    assert (pixels[0] == first.pixels(spec)).all()
    assert [label for _, labels in batches for label in labels] == (
        reader.rows.column("label").to_pylist()
    )


def test_a_reader_goes_on_after_its_table_was_rewritten(
    reader: SnapshotReader, tmp_path: Path
) -> None:
    before = reader.read(list(range(COUNT)))
    lance.dataset(str(tmp_path / "bytes.lance")).optimize.compact_files()
    assert reader.read(list(range(COUNT))) == before


def test_a_reader_that_was_pickled_reads_the_same(reader: SnapshotReader) -> None:
    first = reader.read([3])
    copy = pickle.loads(pickle.dumps(reader))  # noqa: S301 - our own bytes
    assert len(pickle.dumps(reader)) < 1_000
    assert copy.read([3]) == first


def test_a_sample_that_cannot_be_decoded_or_is_gone_is_named(
    reader: SnapshotReader, tmp_path: Path
) -> None:
    assert len(reader) == COUNT
    store = DataStore(tmp_path)
    broken = noise(1)[:40]
    store.samples.add([NewSample(broken, "", "s", "s")], at(0), split=SplitRule(0.3))
    store.annotations.append([_label(sample_id(broken), "lying")])
    more = SnapshotReader.of(tmp_path, take(store, classes=CLASSES, now=at(2)).id, None)
    with pytest.raises(Refused, match=f"sample {sample_id(broken)[:12]}"):
        list(more.arrays(ImageSpec(16, 16, 1)))
    gone = more.rows.column("sample")[0].as_py()
    table = lance.dataset(str(tmp_path / "bytes.lance"))
    table.delete(f"id = '{gone}'")
    with pytest.raises(Refused, match="not in the store"):
        SnapshotReader.of(tmp_path, more.snapshot, None).read([0])
    # One that is reading goes on with what it has open, until that is removed for good.
    table.optimize.compact_files(materialize_deletions_threshold=0.0)
    table.cleanup_old_versions(timedelta(0))
    with pytest.raises(Refused, match="not in the store"):
        more.read([0])


def test_a_sample_that_is_gone_stops_only_who_asks_for_it(
    reader: SnapshotReader, tmp_path: Path
) -> None:
    names = [example.sample for example in reader]
    lance.dataset(str(tmp_path / "bytes.lance")).delete(f"id = '{names[5]}'")
    again = SnapshotReader.of(tmp_path, reader.snapshot, None)
    # Others are looked up along with what is asked for, the one that is gone among them.
    for number in (0, 1, 2, 3, 4, 6, 7, 40):
        assert [example.sample for example in again.read([number])] == [names[number]]
    with pytest.raises(Refused, match="not in the store"):
        again.read([4, 5])


def test_as_an_arrow_stream_and_a_polars_frame(reader: SnapshotReader) -> None:
    table = arrow_stream(reader, size=25).read_all()
    assert table.select(reader.rows.column_names).equals(reader.rows)
    assert [sample_id(data) for data in table.column("data").to_pylist()] == (
        table.column("sample").to_pylist()
    )
    pytest.importorskip("polars", reason="the extra polars is not installed")
    frame = polars_frame(reader)
    assert frame.height == COUNT
    assert frame["sample"].to_list() == reader.rows.column("sample").to_pylist()
