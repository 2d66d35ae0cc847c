"""Choose the samples worth a person's time, have them cleared, and make label tasks of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from everloop.action import Action, Outcome
from everloop.data.pool import Pool, unanswered, unlabelled
from everloop.errors import Refused
from everloop.ids import BundleId, Json, SampleId
from everloop.labelling.overlap import Row
from everloop.labelling.select import choose, draw
from everloop.loop.actions.jobs import POLL
from everloop.loop.clearing import clear, open_gate
from everloop.loop.label_checks import task_id, with_checks
from everloop.loop.offers import in_pixels
from everloop.loop.project import Project, Turn
from everloop.state.clearances import Cleared
from everloop.state.label_queue import LabelTask, Purpose
from everloop.tasks.task import learnable
from everloop_runtime.answers.kind import Told
from everloop_runtime.bundle import open_bundle
from everloop_runtime.files import write_atomic
from everloop_runtime.ids import canonical_json, digest_json

_POOL = 5000
"""The newest captured samples that are looked at."""


def select(project: Project, turn: Turn, action: Action) -> Outcome:
    """A round of label tasks, each with the champion's answer offered.

    To teach: part of the round is drawn at random from the hold-out's side, so that evaluation
    follows the world without bias, and a small part at random to learn from; the rest is what
    teaches most. To audit: all are drawn at random. Or what somebody chose. What the privacy gate
    holds back is left out.
    """
    if made := sum(project.queue.counts(action.key).values()):
        return Outcome(final=True, result={"tasks": made})
    plan = _plan(project, action)
    judged = clear(project, turn, list(dict.fromkeys(SampleId(row["sample"]) for row in plan)))
    if judged is None:
        return Outcome(final=False, delay=POLL)
    tasks = [
        _task(action, turn, row, proof)
        for row in plan
        if (proof := judged.cleared.get(SampleId(row["sample"]))) is not None
    ]
    project.queue.add(tasks, turn.fence)
    counts: dict[str, Json] = {row["purpose"]: 0 for row in plan}
    for task in tasks:
        counts[task.purpose] = int(str(counts[task.purpose])) + 1
    return Outcome(final=True, result={**counts, "held": len(plan) - len(tasks)})


def _plan(project: Project, action: Action) -> Sequence[Mapping[str, Any]]:
    """The round's samples with what is offered for each.

    Written down when it is made: while the filters work, new answers come in, and the round must
    stay the one that is filtered.
    """
    path = project.layout.jobs / action.key / "plan.json"
    if not path.exists():
        plan = with_checks(project, action, _choose_and_offer(project, action))
        write_atomic(path, canonical_json(in_pixels(project, plan)))
    read: list[Mapping[str, Any]] = json.loads(path.read_bytes())
    return read


def _choose_and_offer(project: Project, action: Action) -> list[Row]:
    pool, offers = _pool(project, action)
    plan = list[Row]()
    for purpose, drawn, samples in _choose(project, action, pool):
        for sample in samples:
            told = offers.get(sample)
            offer: dict[str, Json] = {
                "sample": sample,
                "purpose": purpose,
                "drawn": drawn,
                "suggestion": None if told is None else told.label,
                "confidence": None if told is None else told.confidence,
            }
            plan.append(offer)
    return plan


def _pool(project: Project, action: Action) -> tuple[Pool, Mapping[SampleId, Told]]:
    """What may be asked about, and what the bundle answered of each."""
    import numpy as np

    held = {line.sample for line in project.clearances.list(open_gate(project), "held")}
    # Whoever skipped one said why nobody should be asked about it again.
    without = held | project.queue.skipped()
    if action.inputs["purpose"] == "begin":
        return unanswered(project.data, most=_POOL, seed=_seed(action), without=without), {}
    bundle = BundleId(str(action.inputs["bundle"]))
    began = _harm_began(project, action)
    pool = unlabelled(project.data, bundle, start=began, most=_POOL, without=without)
    kind = open_bundle(project.layout.bundles / bundle).answers
    # Captures keep the numbers of an answer in one row.
    values = np.reshape(np.asarray(pool.values, np.float32), (len(pool.samples), *kind.shape))
    told = kind.tell(values)
    return replace(pool, values=values), dict(zip(pool.samples, told, strict=True))


def _task(action: Action, turn: Turn, row: Mapping[str, Any], proof: Cleared) -> LabelTask:
    return LabelTask(
        id=task_id(action, row),
        cleared=proof,
        round=action.key,
        purpose=row["purpose"],
        # A second look at a sample is no second sample.
        drawn=bool(row.get("drawn")) and not row.get("copy"),
        suggestion=row["suggestion"],
        suggested_by=_bundle_of(action),
        suggestion_confidence=row["confidence"],
        created_at=turn.now,
        known=row.get("known"),
    )


def _choose(
    project: Project, action: Action, pool: Pool
) -> list[tuple[Purpose, bool, Sequence[SampleId]]]:
    """For each purpose, whether the samples were drawn at random, and which they are."""
    policy = project.policy.labelling
    budget = int(str(action.inputs["budget"]))
    seed = _seed(action)
    if action.inputs["purpose"] == "audit":
        return [("audit", True, draw(pool, budget, seed))]
    if action.inputs["purpose"] == "chosen":
        return [("train", False, _chosen(project, action))]
    holdout = round(budget * policy.holdout_share)
    chosen = choose(
        pool,
        learnable(project.declaration.task),
        budget=budget - holdout,
        holdout_budget=holdout,
        seed=seed,
        labels=project.data.labelled_counts().train,
        strategy=policy.strategy,
        random_share=policy.random_share,
    )
    taught: list[tuple[Purpose, bool, Sequence[SampleId]]] = [
        ("train", False, chosen.train),
        ("train", True, chosen.random),
    ]
    return [*taught, ("holdout", True, chosen.holdout)]


def _chosen(project: Project, action: Action) -> list[SampleId]:
    """What somebody chose, of the training side: hold-outs are drawn at random alone."""
    named = action.inputs["samples"]
    assert isinstance(named, list)  # noqa: S101 - `kinds.select_chosen` wrote it
    samples = [SampleId(str(name)) for name in named]
    places = project.data.samples.places(samples)
    free = [name for name in samples if name in places and places[name].side != "holdout"]
    if not free:
        raise Refused("none of them is there to learn from: hold-out samples are drawn at random")
    return free


def _bundle_of(action: Action) -> str | None:
    """Whose answers are offered; None before there is a model."""
    bundle = action.inputs.get("bundle")
    return None if bundle is None else str(bundle)


def _seed(action: Action) -> int:
    return int(digest_json(action.inputs)[:8], 16)


def _harm_began(project: Project, action: Action) -> int:
    """Index of the first answer of the harmful windows that led to this round, if they did."""
    if "window" not in action.inputs:
        return 0
    monitor = project.policy.monitor
    first = int(str(action.inputs["window"])) - monitor.confirm + 1
    return max(first, 0) * monitor.window
