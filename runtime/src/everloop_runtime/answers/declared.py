"""The kind of answer that a manifest declares."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from everloop_runtime.answers.boxes import Boxes
from everloop_runtime.answers.class_probabilities import ClassProbabilities
from everloop_runtime.answers.figure import Figure
from everloop_runtime.answers.hits import Hits
from everloop_runtime.answers.kind import AnswerKind
from everloop_runtime.answers.multi_label import MultiLabel
from everloop_runtime.errors import Refused

_MOST = 10_000

_KINDS: Mapping[str, Callable[..., AnswerKind]] = {
    ClassProbabilities.name: lambda classes, _index: ClassProbabilities(classes),
    MultiLabel.name: lambda classes, _index, limit=0.5: MultiLabel(classes, _share(limit)),
    Figure.name: lambda _classes, _index: Figure(),
    Hits.name: lambda classes, index, most: Hits(classes, _count(most), index),
    Boxes.name: lambda classes, _index, most=100, least=0.05, overlap=0.5, shown=0.25: Boxes(
        classes, _count(most), _share(least), _share(overlap), _share(shown)
    ),
}

CLASSES: Mapping[str, Any] = {"kind": ClassProbabilities.name}
"""What a manifest that declares nothing has."""


def answer_kind(
    declared: Mapping[str, Any], classes: Sequence[str], index: Sequence[str] = ()
) -> AnswerKind:
    """The kind of answer that a manifest declares.

    `index`: the ids of the samples that a search finds. Raises `Refused` for a kind or setting
    that there is none of.
    """
    settings = dict(declared)
    name = settings.pop("kind", None)
    make = _KINDS.get(str(name))
    if make is None:
        raise Refused(f"there is no kind of answer {str(name)[:60]!r}; known: {', '.join(_KINDS)}")
    try:
        return make(classes, index, **settings)
    except (TypeError, ValueError) as error:
        raise Refused(f"answers of the kind {name!r} do not take {settings}: {error}") from error


def _count(value: Any) -> int:
    if type(value) is not int or not 0 < value <= _MOST:
        raise ValueError(f"a number from 1 to {_MOST} is wanted; got {str(value)[:40]}")
    return value


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"a share from 0 to 1 is wanted; got {str(value)[:40]}")
    return float(value)
