"""Likely label errors of a product: of the hold-out by a bundle that never saw it, of the training
side by folds over what a bundle sees in its samples."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.data.training_data import read_side
from everloop.errors import Refused
from everloop.evaluation.evaluate import check_made_for, load
from everloop.ids import BundleId, Json, SampleId
from everloop.labelling.doubts import UNSEEN, Doubt, Doubts, doubtful, doubts_of
from everloop.labels import LabelKind
from everloop.loop.cards import latest
from everloop.loop.champion import judging_bundle
from everloop.loop.project import Project
from everloop.loop.review import decisions
from everloop.tasks.task import learnable
from everloop_runtime.admission import Admission, admit
from everloop_runtime.files import write_atomic
from everloop_runtime.ids import canonical_json
from everloop_runtime.model import Model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOLDED = (
    "5 folds of logistic regression over the embeddings of a model that has learnt from these very "
    "labels: errors that it has learnt by heart are not found"
)
"""How probabilities of training samples come about; nothing that is unseen is claimed of them."""
_FOLDS = 5
_LOOSE = 0.1
"""Strongly regularised: a fit that follows wrong labels finds fewer of them."""
_MOST = 20_000
"""Training samples that are looked through at most."""
_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Suspected:
    """What waits for somebody to look at it."""

    bundle: BundleId | None
    """Whose answers on the hold-out were looked at; None before any was evaluated."""
    share: float | None
    """The estimated share of wrong labels in its hold-out."""
    how: Mapping[str, str]
    """By side, what the doubts rest on."""
    rows: tuple[Doubt, ...]
    """Those that nobody has decided about, the likeliest errors first."""

    def as_json(self) -> dict[str, Json]:
        """All of it by name."""
        return {
            "bundle": self.bundle,
            "estimated_share_wrong": self.share,
            "how": dict(self.how),
            "doubts": [doubt.as_json() for doubt in self.rows],
        }


def suspected(project: Project) -> Suspected:
    """The likely label errors that are open: the label stands, and no adjudicator decided it."""
    kind = project.declaration.task.label_kind
    bundle = judging_bundle(project)
    result = None if bundle is None else latest(project, "evaluate", bundle=bundle)
    held = Doubts(None, ())
    if result is not None:
        held = _of_evaluation(project.layout.evaluations, str(result["evaluation"]), kind)
    trained = _looked_through(project)
    rows = (*held.rows, *trained)
    decided = decisions(project)
    standing = project.data.annotations.standing([doubt.sample for doubt in rows])
    open_rows = [
        doubt
        for doubt in rows
        if doubt.sample in standing
        and doubt.sample not in decided
        and doubt.given in ("", standing[doubt.sample].label)
    ]
    how = {"holdout": UNSEEN} if held.rows else {}
    how |= {"train": FOLDED} if trained else {}
    ordered = sorted(open_rows, key=lambda doubt: (doubt.margin, doubt.sample))
    return Suspected(bundle, held.share, how, tuple(ordered))


@lru_cache(4)
def _of_evaluation(folder: Path, digest: str, kind: LabelKind) -> Doubts:
    try:
        return doubts_of(load(folder, digest), kind)
    except Refused:
        # It was removed, or another version wrote it: nothing is known, and nothing is claimed.
        return Doubts(None, ())


def look_through_training(project: Project, now: datetime) -> int:
    """Look for label errors among the training samples; they are told by `suspected` from then on.

    Returns how many labels were looked at, at most 20,000. Raises `Refused` for kinds of label
    other than one class, and before any bundle was evaluated.
    """
    task = learnable(project.declaration.task)
    bundle = judging_bundle(project)
    if task.label_kind != "class":
        raise Refused(
            "training labels are looked through where each is one class; "
            f"here a label is {task.label_kind}"
        )
    if bundle is None:
        raise Refused("no bundle was evaluated yet; everloop train and everloop evaluate make one")
    model = Model.load(admit(project.layout.bundles / bundle, bundle, Admission()))
    manifest = model.bundle.manifest
    check_made_for(manifest, task)
    snapshot = project.data.snapshots.find(str(manifest.lineage["snapshot"]))
    side = read_side(project.data, snapshot, "train", task=task, spec=manifest.spec)
    import numpy as np

    count = len(side)
    rows = np.sort(np.random.default_rng(0).permutation(count)[:_MOST])
    seen = model.predict(side.inputs[rows]).embeddings
    samples = [side.samples[row] for row in rows]
    texts = [side.texts[row] for row in rows]
    values = out_of_fold(seen, np.asarray(side.targets)[rows], len(task.classes))
    found = doubtful(samples, texts, task.classes, values, "train")
    told: dict[str, Json] = {
        "bundle": bundle,
        "snapshot": snapshot.id,
        "made_at": now.isoformat(),
        "looked_at": len(rows),
        "estimated_share_wrong": found.share,
        "rows": [doubt.as_json() for doubt in found.rows[:_KEPT]],
    }
    write_atomic(project.layout.label_doubts, canonical_json(told))
    return len(rows)


def out_of_fold(
    embeddings: "NDArray[np.floating[Any]]", given: "NDArray[np.integer[Any]]", classes: int
) -> "NDArray[np.float64]":
    """Class probabilities `[N, classes]` of samples, each by a logistic regression that has not
    seen its label.

    `embeddings`: `[N, D]`; `given`: class indices `[N]`. Samples that no fold can judge are NaN.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import KFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    found = np.full((len(given), classes), np.nan)
    if len(given) < _FOLDS:
        return found
    for learn, judge in KFold(_FOLDS, shuffle=True, random_state=0).split(embeddings):
        if len(np.unique(given[learn])) > 1:
            fitted = make_pipeline(StandardScaler(), LogisticRegression(C=_LOOSE, max_iter=300))
            fitted.fit(embeddings[learn], given[learn])
            found[judge] = 0.0
            found[np.ix_(judge, fitted.classes_)] = fitted.predict_proba(embeddings[judge])
    return found


def drop_doubts(project: Project, samples: Collection[SampleId]) -> int:
    """Take what is kept about samples out of what was found; how many lines that were."""
    try:
        told = json.loads(project.layout.label_doubts.read_bytes())
    except FileNotFoundError:
        return 0
    kept = [row for row in told["rows"] if row["sample"] not in samples]
    dropped = len(told["rows"]) - len(kept)
    if dropped:
        write_atomic(project.layout.label_doubts, canonical_json({**told, "rows": kept}))
    return dropped


def _looked_through(project: Project) -> tuple[Doubt, ...]:
    try:
        told = json.loads(project.layout.label_doubts.read_bytes())
    except FileNotFoundError:
        return ()
    return tuple(Doubt(**row) for row in told["rows"])
