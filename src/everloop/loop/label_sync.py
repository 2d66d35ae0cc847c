"""Label tasks and answers carried between the queue and a labelling backend.

Safe to repeat, and to kill anywhere: what is there is looked at before anything is put there, and
each version of an answer is taken once.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from everloop.data.fit import in_shares
from everloop.errors import Conflict, Refused
from everloop.ids import Json
from everloop.labelling.backend import Backend, Pushed, Returned
from everloop.labels import BoxesLabel, Label, decode, encode, scaled
from everloop.loop.offers import size_of
from everloop.loop.project import Project
from everloop.state.label_queue import LabelTask

_SKIPPED = "skipped there"
_MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class Synced:
    """What one round of carrying did."""

    pushed: int
    withdrawn: int
    answers: int
    """Answers saved, changed ones among them."""
    skipped: int
    problems: tuple[str, ...]
    """Answers that were not taken, and why; the first twenty."""

    def as_json(self) -> dict[str, Json]:
        """All fields by name."""
        return {
            "pushed": self.pushed,
            "withdrawn": self.withdrawn,
            "answers": self.answers,
            "skipped": self.skipped,
            "problems": list(self.problems),
        }


def sync(project: Project, backend: Backend, *, most: int, now: datetime) -> Synced:
    """Take the new answers, then have at most `most` tasks wait there.

    Tasks that are there are leased to the backend as to a person: who does not carry for longer
    than `[labelling] lease` leaves them to others. What is not to be answered there any more (its
    lease went to somebody else, or another privacy policy is in force) is taken away, and so is
    what was forgotten here.
    """
    if project.declaration.task.modality != "image":
        raise Refused("only pictures are labelled there; everloop label export writes other tasks")
    took = pull(project, backend, now)
    tasks = project.queue.take(backend.name, now, project.policy.labelling.lease, most)
    held = {task.id: task for task in tasks}
    there = backend.there()
    stale = [
        each.name
        for task, each in there.items()
        # Of what was forgotten here nothing stays there, answered or not.
        if task not in held and not (each.is_answered and project.queue.is_known(task))
    ]
    backend.withdraw(stale)
    new = [_pushed(project, task) for task in tasks if task.id not in there]
    if new:
        backend.push(new)
    return replace(took, pushed=len(new), withdrawn=len(stale))


def pull(project: Project, backend: Backend, now: datetime) -> Synced:
    """Take the answers that are new there, and nothing else; each is taken once."""
    marks = project.backend_marks
    pulled = backend.pull(marks.cursor(backend.name))
    answers, skipped, problems = 0, 0, list[str]()
    for each in pulled.answers:
        if marks.is_taken(backend.name, each.name, each.version):
            continue
        try:
            if each.problem is not None:
                raise Refused(each.problem)
            _save(project, each, now)
        except (Refused, Conflict) as error:
            problems.append(f"answer {each.name} by {each.by}: {error}")
        else:
            answers += each.label is not None
            skipped += each.label is None
        # Answer before mark: one that is not saved may never be passed over.
        marks.take(backend.name, each.name, each.version)
    marks.move(backend.name, pulled.cursor)
    return Synced(0, 0, answers, skipped, tuple(problems[:_MOST_TOLD]))


def _save(project: Project, given: Returned, now: datetime) -> None:
    """Save an answer; one that was changed there supersedes what it said before.

    Raises `Conflict` where somebody else answered meanwhile.
    """
    known = project.answers.one(given.task)
    if known is not None and known.by != given.by:
        raise Conflict(f"{known.by} answered task {given.task[:8]} meanwhile")
    if given.label is None:
        project.queue.skip(given.task, _SKIPPED, given.by, now)
        return
    text = encode(_in_pixels(project, given, given.label))
    if why := project.declaration.task.accepts(decode(text)):
        raise Refused(why)
    if known is not None and known.label != text:
        project.queue.reopen(given.task, given.by, now, project.policy.labelling.lease)
    project.queue.answer(given.task, text, given.by, now)


def _pushed(project: Project, task: LabelTask) -> Pushed:
    proof = task.cleared
    facts = project.data.renditions.of([proof.sample], proof.version)[proof.sample]
    offered = None if task.suggestion is None else decode(task.suggestion)
    if isinstance(offered, BoxesLabel):
        offered = in_shares(offered, size_of(project, task.sample))
    return Pushed(
        task.id,
        project.data.renditions.read(proof.rendition),
        facts.format,
        facts.width,
        facts.height,
        offered,
        task.suggestion_confidence,
        task.suggested_by,
    )


def _in_pixels(project: Project, given: Returned, label: Label) -> Label:
    """Edges of boxes in pixels of the original, whatever size labellers saw."""
    if not isinstance(label, BoxesLabel):
        return label
    return scaled(label, *size_of(project, project.queue.sample_of(given.task)))
