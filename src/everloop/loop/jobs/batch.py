"""The batch job: every picture of a source answered by a bundle, on the node where this runs."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from everloop.batch.run import run_batch, usable_cores
from everloop.batch.sources import find_source
from everloop.batch.work import Runner
from everloop.ids import BundleId, Json
from everloop.loop.jobs.folder import JobFolder
from everloop_runtime.images import ImageLimits


def batch(job: JobFolder) -> Mapping[str, Json]:
    """What the batch did. Killed and run again, it goes on with the parts that are missing."""
    inputs = job.inputs
    runner = Runner(
        Path(inputs["path"]), BundleId(inputs["bundle"]), ImageLimits(**inputs["limits"])
    )
    source = find_source(inputs["source"], job.data)
    workers = inputs["workers"] or usable_cores()
    return {**asdict(run_batch(runner, source, Path(inputs["out"]), workers=workers))}
