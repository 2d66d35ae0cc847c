"""The one way into a job's process."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from everloop.errors import EverloopError
from everloop.ids import Json
from everloop.loop.jobs.batch import batch
from everloop.loop.jobs.check import check
from everloop.loop.jobs.evaluate import evaluate
from everloop.loop.jobs.filter import filter_samples
from everloop.loop.jobs.folder import JobFolder, OpenData, open_job
from everloop.loop.jobs.train import reproduce, train
from everloop.loop.jobs.tune import tune
from everloop.loop.jobs.verify import verify

JOBS: Mapping[str, Callable[[JobFolder], Mapping[str, Json]]] = {
    "train": train,
    "reproduce": reproduce,
    "tune": tune,
    "evaluate": evaluate,
    "verify": verify,
    "filter": filter_samples,
    "check": check,
    "batch": batch,
}


def run_job(path: Path, open_data: OpenData) -> int:
    """Run the job in `path`; its exit code is 0 when `result.json` was written."""
    job = open_job(path, open_data)
    try:
        result = JOBS[job.inputs["kind"]](job)
    except EverloopError as error:
        job.write("failure.json", {"error": str(error)})
        sys.stderr.write(f"{error}\n")
        return 1
    job.write("result.json", result)
    return 0
