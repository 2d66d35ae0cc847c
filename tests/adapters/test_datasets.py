"""A snapshot as a PyTorch data set and as a Ray Data source, through the real libraries."""

from pathlib import Path

import pytest
from tests.data.test_reading import CLASSES, COUNT, filled

from everloop.errors import Refused
from everloop_runtime.ids import sample_id
from everloop_runtime.images import ImageSpec

SPEC = ImageSpec(16, 16, 1)


def test_a_torch_loader_with_a_worker_gives_each_sample_once(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="the extra torch is not installed")
    from everloop.adapters.torch_dataset import SnapshotDataset

    reader = filled(tmp_path)
    dataset = SnapshotDataset(reader, SPEC, CLASSES)
    image, label = dataset[0]
    assert image.shape == (1, 16, 16)
    assert image.dtype == torch.float32
    assert 0 <= image.min() < image.max() <= 1
    assert CLASSES[label] == reader.rows.column("label")[0].as_py()
    assert (dataset[-1][0] == dataset[COUNT - 1][0]).all()
    with pytest.raises(IndexError):
        dataset[COUNT]
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=16, num_workers=1, multiprocessing_context="spawn"
    )
    batches = list(loader)
    assert [len(labels) for _, labels in batches] == [16, 16, 16, 12]
    expected = [CLASSES.index(label) for label in reader.rows.column("label").to_pylist()]
    assert torch.cat([labels for _, labels in batches]).tolist() == expected


def test_a_label_that_is_none_of_the_classes_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the extra torch is not installed")
    from everloop.adapters.torch_dataset import SnapshotDataset

    with pytest.raises(Refused, match="none of the classes"):
        SnapshotDataset(filled(tmp_path), SPEC, ["other"])[0]


def test_ray_reads_each_sample_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason="the extra ray is not installed")
    from everloop.adapters.ray_dataset import ray_dataset

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    reader = filled(tmp_path / "store")
    ray.init(
        num_cpus=1, include_dashboard=False, object_store_memory=80_000_000, log_to_driver=False
    )
    try:
        rows = ray_dataset(reader, tasks=3).take_all()
    finally:
        ray.shutdown()
    assert sorted(row["sample"] for row in rows) == reader.rows.column("sample").to_pylist()
    assert all(sample_id(row["data"]) == row["sample"] for row in rows)
