"""Class and column names of a task: what is allowed, and what a label may use."""

import unicodedata
from collections.abc import Iterable, Sequence

from everloop.errors import Refused
from everloop.labels import Label, LabelKind, kind_of, names_in

_CHANNELS = (1, 3)
_SHOWN, _LONGEST = 50, 60
"""So many names, and so much of each, are told."""
_WORDS: dict[LabelKind, str] = {
    "class": "one class",
    "classes": "any number of classes",
    "boxes": "boxes",
    "value": "a figure",
}


def class_names(classes: str | Sequence[str], least: int) -> tuple[str, ...]:
    """Names, each once; a string means one class a character. `Refused` when they do not do."""
    names = tuple(str(name) for name in classes)
    # Two spellings in Unicode of one and the same look alike to everybody who labels.
    spelt = {unicodedata.normalize("NFC", name) for name in names}
    if len(names) < least or len(spelt) != len(names) or not all(names):
        count = "one class" if least == 1 else "two classes"
        raise Refused(f"at least {count}, each named once, are wanted; got {names}")
    return names


def image_size(size: Sequence[int], channels: int) -> tuple[int, int]:
    """Height and width; `Refused` when they or the channels do not do."""
    if channels not in _CHANNELS or len(size) != 2 or min(size) < 1:
        raise Refused(f"size is (height, width) and channels 1 or 3; got {size} and {channels}")
    return int(size[0]), int(size[1])


def why_not(label: Label, kind: LabelKind, classes: tuple[str, ...]) -> str | None:
    """Why a label is none of a task that learns from `kind` and `classes`; None when it is one.

    >>> from everloop.labels import ClassLabel
    >>> why_not(ClassLabel("fish"), "class", ("cat", "dog"))
    "'fish' is no class of the task; the classes are cat, dog"
    """
    given = kind_of(label)
    if given != kind:
        return f"the label is {_WORDS[given]}; the task learns from {_WORDS[kind]}"
    unknown = _first_unknown(names_in(label), classes)
    if unknown is None:
        return None
    shown = sorted(name[:_LONGEST] for name in classes)[:_SHOWN]
    more = f" and {len(classes) - _SHOWN} more" if len(classes) > _SHOWN else ""
    told = f"{', '.join(shown)}{more}"
    return f"{unknown[:_LONGEST]!r} is no class of the task; the classes are {told}"


def _first_unknown(names: Iterable[str], classes: tuple[str, ...]) -> str | None:
    return next((name for name in names if name not in classes), None)
