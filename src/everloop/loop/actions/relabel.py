"""Ask people again about samples of an older snapshot."""

from everloop.action import Action, Outcome
from everloop.errors import Refused
from everloop.ids import SampleId, SnapshotId
from everloop.labelling.overlap import Row, with_second_looks
from everloop.loop.actions.jobs import POLL
from everloop.loop.campaigns import round_of
from everloop.loop.clearing import clear
from everloop.loop.label_checks import task_id
from everloop.loop.project import Project, Turn
from everloop.state.label_queue import LabelTask
from everloop_runtime.ids import digest_json


def relabel(project: Project, turn: Turn, action: Action) -> Outcome:
    """A campaign's label tasks, without an offer: what was said before shall not lead anybody.

    What the privacy gate holds back is left out. `Refused` when no sample of the snapshot fits.
    """
    name = round_of(str(action.inputs["campaign"]))
    if made := sum(project.queue.counts(name).values()):
        return Outcome(final=True, result={"tasks": made})
    plan = _plan(project, action)
    if not plan:
        raise Refused("no sample of the snapshot is of that kind; everloop data show tells")
    judged = clear(project, turn, list(dict.fromkeys(SampleId(str(r["sample"])) for r in plan)))
    if judged is None:
        return Outcome(final=False, delay=POLL)
    tasks = [
        LabelTask(
            id=task_id(action, row),
            cleared=judged.cleared[SampleId(str(row["sample"]))],
            round=name,
            purpose="holdout" if row["purpose"] == "holdout" else "train",
            suggestion=None,
            suggested_by=None,
            suggestion_confidence=None,
            created_at=turn.now,
        )
        for row in plan
        if row["sample"] in judged.cleared
    ]
    project.queue.add(tasks, turn.fence)
    return Outcome(final=True, result={"tasks": len(tasks), "held": len(plan) - len(tasks)})


def _plan(project: Project, action: Action) -> list[Row]:
    """The campaign's samples, drawn at random where there are more than it may have."""
    import numpy as np
    import pyarrow.compute as pc

    which, policy = action.inputs["which"], project.policy.labelling
    assert isinstance(which, dict)  # noqa: S101 - `kinds.relabel` made it
    rows = project.data.snapshots.open(SnapshotId(str(action.inputs["snapshot"]))).rows
    for column, value in which.items():
        rows = rows.filter(pc.equal(rows.column(column), str(value)))
    seed = int(digest_json(action.inputs)[:8], 16)
    order = np.random.default_rng(seed).permutation(rows.num_rows)
    drawn = sorted(order[: int(str(action.inputs["most"]))].tolist())
    chosen = rows.take(drawn)
    plan = [
        {"sample": sample, "purpose": side}
        for sample, side in zip(
            chosen.column("sample").to_pylist(), chosen.column("side").to_pylist(), strict=True
        )
    ]
    return with_second_looks(plan, people=policy.overlap, share=policy.overlap_share, seed=seed)
