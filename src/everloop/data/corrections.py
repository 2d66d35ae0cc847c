"""What clients say of answers, turned into annotations of the samples they were about."""

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from everloop.data.annotations import Annotation, annotation_id
from everloop.data.annotations import Kind as AnnotationKind
from everloop.data.feedback import Feedback
from everloop.data.store import DataStore
from everloop.errors import Refused
from everloop.ids import SampleId
from everloop.labels import Label, decode, encode

Becomes: TypeAlias = Literal["client", "person", "keep"]

_NEWEST = 5000
"""Statements whose answer is not in yet are looked for again, of the newest so many."""


def annotate(
    store: DataStore, accepts: Callable[[Label], str | None], kinds: Mapping[str, Becomes]
) -> int:
    """Annotate the samples of all labels and corrections that are not annotations yet.

    Safe to repeat, and in any order: a statement that came before its answer was collected is
    found again at the next call. `accepts`: why a label is none of the task's. `kinds`: what a
    `label` and a `correction` become. A statement that is no label of the task, and one by a
    model, stays what it is: feedback.
    """
    feedback = store.feedback
    labels: dict[str, tuple[Feedback, str, AnnotationKind]] = {}
    for said in feedback.history().values():
        kind = kinds.get(said.kind, "keep")
        if said.id in feedback.settled or kind == "keep" or said.by.startswith("model:"):
            continue
        label = _label(said, accepts)
        if label is not None:
            labels[said.id] = (said, label, kind)
    newest = list(labels.values())[-_NEWEST:]
    if not newest:
        return 0
    samples = store.predictions.samples_of([said.prediction for said, _, _ in newest])
    found = [
        (said, _annotation(said, label, samples[said.prediction], kind))
        for said, label, kind in newest
        if said.prediction in samples
    ]
    added = store.annotations.append([annotation for _, annotation in found])
    feedback.settled.update(said.id for said, _ in found)
    return added


def _label(said: Feedback, accepts: Callable[[Label], str | None]) -> str | None:
    """The label's own text; None when it is none of the task's."""
    try:
        label = decode(str(said.value))
    except Refused:
        return None
    return None if accepts(label) else encode(label)


def _annotation(said: Feedback, label: str, sample: SampleId, kind: AnnotationKind) -> Annotation:
    by, origin = said.by or "client", f"feedback:{said.id}"
    return Annotation(
        id=annotation_id(sample, label, by, origin),
        sample=sample,
        label=label,
        by=by,
        kind=kind,
        confidence=None,
        at=said.at,
        origin=origin,
    )
