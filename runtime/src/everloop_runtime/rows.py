"""The one way from a row of a table to the numbers a model sees, in training and serving.

Named and versioned by `PREPROCESSING`: a change that could alter a single number is a new name.
A row is a JSON object. Of its columns those are taken that the model's features name, in their
order: a figure as it is (true and false as 1 and 0), a category as its place in the declared list,
-1 where it is not in it; what is missing (null, or no such column) is NaN, where that is allowed.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everloop_runtime.errors import Refused
from everloop_runtime.ids import canonical_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PREPROCESSING = "row/1"
MOST_BYTES = 1_000_000
"""Of one row."""
_LARGEST = 3.4028234663852886e38


@dataclass(frozen=True, slots=True)
class Feature:
    """One column that a model learnt from."""

    name: str
    categories: tuple[str, ...] | None = None
    """The texts it may be; None: it is a figure."""
    may_miss: bool = False
    """Whether it was missing somewhere in training; elsewhere a row without it is refused."""


@dataclass(frozen=True, slots=True)
class RowSpec:
    """The numbers a model takes: one a feature."""

    features: tuple[Feature, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""
        return (len(self.features),)


class NotARow(Refused):
    """The bytes are no JSON object."""


def read_row(data: bytes) -> Mapping[str, Any]:
    """The columns of a row. Raises `NotARow`."""
    if len(data) > MOST_BYTES:
        raise NotARow(f"the row has {len(data)} bytes; at most {MOST_BYTES} are taken")
    try:
        told = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotARow(f"this is no row, which is a JSON object: {str(error)[:100]}") from error
    if not isinstance(told, dict):
        raise NotARow("this is no row: a JSON object is wanted, a value for each column")
    return told


def canonical_row(row: Mapping[str, Any]) -> bytes:
    """The bytes that stand for a row. Raises `NotARow` when it holds what is not JSON."""
    try:
        return canonical_json(dict(row))
    except (TypeError, ValueError, RecursionError) as error:
        raise NotARow(f"the row cannot be written as JSON: {error}") from error


def to_numbers(data: bytes, spec: RowSpec) -> "NDArray[np.float32]":
    """float32 `[features]` of a row's bytes. Raises `NotARow` or `Refused`, naming the column."""
    import numpy as np

    row = read_row(data)
    return np.array([_number(row.get(feature.name), feature) for feature in spec.features], "<f4")


def _number(value: Any, feature: Feature) -> float:
    if value is None:
        if not feature.may_miss:
            raise Refused(f"the row has no {feature.name!r}, which was never missing in training")
        return math.nan
    if feature.categories is not None:
        text = category(value)
        return float(feature.categories.index(text)) if text in feature.categories else -1.0
    if not isinstance(value, int | float):
        raise Refused(f"the column {feature.name!r} is {str(value)[:60]!r}; a figure is wanted")
    if not abs(value) <= _LARGEST:
        raise Refused(f"the column {feature.name!r} is no figure that a model can take")
    return float(value)


def category(value: Any) -> str:
    """A category's text.

    >>> category("a"), category(3), category(True)
    ('a', '3', 'true')
    """
    return value if isinstance(value, str) else json.dumps(value)
