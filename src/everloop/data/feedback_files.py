"""Files of feedback: JSON lines or CSV, one statement about one answer a line."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, get_args

from everloop.errors import Refused
from everloop.ids import Json
from everloop_runtime.client import Statement
from everloop_runtime.ids import canonical_json
from everloop_runtime.segments import FeedbackKind

_KINDS = get_args(FeedbackKind)
_NAMES = ("prediction_id", "kind", "value")
_LONGEST = 65_536
"""Characters of one line; the service keeps no longer value."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file: what it says, or why it says nothing."""

    number: int
    """The first line of a file is 1."""
    said: Statement | None
    trouble: str | None = None


def read_lines(path: Path) -> Iterator[Line]:
    """The statements of a file, read as they are asked for; a bad line is told and skipped.

    A file that ends in `.csv` has a first line with the names of its columns; any other holds
    JSON objects, one a line. Raises `Refused` when it cannot be read at all.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _csv(file) if path.suffix.lower() == ".csv" else _json_lines(file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Refused(f"{path} cannot be read: {error}") from error


def value_of(kind: str, text: str) -> Json:
    """What a text says: an event's is JSON where it reads as such, a label's is itself.

    >>> value_of("event", '{"basket": 12.5}')
    {'basket': 12.5}
    >>> value_of("event", "clicked"), value_of("label", "7")
    ('clicked', '7')
    """
    if kind != "event":
        return text
    try:
        found: Json = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found


def _csv(file: TextIO) -> Iterator[Line]:
    reader = csv.DictReader(_bounded(file))
    missing = [name for name in _NAMES if name not in (reader.fieldnames or ())]
    if missing:
        raise Refused(f"the first line names no column {', '.join(missing)}: {reader.fieldnames}")
    for row in reader:
        number = reader.line_num
        if None in row or any(row[name] is None for name in _NAMES):
            yield Line(number, None, "it has not as many columns as the first line")
        else:
            kind = row["kind"]
            yield line_of(number, row["prediction_id"], kind, value_of(kind, row["value"]))


def _bounded(file: TextIO) -> Iterator[str]:
    while line := file.readline(_LONGEST):
        yield line


def _json_lines(file: TextIO) -> Iterator[Line]:
    number = 0
    while line := file.readline(_LONGEST):
        number += 1
        if len(line) == _LONGEST:
            while line and not line.endswith("\n"):
                line = file.readline(_LONGEST)
            yield Line(number, None, f"it is longer than {_LONGEST} characters")
        elif line.strip():
            yield _json_line(number, line)


def _json_line(number: int, line: str) -> Line:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Line(number, None, f"it is not JSON: {error}")
    if not isinstance(found, dict) or not set(_NAMES) <= set(found):
        return Line(number, None, f"it is no object with {', '.join(_NAMES)}")
    return line_of(number, found["prediction_id"], found["kind"], found["value"])


def line_of(number: int, prediction: Json, kind: Json, value: Json) -> Line:
    """A statement, or why it is none."""
    if not isinstance(prediction, str) or not prediction:
        return Line(number, None, "its prediction_id is no text")
    if kind not in _KINDS:
        return Line(number, None, f"its kind is {kind!r}; there are: {', '.join(_KINDS)}")
    try:
        canonical_json([prediction, value])
    except (ValueError, RecursionError) as error:
        return Line(number, None, f"it cannot be sent as JSON: {error}")
    return Line(number, Statement(prediction, str(kind), value))
