"""What waits for an adjudicator, one sample at a time, with the labels to choose from."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from everloop.ids import SampleId
from everloop.labelling.disputes import Dispute
from everloop.labelling.doubts import Doubt
from everloop.labels import Box, BoxesLabel, ClassesLabel, ClassLabel, ValueLabel, decode

_KEYS = "123456789"


@dataclass(frozen=True, slots=True)
class Option:
    """One label that may be chosen."""

    key: str
    label: str
    """Its text, as it is sent back."""
    told: str
    """The same for people."""
    says: str
    """Who, or what, says so."""
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One sample that waits."""

    sample: SampleId
    what: str
    """`People disagree` or `Likely a wrong label`."""
    why: str
    options: tuple[Option, ...]


def of_dispute(dispute: Dispute) -> Item:
    """A disagreement: each label once, with everybody who gave it."""
    says: dict[str, list[str]] = {}
    for given in dispute.answers:
        says.setdefault(given.label or "", []).append(given.by)
    options = [
        _option(number, label, ", ".join(people)) for number, (label, people) in
        enumerate(says.items())
    ]  # fmt: skip
    why = f"{len(dispute.answers)} people looked at it"
    return Item(dispute.sample, "People disagree", why, tuple(options))


def of_doubt(doubt: Doubt, standing: str) -> Item:
    """A likely error: the label that stands, and what it looks like."""
    options = [_option(0, standing, "the label that stands")]
    if doubt.likely and doubt.likely != standing:
        options.append(_option(1, doubt.likely, "what it looks like to the model"))
    side = "the hold-out" if doubt.side == "holdout" else "the training side"
    why = f"on {side}; margin {doubt.margin:.2f}"
    return Item(doubt.sample, "Likely a wrong label", why, tuple(options))


def _option(number: int, label: str, says: str) -> Option:
    key = _KEYS[number] if number < len(_KEYS) else ""
    known = decode(label)
    boxes = known.boxes if isinstance(known, BoxesLabel) else ()
    return Option(key, label, told(label), says, boxes)


def told(text: str) -> str:
    """A label for people.

    >>> told('{"classes":["cat","dog"]}'), told('{"classes":[]}')
    ('cat, dog', 'none of the classes')
    """
    match decode(text):
        case ClassLabel(name):
            return name
        case ClassesLabel(names):
            return ", ".join(names) or "none of the classes"
        case ValueLabel(value):
            return f"{value:g}"
        case BoxesLabel(boxes):
            counts = Counter(box.label for box in boxes)
            return ", ".join(f"{count} {name}" for name, count in counts.items()) or "no box"


def others(classes: Sequence[str], item: Item) -> tuple[str, ...]:
    """The classes that nobody has proposed; none where a label is not one class."""
    labels = [decode(option.label) for option in item.options]
    if not all(isinstance(label, ClassLabel) for label in labels):
        return ()
    return tuple(name for name in classes if ClassLabel(name) not in labels)
