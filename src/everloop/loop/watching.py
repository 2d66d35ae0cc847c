"""Bundles as they are watched: opened once in a process, and their answers made into sketches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.data.file_figures import Facts, file_facts, file_figures
from everloop.data.owner import owner_only
from everloop.errors import Refused, Unavailable
from everloop.ids import BundleId, SampleId
from everloop.loop.project import Project
from everloop.monitoring.inputs import input_figures
from everloop.monitoring.period import Limits
from everloop.monitoring.reference import Reference, read_reference
from everloop.monitoring.rehearsal import Rehearsal, read_rehearsal
from everloop.monitoring.sketch import Sketch, merged
from everloop.monitoring.watch import Watch
from everloop.tasks.task import learnable
from everloop_runtime.bundle import open_bundle
from everloop_runtime.capture import Captured
from everloop_runtime.samples import Spec, to_input

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_EMBEDDINGS = 4000
"""Of one segment, spread over it."""
_UNSEEN = "shadow"
"""The role whose answers nobody got: they are watched by the rollout."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A bundle, and what its inputs are."""

    watch: Watch
    spec: Spec


def watched(project: Project, bundle: BundleId) -> Watched:
    """A bundle as it is watched. `Refused` when its reference cannot be read."""
    reference, rehearsal, spec = _opened(project.layout.bundles / bundle)
    return Watched(Watch(reference, learnable(project.declaration.task), rehearsal), spec)


@lru_cache(maxsize=4)
def _opened(path: Path) -> tuple[Reference, Rehearsal | None, Spec]:
    # What a bundle holds is named by its id: it never changes.
    bundle = open_bundle(path)
    data = bundle.read("reference.npz")
    return read_reference(data), read_rehearsal(data), bundle.manifest.spec


def figures_of(
    project: Project, samples: Sequence[SampleId], spec: Spec
) -> "Mapping[str, NDArray[np.float32]]":
    """What is watched of some of the inputs of a window, spread over it."""
    most = project.policy.monitor.inputs
    chosen = list(dict.fromkeys(samples))
    chosen = chosen[:: max(1, len(chosen) // most)][:most] if most else []
    try:
        originals = owner_only(project.data.samples, chosen) if chosen else []
    except (Refused, Unavailable):
        # Some were forgotten meanwhile: the answers are still there to be judged.
        originals = []
    return _figures(originals, spec)


def sketch_segment(project: Project, segment: str, records: Sequence[Captured]) -> int:
    """Keep sketches of a segment's answers, one a bundle; how many answers are in them.

    Safe to repeat. A bundle that is not there any more is passed over.
    """
    answers: dict[BundleId, list[Captured]] = {}
    for record in records:
        if record.status == "ok" and record.role != _UNSEEN:
            answers.setdefault(record.bundle, []).append(record)
    kept = 0
    for bundle, given in answers.items():
        if not (project.layout.bundles / bundle).is_dir():
            continue
        of, most = watched(project, bundle), project.policy.monitor.inputs
        sketch = sketch_of(of, given, most)
        moments = [record.at for record in given]
        first, last = (datetime.fromtimestamp(at, UTC) for at in (min(moments), max(moments)))
        project.data.sketches.add(
            bundle, segment, sketch.packed(), answers=len(given), first=first, last=last
        )
        kept += len(given)
    return kept


def sketch_of(of: Watched, records: Sequence[Captured], most: int) -> Sketch:
    """The sketch of answered requests of one bundle; at most so many of their inputs are read.

    Of many answers not all embeddings are taken, which are most of the work.
    """
    step = max(1, len(records) // most) if most else len(records)
    looked_at = [record.image for record in records[::step]][:most]
    values = _matrix([record.probabilities for record in records])
    some = records[:: -(-len(records) // _EMBEDDINGS)]
    embeddings = _matrix([record.embedding for record in some])
    return of.watch.sketch(of.watch.see(values, embeddings, _figures(looked_at, of.spec)))


def _matrix(rows: Sequence[tuple[float, ...]]) -> "NDArray[np.float32]":
    import numpy as np

    # NumPy's own reading of nested tuples takes three times as long.
    flat = np.fromiter(chain.from_iterable(rows), np.float32, sum(map(len, rows)))
    return flat.reshape(len(rows), -1)


def _figures(originals: Sequence[bytes], spec: Spec) -> "Mapping[str, NDArray[np.float32]]":
    import numpy as np

    taken, facts = [], list[Facts]()
    for data in originals:
        try:
            taken.append(to_input(data, spec))
        except Refused:
            # It was answered once, under limits that may have been others.
            continue
        if told := file_facts(data, spec):
            facts.append(told)
    if not taken:
        return {}
    return {**input_figures(np.stack(taken), spec), **file_figures(facts)}


def limits_of(project: Project) -> Limits:
    """What the policy says of signals."""
    monitor = project.policy.monitor
    classes = tuple(project.declaration.task.classes)
    return Limits(monitor.false_alarm_rate, monitor.harm, classes)


def merge_sketches(parts: Sequence[bytes]) -> bytes:
    """Several sketches of one bundle as one."""
    return merged([Sketch.unpacked(part) for part in parts]).packed()
