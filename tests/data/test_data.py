"""Samples, labels and snapshots: bytes kept as they are, sides fixed, nothing doubled."""

import multiprocessing
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.clock import at
from tests.support.pictures import bar, flat, noise

from everloop.data.annotations import Annotation, annotation_id
from everloop.data.ingest import IngestReport, IngestRules, ingest
from everloop.data.listing import list_now
from everloop.data.samples import NewSample
from everloop.data.snapshot_diff import diff
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.data.take import take
from everloop.data.training_data import read_side
from everloop.errors import Refused
from everloop.ids import SampleId
from everloop.tasks.image_classification import ImageClassification
from everloop_runtime.ids import sample_id
from everloop_runtime.images import ImageLimits, ImageSpec

CLASSES = ("lying", "upright")


@pytest.fixture
def store(tmp_path: Path) -> DataStore:
    return DataStore(tmp_path / "store")


def _write(folder: Path, count: int = 20, first: int = 0) -> Path:
    for number in range(first, first + count):
        label = CLASSES[number % 2]
        path = folder / label / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bar(label == "upright", number))
    return folder


def _ingest(store: DataStore, folder: Path, second: float = 0) -> IngestReport:
    return ingest(
        store,
        folder,
        source="data/labelled",
        rules=IngestRules(ImageClassification(CLASSES), ImageLimits(), SplitRule(0.25)),
        now=at(second),
    )


def test_bytes_come_back_as_they_were(store: DataStore, tmp_path: Path) -> None:
    folder = _write(tmp_path / "in")
    report = _ingest(store, folder)
    assert (report.added, report.known, report.labelled) == (20, 0, 20)
    files = sorted(folder.rglob("*.png"))
    ids = [sample_id(path.read_bytes()) for path in files]
    assert store.samples.read(ids) == [path.read_bytes() for path in files]
    with pytest.raises(Refused, match="1 samples are not in the store"):
        store.samples.read([SampleId("0" * 64)])


def test_the_same_source_twice_adds_nothing(store: DataStore, tmp_path: Path) -> None:
    folder = _write(tmp_path / "in")
    _ingest(store, folder)
    version = store.annotations.version
    again = _ingest(DataStore(tmp_path / "store"), folder, 100)
    assert (again.added, again.known, again.labelled) == (0, 20, 0)
    assert store.annotations.version == version


def test_what_is_bad_is_set_aside_with_its_reason_and_leaves_when_mended(
    store: DataStore, tmp_path: Path
) -> None:
    folder = _write(tmp_path / "in", 4)
    (folder / "upright" / "cut.png").write_bytes(flat(7)[:40])
    (folder / "upright" / "text.png").write_text("no picture")
    (folder / "upright" / "empty.png").write_bytes(b"")
    (folder / "sideways").mkdir()
    (folder / "sideways" / "1.png").write_bytes(flat(8))
    (folder / "lying" / "twice.png").write_bytes(bar(True, 1))
    (folder / "upright" / "link.png").symlink_to("/etc/passwd")
    (folder / "upright" / ("\udcff\n\x1b[31m.png")).write_bytes(b"x")
    report = _ingest(store, folder)
    assert report.added == 4
    reasons = {each.name: each.text for each in store.quarantine.standing()}
    assert len(reasons) == 6
    assert "'sideways' is no class of the task" in reasons["sideways/1.png"]
    assert "not one of the formats" in reasons["upright/text.png"]
    assert any("same picture is labelled" in reason for reason in reasons.values())
    assert all(name.isprintable() and name.isascii() for name in reasons)
    for path in (
        *folder.glob("sideways/*"),
        *folder.glob("upright/*"),
        *folder.glob("*/twice.png"),
    ):
        path.unlink()
    _ingest(store, folder)
    assert store.quarantine.standing() == ()
    assert store.samples.count() == 4


def test_a_listing_changes_exactly_when_the_folder_does(tmp_path: Path) -> None:
    folder = _write(tmp_path / "in", 4)
    first = list_now(folder).digest
    assert list_now(folder).digest == first
    (folder / "upright" / "1.png").write_bytes(flat(3))
    changed = list_now(folder).digest
    assert changed != first
    (folder / "README.md").write_text("a note")
    assert list_now(folder).digest == changed


def test_a_sample_never_changes_side(store: DataStore) -> None:
    pictures = [NewSample(noise(n), "", "s", "s") for n in range(60)]
    store.samples.add(pictures, at(0), split=SplitRule(0.3))
    before = {name: placed.side for name, placed in store.samples.all()}
    assert 5 < list(before.values()).count("holdout") < 35
    store.samples.add(pictures, at(1), split=SplitRule(0.9))
    assert {name: placed.side for name, placed in store.samples.all()} == before


def _append(arguments: tuple[str, int]) -> int:
    folder, process = arguments
    samples = DataStore(Path(folder)).samples
    for step in range(4):
        batch = [NewSample(noise(process * 1000 + step * 10 + n), "", "s", "s") for n in range(5)]
        samples.add([*batch, NewSample(flat(1), "", "s", "s")], at(0), split=SplitRule(0.2))
    return 20


def test_processes_that_add_at_once_lose_nothing(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        pool.map(_append, [(str(tmp_path), process) for process in range(3)])
    samples = DataStore(tmp_path).samples
    wanted = [
        sample_id(noise(p * 1000 + s * 10 + n))
        for p in range(3)
        for s in range(4)
        for n in range(5)
    ]
    assert {name for name, _ in samples.all()} == {*wanted, sample_id(flat(1))}
    assert [sample_id(data) for data in samples.read(wanted)] == wanted


def _label(sample: str, label: str, by: str, kind: str, second: float) -> Annotation:
    name = SampleId(sample)
    return Annotation(
        annotation_id(name, label, by, f"o{second}"),
        name,
        label,
        by,
        kind,  # type: ignore[arg-type]
        None,
        at(second),
        f"o{second}",
    )


def test_a_persons_word_stands_before_an_imports_and_models_never_count(store: DataStore) -> None:
    history = [
        _label("a", "lying", "import:x", "import", 5),
        _label("a", "upright", "ann", "person", 1),
        _label("a", "lying", "bundle", "model", 9),
        _label("b", "lying", "bundle", "model", 9),
        _label("c", "lying", "ann", "person", 1),
        _label("c", "upright", "bob", "person", 2),
    ]
    assert store.annotations.append(history) == 6
    assert store.annotations.append(history) == 0
    standing = {sample: a.label for sample, a in store.annotations.current().items()}
    assert standing == {"a": "upright", "c": "upright"}
    assert len(store.annotations.history()) == 6


def test_a_snapshot_is_named_by_what_it_pins_in_whatever_order_it_came(tmp_path: Path) -> None:
    ids = []
    for name, order in (("one", 1), ("two", -1)):
        store = DataStore(tmp_path / name)
        for number in list(range(6))[::order]:
            folder = _write(tmp_path / name / str(number), 1, number)
            _ingest(store, folder)
        ids.append(take(store, classes=CLASSES, now=at(order)).id)
    assert ids[0] == ids[1]


def test_a_snapshot_never_changes_and_tells_what_did(store: DataStore, tmp_path: Path) -> None:
    folder = _write(tmp_path / "in")
    _ingest(store, folder)
    old = take(store, classes=CLASSES, now=at(0))
    assert take(store, classes=CLASSES, now=at(5)).id == old.id
    rows = store.snapshots.open(old.id).rows
    _ingest(store, _write(folder, 5, 20))
    first = rows.column("sample")[0].as_py()
    was = rows.column("label")[0].as_py()
    mended = "lying" if was == "upright" else "upright"
    store.annotations.append([_label(first, mended, "ann", "person", 50)])
    new = take(store, classes=CLASSES, now=at(60))
    assert store.snapshots.open(old.id).rows.equals(rows)
    change = diff(store.snapshots, old.id, new.id)
    assert (len(change.added), change.removed) == (5, ())
    assert change.relabelled == ((first, was, mended, "ann"),)
    assert [s.id for s in store.snapshots.list()] == [old.id, new.id]
    assert store.snapshots.find(old.id[:10]).id == old.id
    for wrong in ("", "zz", "../../etc/passwd"):
        with pytest.raises(Refused):
            store.snapshots.find(wrong)


def test_training_reads_the_pixels_of_its_own_side_only(store: DataStore, tmp_path: Path) -> None:
    _ingest(store, _write(tmp_path / "in", 40))
    snapshot = store.snapshots.open(take(store, classes=CLASSES, now=at(0)).id)
    spec = ImageSpec(16, 16, 1)
    task = ImageClassification(classes=CLASSES, size=(16, 16), channels=1)
    train = read_side(store, snapshot, "train", task=task, spec=spec)
    held = read_side(store, snapshot, "holdout", task=task, spec=spec)
    assert not set(train.samples) & set(held.samples)
    assert len(train) + len(held) == 40
    images = train.images()
    assert images.shape == (len(train), 1, 16, 16)
    assert images.dtype == "float32"
    assert 0 <= images.min() < images.max() <= 1
    for row, label in enumerate(train.labels()):
        upright = images[row, 0].mean(axis=0).max() > images[row, 0].mean(axis=1).max()
        assert CLASSES[label] == ("upright" if upright else "lying")


@settings(max_examples=5, deadline=timedelta(seconds=5))
@given(st.sets(st.integers(0, 30), min_size=1))
def test_however_it_is_cut_into_batches_a_source_is_the_same(numbers: set[int]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        store = DataStore(Path(folder))
        for chunk in (sorted(numbers)[::2], sorted(numbers)):
            batch = (NewSample(noise(n), "", "s", "s") for n in chunk)
            store.samples.add(batch, at(0), split=SplitRule(0.2))
        assert {name for name, _ in store.samples.all()} == {sample_id(noise(n)) for n in numbers}
