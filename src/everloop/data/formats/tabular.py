"""Tables whose rows are the samples: each is the canonical JSON of its row.

Cells of a CSV that are figures become figures; empty ones and `NA`, `NaN`, `null` are missing.
The row keeps all its columns, the target's too: which are learnt from is the task's to say.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from everloop.data.formats.cells import moment, unquoted
from everloop.data.formats.format import Fit, Wanted
from everloop.data.formats.pictures import SPLITS, missing, side_in
from everloop.data.formats.sketch import Sketch
from everloop.data.formats.tables import TABLES, columns_of, is_table, rows_of
from everloop.data.incoming import Incoming
from everloop.data.sources.tree import TooLarge, Tree
from everloop.errors import Refused
from everloop.ids import Json
from everloop.labels import ClassLabel, Label, ValueLabel
from everloop_runtime.ids import canonical_json

WHOLE_ROW = "everloop_row"
"""The column in which Everloop's own tables keep a row's exact bytes."""
_MISSING = frozenset(("", "na", "n/a", "nan", "null", "none"))
_LONGEST_FIGURE = 40


class Tabular:
    """CSV or Parquet with a column for the task's target."""

    name = "tabular"

    def fits(self, sketch: Sketch, wanted: Wanted) -> Fit | None:
        """Whether a source looks like this format, and why; None when it does not."""
        if wanted.modality != "row":
            return None
        for path in sketch.ending_in(*TABLES):
            if wanted.target in sketch.columns(path):
                return Fit(f"{path} has the target's column {wanted.target!r}")
        found = sketch.ending_in(*TABLES)
        if found:
            return Fit(f"{found[0]} is a table, though without {wanted.target!r}", sure=False)
        return None if sketch.data else Fit("it holds nothing yet", sure=False)

    def read(self, tree: Tree, wanted: Wanted) -> Iterator[Incoming]:
        """Every row of every table."""
        for entry in tree.walk():
            if is_table(entry.path):
                columns_of(tree, entry.path)
                for number, row in rows_of(tree, entry.path):
                    yield _incoming(entry.path, number, row, wanted)


def _incoming(path: str, number: int, row: dict[str, Any] | str, wanted: Wanted) -> Incoming:
    name = f"{path}#row {number}"
    if isinstance(row, str):
        return Incoming(name, missing(f"{path}: row {number} {row}"))
    try:
        data = _bytes(row)
    except (Refused, ValueError, RecursionError) as error:
        return Incoming(name, missing(f"{path}: row {number}: {error}"))
    problems: list[str] = []
    label = _label(_cell(unquoted(row.get(wanted.target or ""))), wanted)
    if isinstance(label, str):
        problems.append(f"{path}: row {number}: {label}")
    split, told = row.get("split"), row.get("taken_at") if WHOLE_ROW in row else None
    time = told or (None if wanted.time is None else row.get(wanted.time))
    taken_at = moment(time or None)
    if isinstance(taken_at, str):
        problems.append(f"{path}: row {number}: {taken_at}")
    return Incoming(
        name,
        lambda most: _bounded(data, most),
        hashlib.blake2b(data, digest_size=16).hexdigest(),
        None if isinstance(label, str) else label,
        taken_at=None if isinstance(taken_at, str) else taken_at,
        side=SPLITS.get(str(split).lower()) if split else side_in(path),
        problems=tuple(problems),
    )


def _bytes(row: dict[str, Any]) -> bytes:
    whole = row.get(WHOLE_ROW)
    if isinstance(whole, str):
        told = json.loads(whole)
        if not isinstance(told, dict):
            raise Refused(f"the column {WHOLE_ROW!r} does not hold a JSON object")
        return canonical_json(told)
    return canonical_json({column: _cell(value) for column, value in row.items()})


def _bounded(data: bytes, most: int) -> bytes:
    if len(data) > most:
        raise TooLarge(f"it has {len(data)} bytes; at most {most} are taken")
    return data


def _label(cell: Json, wanted: Wanted) -> Label | str | None:
    if cell is None:
        return None
    if wanted.label_kind == "class":
        return ClassLabel(str(cell))
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return f"the target {wanted.target!r} is {str(cell)[:60]!r}, which is no figure"
    return ValueLabel(float(cell))


def _cell(value: Any) -> Json:
    match value:
        case None | bool():
            return value
        case str():
            return _read(value)
        case int():
            return value if len(str(value)) < _LONGEST_FIGURE else str(value)
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return float(value) if value.is_finite() else None
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            raise Refused(f"a cell of the kind {type(value).__name__} is not taken")


def _read(text: str) -> Json:
    """A cell of a CSV: a figure where it is written as one, otherwise the text.

    >>> _read("12"), _read("0.5"), _read("007"), _read("NaN"), _read("a")
    (12, 0.5, '007', None, 'a')
    """
    plain = text.strip()
    if plain.lower() in _MISSING:
        return None
    digits = plain.lstrip("+-")
    if len(plain) >= _LONGEST_FIGURE or not digits[:1].isdigit() or not digits.isascii():
        return text
    if digits.isdigit():
        return int(plain) if digits == "0" or not digits.startswith("0") else text
    try:
        value = float(plain)
    except ValueError:
        return text
    return value if math.isfinite(value) and "_" not in plain else text
