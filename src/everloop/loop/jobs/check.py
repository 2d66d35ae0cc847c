"""The check job: every sample that was never examined is, and what was found is kept."""

from collections.abc import Mapping

from everloop.data.checks.enough import Needs
from everloop.data.checks.inspect import Wanted, inspect
from everloop.data.examined import DecodingLimits
from everloop.ids import Json, SnapshotId
from everloop.loop.jobs.folder import JobFolder
from everloop_runtime.images import ImageLimits


def check(job: JobFolder) -> Mapping[str, Json]:
    """How many samples were looked at; the report is made from what the store knows then."""
    inputs = job.inputs
    pinned = inputs["snapshot"]
    wanted = Wanted(
        tuple(inputs["classes"]),
        Needs(*inputs["needs"]),
        DecodingLimits(ImageLimits(**inputs["limits"])),
        None if pinned is None else SnapshotId(pinned),
        inputs["from"],
    )
    return {"samples": inspect(job.data, wanted).samples}
