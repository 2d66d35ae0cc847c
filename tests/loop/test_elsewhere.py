"""Batches and checks of data as jobs: what a cluster's nodes are sent."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from tests.data.test_reading import CLASSES, COUNT, filled
from tests.support.colours import PICTURES, make_colour_bundle

from everloop.data.store import DataStore
from everloop.layout import Layout
from everloop.loop.jobs.batch import batch
from everloop.loop.jobs.check import check
from everloop.loop.jobs.folder import JobFolder
from everloop.policy import StoragePolicy

LIMITS = {"max_bytes": 1_000_000, "max_pixels": 1_000_000}


def _job(folder: Path, inputs: dict[str, Any]) -> JobFolder:
    def data(layout: Layout, _storage: StoragePolicy) -> DataStore:
        return DataStore(layout.data)

    return JobFolder(folder, {"project": str(folder), "limits": LIMITS, **inputs}, data)


def test_a_batch_is_answered_by_a_job_and_once(tmp_path: Path) -> None:
    bundle = make_colour_bundle(tmp_path / "bundles")
    filled(Layout(tmp_path).data)
    for source, count in (("pictures", 6), ("store", COUNT)):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        for number, picture in enumerate(PICTURES[:6]):
            (tmp_path / "pictures" / f"{number}.png").write_bytes(picture)
        out = tmp_path / f"{source}.parquet"
        inputs = {
            "path": str(tmp_path / "bundles" / bundle),
            "bundle": bundle,
            "source": str(tmp_path / source) if source == "pictures" else source,
            "out": str(out),
            "workers": 1,
        }
        assert batch(_job(tmp_path, inputs)) == {"pictures": count, "failed": 0, "resumed": 0}
        assert pq.read_table(out).num_rows == count


def test_what_a_check_job_examined_is_known_to_the_store(tmp_path: Path) -> None:
    filled(Layout(tmp_path).data)
    told = {"classes": list(CLASSES), "needs": [1, 1, 1], "snapshot": None, "from": None}
    job = _job(tmp_path, told)
    samples = [sample for sample, _ in job.data.samples.all()]
    assert len(job.data.examinations.missing(samples)) == COUNT
    assert check(job) == {"samples": COUNT}
    assert not job.data.examinations.missing(samples)
