"""What one cell of a table says: text as spreadsheets keep it, a time, several names, boxes."""

import json
import re
from datetime import UTC, date, datetime
from typing import Any

from everloop.data.formats.shape import box, of_boxes
from everloop.labels import Label

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
_FIGURE = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?", re.IGNORECASE)
_BOX_CELLS = 5


def unquoted(cell: Any) -> Any:
    """A cell without the apostrophe that keeps spreadsheets from computing it.

    >>> unquoted("'=1+1"), unquoted("'tis")
    ('=1+1', "'tis")
    """
    quoted = isinstance(cell, str) and cell.startswith("'") and cell[1:2] in _FORMULA
    return cell[1:] if quoted and len(cell) > 1 else cell


def quoted(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula; `unquoted` gives it back.

    >>> quoted("=1+1"), quoted("cat")
    ("'=1+1", 'cat')
    """
    return f"'{cell}" if cell.startswith(_FORMULA) and not _is_figure(cell) else cell


def _is_figure(cell: str) -> bool:
    return _FIGURE.fullmatch(cell) is not None


def moment(told: object) -> datetime | str | None:
    """A time in a cell, UTC where it names no zone; or why it is none."""
    if told is None:
        return None
    if isinstance(told, datetime):
        return told if told.tzinfo else told.replace(tzinfo=UTC)
    if isinstance(told, date):
        return datetime(told.year, told.month, told.day, tzinfo=UTC)
    try:
        found = datetime.fromisoformat(str(told))
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        found.astimezone(UTC)
    except (ValueError, OverflowError):
        return f"{str(told)[:60]!r} is no time as ISO 8601 writes it"
    return found


def names_in(cell: Any) -> list[str]:
    """Several names in one cell: a list, JSON, or text with `;` or `|` between them."""
    if isinstance(cell, list):
        return [str(name) for name in cell]
    text = str(cell)
    if text.startswith("["):
        try:
            told = json.loads(text)
        except (ValueError, RecursionError):
            return [text]
        return [str(name) for name in told]
    return [name.strip() for name in text.replace("|", ";").split(";") if name.strip()]


def boxes_in(cell: Any) -> Label | str | None:
    """The boxes of a cell, rows of JSON; or why they are none."""
    if cell is None:
        return None
    try:
        rows = json.loads(cell) if isinstance(cell, str) else cell
    except (ValueError, RecursionError) as error:
        return f"its boxes are not JSON: {str(error)[:80]}"
    boxes = []
    for row in rows if isinstance(rows, list) else [None]:
        if not isinstance(row, list) or len(row) != _BOX_CELLS or not isinstance(row[0], str):
            return "a box is [name, left, top, right, bottom]"
        made = box(row[0], row[1:])
        if isinstance(made, str):
            return f"it has {made}"
        boxes.append(made)
    return of_boxes(boxes, "boxes")
