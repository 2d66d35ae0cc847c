"""The filter job: renditions of samples, made by the privacy filters, stored as they come."""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from everloop.data.owner import owner_only
from everloop.data.renditions import NewRendition
from everloop.data.samples import Samples
from everloop.errors import Refused
from everloop.ids import Json, PolicyVersion, SampleId
from everloop.loop.jobs.folder import JobFolder
from everloop.loop.jobs.rendering import MakeRenderer
from everloop.policy import PrivacyPolicy
from everloop.privacy.render import Rendition
from everloop.privacy.rules import rules_in_force
from everloop.privacy.workers import FilterWorkers
from everloop.training.project_code import fingerprint

_READ_AT_ONCE = 16
_LIGHT = 1000
_KEEP_SECONDS = 5.0
"""A job that is killed loses at most the work of this long."""


def filter_samples(job: JobFolder) -> Mapping[str, Json]:
    """How many samples have a rendition now, and how many of them are held back.

    What an earlier start of the same job (or another job) has made stays and is not made again.
    """
    inputs = job.inputs
    version, samples = PolicyVersion(inputs["version"]), inputs["samples"]
    policy = PrivacyPolicy.model_validate(inputs["privacy"])
    code = inputs["code"] if inputs["moderates"] else None
    _check(job, policy, version, code)
    store = job.data
    known = store.renditions.of(samples, version)
    missing = [sample for sample in samples if sample not in known]
    if missing:
        make = MakeRenderer(
            inputs["privacy"],
            inputs["limits"],
            job.layout.project if inputs["moderates"] else None,
        )
        patience = policy.patience.total_seconds()
        # Without a detector a picture takes milliseconds: more workers take longer to start.
        each = _LIGHT if policy.filters == ("metadata",) else 1
        count = min(policy.workers, math.ceil(len(missing) / each))
        with FilterWorkers(make, workers=count, patience=patience) as workers:
            done = workers.render(_originals(store.samples, missing))
            for batch in _batches(done):
                store.renditions.add(
                    [_new(sample, version, made) for sample, made in batch], datetime.now(UTC)
                )
    made = store.renditions.of(samples, version)
    held = sum(1 for facts in made.values() if facts.held is not None)
    return {"samples": len(made), "held": held}


def _check(job: JobFolder, policy: PrivacyPolicy, version: PolicyVersion, code: str | None) -> None:
    """What runs here must be what the version names: no other code, model or setting."""
    if code is not None and fingerprint(job.layout.project) != code:
        raise Refused("the project's code changed after this filtering was decided")
    rules = rules_in_force(policy, job.layout.project, code)
    if rules.version != version:
        raise Refused(rules.closed or "the privacy rules changed after this was decided")


def _originals(samples: Samples, ids: list[SampleId]) -> Iterator[tuple[SampleId, bytes]]:
    for start in range(0, len(ids), _READ_AT_ONCE):
        part = ids[start : start + _READ_AT_ONCE]
        yield from zip(part, owner_only(samples, part), strict=True)


def _batches(
    done: Iterator[tuple[SampleId, Rendition]],
) -> Iterator[list[tuple[SampleId, Rendition]]]:
    batch: list[tuple[SampleId, Rendition]] = []
    since = time.monotonic()
    for item in done:
        batch.append(item)
        if time.monotonic() - since >= _KEEP_SECONDS:
            yield batch
            batch, since = [], time.monotonic()
    if batch:
        yield batch


def _new(sample: SampleId, version: PolicyVersion, made: Rendition) -> NewRendition:
    return NewRendition(
        sample=sample,
        version=version,
        data=made.data,
        format=made.format,
        width=made.width,
        height=made.height,
        regions=[asdict(region) for region in made.regions],
        held=made.held,
    )
