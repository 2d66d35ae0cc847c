"""What a round asks beside what teaches: the same again of others, and what is known already."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from everloop.action import Action
from everloop.ids import BundleId, LabelTaskId, SampleId
from everloop.labelling.doubts import doubts_of
from everloop.labelling.overlap import Row, with_known, with_second_looks
from everloop.loop.champion import latest_evaluation
from everloop.loop.project import Project
from everloop.loop.review import disputed
from everloop_runtime.answers.kind import Told
from everloop_runtime.bundle import open_bundle
from everloop_runtime.ids import digest_json


def with_checks(project: Project, action: Action, plan: Sequence[Row]) -> list[Row]:
    """A round's plan with second looks and gold questions, as the policy wants them."""
    policy = project.policy.labelling
    seed = int(digest_json(action.inputs)[:8], 16)
    looked = with_second_looks(plan, people=policy.overlap, share=policy.overlap_share, seed=seed)
    # Before there is a model no hold-out is known.
    if policy.gold_share and "bundle" in action.inputs:
        known = _known(project, BundleId(str(action.inputs["bundle"])), plan, seed)
        looked = with_known(looked, known, share=policy.gold_share, seed=seed)
    return list(looked)


def task_id(action: Action, row: Mapping[str, Any]) -> LabelTaskId:
    """The id of a planned task: the same plan names the same tasks."""
    named = {"round": action.key, "sample": row["sample"]}
    if row.get("copy"):
        named["copy"] = row["copy"]
    return LabelTaskId(digest_json(named))


def _known(project: Project, bundle: BundleId, plan: Sequence[Row], seed: int) -> list[Row]:
    """Hold-out samples whose label nothing speaks against, those asked about least often first.

    Each carries the bundle's answer as its offer, as other tasks do.
    """
    import numpy as np

    evaluation = latest_evaluation(project, bundle)
    if evaluation is None:
        return []
    told = open_bundle(project.layout.bundles / bundle).answers.tell(evaluation.values)
    offers = dict(zip(evaluation.samples, told, strict=True))
    task = project.declaration.task
    doubtful = {doubt.sample for doubt in doubts_of(evaluation, task.label_kind).rows}
    unsure = doubtful | {d.sample for d in disputed(project)} | {row["sample"] for row in plan}
    standing = project.data.annotations.standing(list(offers))
    able = [sample for sample in offers if sample not in unsure and sample in standing]
    asked = Counter(given.sample for given in project.answers.gold())
    order = np.random.default_rng([seed, 3]).permutation(len(able))
    drawn = sorted((able[n] for n in order), key=lambda sample: asked[sample])
    return [_row(sample, standing[sample].label, offers[sample]) for sample in drawn]


def _row(sample: SampleId, known: str, offer: Told) -> Row:
    return {
        "sample": sample,
        "purpose": "gold",
        "suggestion": offer.label,
        "confidence": offer.confidence,
        "known": known,
    }
