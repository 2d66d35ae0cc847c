"""Review: where people disagree and labels that are likely wrong, decided one by one by key."""

from everloop.labels import ClassLabel, encode
from everloop.loop import review
from everloop.loop.label_doubts import suspected
from everloop.loop.label_quality import quality_of
from everloop.loop.offers import size_of
from everloop.web.asked import Answer, Asked, figure_of, goto
from everloop.web.drawing import page
from everloop.web.pages.data import find_sample, pictures
from everloop.web.routes import is_name
from everloop.web.views.review import Item, of_dispute, of_doubt, others

_LONGEST_COMMENT = 500
_DOUBTS = 500
"""Likely errors that are shown; the likeliest come first."""


def show(asked: Asked) -> Answer:
    """The sample at one place of the queue; the first without one."""
    items = _waiting(asked)
    at = min(figure_of(asked.argument("at")), max(0, len(items) - 1))
    item = items[at] if items else None
    task, done = asked.project.declaration.task, asked.argument("done")
    return page(
        asked,
        "review.html",
        title="Review",
        item=item,
        at=at,
        total=len(items),
        others=others(task.classes, item) if item else (),
        size=_size(asked, item) if item else None,
        is_picture=task.modality == "image",
        pictures=pictures(asked, [item.sample] if item else []),
        done=done if is_name(done) else "",
    )


def show_quality(asked: Asked) -> Answer:
    """How far people agree, and how well each labels."""
    found = quality_of(asked.project)
    return page(asked, "review_quality.html", title="Quality of labels", quality=found)


def decide(asked: Asked) -> Answer:
    """Save what the label is, and go on with the next one."""
    sample, form = find_sample(asked), asked.form()
    label = form.get("label", "")
    if form.get("chosen") == "other":
        label = encode(ClassLabel(form.get("other", "")))
    comment = form.get("comment", "").strip()[:_LONGEST_COMMENT]
    made = review.decide(
        asked.project, sample, label, by=asked.who.name, comment=comment, now=asked.now
    )
    asked.record("decide a label", sample=sample, label=made.label, why=made.why)
    return goto(f"/review?at={_place(form.get('at', ''))}&done={sample}")


def undo(asked: Asked) -> Answer:
    """Take the last statement about a sample back; what was decided waits again."""
    sample, form = find_sample(asked), asked.form()
    made = review.undo(asked.project, sample, by=asked.who.name, now=asked.now)
    asked.record("undo a label", sample=sample, label=made.label)
    if form.get("from") == "sample":
        return goto(f"/data/samples/{sample}")
    return goto(f"/review?at={_place(form.get('at', ''))}")


def _place(text: str) -> int:
    return figure_of(text, 2**31)


def _waiting(asked: Asked) -> list[Item]:
    """Disagreements first: snapshots wait for those."""
    project = asked.project
    disputes = review.disputed(project)
    open_items = [of_dispute(dispute) for dispute in disputes]
    known = {dispute.sample for dispute in disputes}
    doubts = [d for d in suspected(project).rows if d.sample not in known][:_DOUBTS]
    standing = project.data.annotations.standing([doubt.sample for doubt in doubts])
    return [*open_items, *(of_doubt(d, standing[d.sample].label) for d in doubts)]


def _size(asked: Asked, item: Item) -> tuple[int, int] | None:
    """Width and height of a picture on which boxes are to be drawn."""
    if not any(option.boxes for option in item.options):
        return None
    return size_of(asked.project, item.sample)
