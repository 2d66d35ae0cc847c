"""What the columns of a table are, learnt from its rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from everloop.errors import Refused
from everloop_runtime.rows import Feature, RowSpec, category, read_row

_MOST = 1000
"""Different texts of a category; a column with more tells rows apart rather than kinds of them."""


@dataclass(slots=True)
class _Column:
    missing: bool = False
    figures: int = 0
    texts: set[str] = field(default_factory=set)
    has_text: bool = False

    def take(self, value: Any) -> None:
        if value is None:
            self.missing = True
            return
        if isinstance(value, int | float):
            self.figures += 1
        else:
            self.has_text = True
        if len(self.texts) <= _MOST:
            self.texts.add(category(value))


def learn_columns(features: Sequence[str], rows: Iterable[bytes]) -> RowSpec:
    """Each feature as a figure, or, where it has a text in any row, as a category.

    A category's texts are sorted, so that the order of the rows is of no account. Raises `Refused`
    naming a column that no row has, and one with more than 1,000 different texts.
    """
    found = {name: _Column() for name in features}
    for data in rows:
        row = read_row(data)
        for name, column in found.items():
            column.take(row.get(name))
    return RowSpec(tuple(_feature(name, column) for name, column in found.items()))


def _feature(name: str, column: _Column) -> Feature:
    if not column.texts:
        raise Refused(f"no row of the training side has a value in the column {name!r}")
    if not column.has_text:
        return Feature(name, None, column.missing)
    if len(column.texts) > _MOST:
        raise Refused(
            f"the column {name!r} has more than {_MOST} different texts; leave it out of the "
            "features, or group them"
        )
    return Feature(name, tuple(sorted(column.texts)), column.missing)
