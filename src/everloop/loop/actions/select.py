"""Choose the samples worth a person's time and make label tasks of them."""

from collections.abc import Sequence

from everloop.action import Action, Outcome
from everloop.data.pool import Pool, unlabelled
from everloop.ids import BundleId, LabelTaskId, SampleId
from everloop.labelling.select import choose, draw
from everloop.loop.project import Project, Turn
from everloop.state.label_queue import LabelTask, Purpose
from everloop_runtime.bundle import open_bundle
from everloop_runtime.ids import digest_json

_POOL = 5000
"""The newest captured samples that are looked at."""


def select(project: Project, turn: Turn, action: Action) -> Outcome:
    """A round of label tasks, each with the champion's answer offered.

    To teach: part of the round is drawn at random from the hold-out's side, so that evaluation
    follows the world without bias; the rest is what teaches most. To audit: all are drawn at
    random.
    """
    if made := sum(project.queue.counts(action.key).values()):
        return Outcome(final=True, result={"tasks": made})
    bundle = BundleId(str(action.inputs["bundle"]))
    pool = unlabelled(project.data, bundle, start=_harm_began(project, action), most=_POOL)
    chosen = _choose(project, action, pool)
    classes = open_bundle(project.layout.bundles / bundle).manifest.classes
    offers = dict(zip(pool.samples, pool.probabilities, strict=True))

    def task(sample: SampleId, purpose: Purpose) -> LabelTask:
        best = int(offers[sample].argmax())
        return LabelTask(
            id=LabelTaskId(digest_json({"round": action.key, "sample": sample})),
            sample=sample,
            round=action.key,
            purpose=purpose,
            suggestion=classes[best],
            suggested_by=bundle,
            suggestion_confidence=float(offers[sample][best]),
            created_at=turn.now,
        )

    tasks = [task(sample, purpose) for purpose, samples in chosen for sample in samples]
    project.queue.add(tasks, turn.fence)
    return Outcome(final=True, result={purpose: len(samples) for purpose, samples in chosen})


def _choose(
    project: Project, action: Action, pool: Pool
) -> list[tuple[Purpose, Sequence[SampleId]]]:
    policy = project.policy.labelling
    budget = int(str(action.inputs["budget"]))
    seed = int(digest_json(action.inputs)[:8], 16)
    if action.inputs["purpose"] == "audit":
        return [("audit", draw(pool, budget, seed))]
    holdout = round(budget * policy.holdout_share)
    chosen = choose(
        pool,
        budget=budget - holdout,
        holdout_budget=holdout,
        seed=seed,
        strategy=policy.strategy,
    )
    return [("train", chosen.train), ("holdout", chosen.holdout)]


def _harm_began(project: Project, action: Action) -> int:
    """Index of the first answer of the harmful windows that led to this round."""
    monitor = project.policy.monitor
    first = int(str(action.inputs["window"])) - monitor.confirm + 1
    return max(first, 0) * monitor.window
