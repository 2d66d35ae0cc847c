"""What clients say of answers, turned into annotations of the samples they were about."""

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from everloop.data.annotations import Annotation, annotation_id
from everloop.data.feedback import Feedback, Followed
from everloop.data.store import DataStore
from everloop.errors import Refused
from everloop.ids import PredictionId, SampleId
from everloop.labels import Label, decode, encode

Becomes: TypeAlias = Literal["client", "person", "keep"]

_NEWEST = 5000
"""Of the statements whose answer is not in yet, so many are waited for."""


def annotate(
    store: DataStore, accepts: Callable[[Label], str | None], kinds: Mapping[str, Becomes]
) -> int:
    """Annotate the samples of all labels and corrections that are not annotations yet.

    Safe to repeat, and in any order: a statement that came before its answer was collected is
    found again when the answer comes. `accepts`: why a label is none of the task's. `kinds`: what
    a `label` and a `correction` become. A statement that is no label of the task, and one by a
    model, stays what it is: feedback. Within a process each statement is looked at once, and
    those that wait for an answer are looked for among the new answers only.
    """
    feedback, answers = store.feedback, store.predictions
    followed = feedback.followed
    rules = (dict(kinds), feedback.moves(), answers.moves())
    if followed.rules != rules:
        followed = Followed(rules)
    # Counted first: an answer that comes meanwhile is looked at by the next call.
    came = answers.total()
    samples: dict[PredictionId, SampleId] = {}
    if followed.waiting:
        samples.update(answers.samples_since(followed.answers, came - followed.answers))
    new = feedback.since(followed.statements)
    teaching = [said for said in new if _teaches(said, accepts, kinds)]
    samples.update(answers.samples_of([said.prediction for said in teaching]))
    told = [*followed.waiting, *teaching]
    added = store.annotations.append(
        [
            _annotation(said, samples[said.prediction], kinds)
            for said in told
            if said.prediction in samples
        ]
    )
    waiting = [said for said in told if said.prediction not in samples][-_NEWEST:]
    feedback.followed = Followed(rules, followed.statements + len(new), came, waiting)
    return added


def _teaches(
    said: Feedback, accepts: Callable[[Label], str | None], kinds: Mapping[str, Becomes]
) -> bool:
    if kinds.get(said.kind, "keep") == "keep" or said.by.startswith("model:"):
        return False
    try:
        return not accepts(decode(str(said.value)))
    except Refused:
        return False


def _annotation(said: Feedback, sample: SampleId, kinds: Mapping[str, Becomes]) -> Annotation:
    by, origin = said.by or "client", f"feedback:{said.id}"
    label = encode(decode(str(said.value)))
    return Annotation(
        id=annotation_id(sample, label, by, origin),
        sample=sample,
        label=label,
        by=by,
        kind="person" if kinds[said.kind] == "person" else "client",
        confidence=None,
        at=said.at,
        origin=origin,
    )
