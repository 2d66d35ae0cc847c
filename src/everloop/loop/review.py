"""What waits for an adjudicator, what they decide, and the whole history of a sample's labels."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from everloop.data.annotations import Annotation
from everloop.errors import Refused
from everloop.ids import AnnotationId, Json, LabelTaskId, SampleId
from everloop.labelling.agreement import agree
from everloop.labelling.disputes import Dispute, disputes
from everloop.labels import decode, encode
from everloop.loop.label_rounds import parts_of
from everloop.loop.project import Project
from everloop.state.resolutions import Resolution

DISPUTED = "people disagree about its label"
"""Why a sample is left out of snapshots until somebody decides."""
_RANKS = {"person": 0, "client": 1, "import": 2, "accepted": 3}


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that was said of a sample."""

    at: datetime
    label: str | None
    """None: a task was put aside."""
    by: str
    kind: str
    """Of an annotation `person`, `client`, `import`, `accepted` or `model`; `answer` to a task that
    is not recorded yet, `gold`, or `skipped`."""
    origin: str
    """The task, source or decision it comes from."""
    told: str
    """Why, where somebody said so."""
    stands: bool = False

    def as_json(self) -> dict[str, Json]:
        """All fields by name."""
        return {**asdict(self), "at": self.at.isoformat()}


def disputed(project: Project) -> tuple[Dispute, ...]:
    """The samples on which people disagree and nobody has decided since."""
    decided = decisions(project)
    differing = {name: part.disputed for name, part in parts_of(project).items() if part.disputed}
    found = disputes(project.answers.about(differing), project.policy.labelling.same_object)
    return tuple(
        dispute
        for dispute in found
        if (said := decided.get(dispute.sample)) is None or _is_open_again(project, dispute, said)
    )


def _is_open_again(project: Project, dispute: Dispute, decided: Resolution) -> bool:
    """Whether somebody disagreed with a decision after it was made."""
    label, same_object = decode(decided.label), project.policy.labelling.same_object
    later = [decode(given.label or "") for given in dispute.answers if given.at > decided.at]
    return any(not agree(label, said, same_object) for said in later)


def decisions(project: Project) -> Mapping[SampleId, Resolution]:
    """What adjudicators decided of samples, where nobody has taken that back."""
    standing = project.resolutions.standing()
    return {sample: each for sample, each in standing.items() if each.why != "undo"}


def keep_out_disputed(project: Project, now: datetime) -> None:
    """Leave disputed samples out of snapshots, and let in those that were decided.

    Safe to repeat. What a person left out for another reason stays out.
    """
    exclusions = project.data.exclusions
    disagreed = {dispute.sample for dispute in disputed(project)}
    out = {sample for sample, why in exclusions.current().items() if why == DISPUTED}
    exclusions.leave_out(sorted(disagreed - out), DISPUTED, by="loop", now=now)
    exclusions.take_back(sorted(out - disagreed), by="loop", now=now)


def decide(
    project: Project, sample: SampleId, label: str, *, by: str, comment: str, now: datetime
) -> Resolution:
    """Decide what the label of a sample is; it is saved when this returns.

    Raises `Refused` for a label that is none of the task's, for an unknown sample, and where the
    policy wants four eyes and who decides is one of those who disagree.
    """
    if not project.data.samples.places([sample]):
        raise Refused(f"there is no sample {sample[:16]!r} in this product")
    given = decode(label)
    if lacks := project.declaration.task.accepts(given):
        raise Refused(lacks)
    dispute = next((each for each in disputed(project) if each.sample == sample), None)
    if dispute and project.policy.approval.four_eyes and by in {g.by for g in dispute.answers}:
        raise Refused(f"{by} is one of those who disagree about this sample: somebody else decides")
    return project.resolutions.record(
        sample,
        encode(given),
        why="correction" if dispute is None else "conflict",
        by=by,
        comment=comment,
        now=now,
    )


def undo(project: Project, sample: SampleId, *, by: str, now: datetime) -> Resolution:
    """Give a sample the label that it had before its present one was said.

    Nothing leaves the history: going back is a statement too, and undoing it states the other
    label again. What was decided waits to be decided anew. Raises `Refused` where the sample had
    no label before.
    """
    told = [*project.data.annotations.history(sample), *_on_the_way(project, sample)]
    standing = standing_of(told)
    if standing is None:
        raise Refused(f"sample {sample[:8]} has no label; there is nothing to undo")
    earlier = [each for each in told if each.id != standing.id and each.at <= standing.at]
    before = standing_of(earlier)
    if before is None:
        raise Refused(
            f"sample {sample[:8]} had no label before {standing.label!r}; "
            "everloop data exclude leaves it out"
        )
    comment = f"back from {standing.label!r} by {standing.by}"
    return project.resolutions.record(
        sample, before.label, why="undo", by=by, comment=comment[:500], now=now
    )


def _on_the_way(project: Project, sample: SampleId) -> list[Annotation]:
    """What was said of a sample and is no annotation yet, as one."""
    answers = (*project.queue.answered_unrecorded(), *project.resolutions.unrecorded())
    return [
        Annotation(
            AnnotationId(said.id),
            sample,
            said.label,
            said.by,
            "person" if said.confidence is None else "accepted",
            said.confidence,
            said.at,
            said.id,
        )
        for said in answers
        if said.sample == sample and said.purpose != "gold"
    ]


def standing_of(history: Sequence[Annotation]) -> Annotation | None:
    """The one that stands: a person's before a client's before an import's, then the latest."""
    counting = [(n, told) for n, told in enumerate(history) if told.kind in _RANKS]
    last = max(
        counting, key=lambda each: (-_RANKS[each[1].kind], each[1].at, each[0]), default=None
    )
    return None if last is None else last[1]


def history(project: Project, sample: SampleId) -> tuple[Event, ...]:
    """All that was ever said of a sample, oldest first: annotations, and answers that are none."""
    said = project.data.annotations.history(sample)
    standing = project.data.annotations.standing([sample]).get(sample)
    decided = {each.id: each for each in project.resolutions.of(sample)}
    events = [
        Event(
            told.at,
            told.label,
            told.by,
            told.kind,
            told.origin,
            _reason(decided.pop(LabelTaskId(told.origin), None)),
            standing is not None and told.id == standing.id,
        )
        for told in said
    ]
    recorded = {told.origin for told in said}
    events += [
        Event(each.at, each.label, each.by, "answer", each.id, _reason(each))
        for each in decided.values()
    ]
    for given in project.answers.of(sample):
        if given.task in recorded:
            continue
        kind = "skipped" if given.label is None else "gold" if given.known else "answer"
        events.append(Event(given.at, given.label, given.by, kind, given.task, given.reason or ""))
    return tuple(sorted(events, key=lambda event: event.at))


def _reason(decided: Resolution | None) -> str:
    if decided is None:
        return ""
    return f"{decided.why}: {decided.comment}" if decided.comment else decided.why
