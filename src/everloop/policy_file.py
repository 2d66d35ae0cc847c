"""Reading the text of `everloop.toml`: every mistake found, each with its line."""

import difflib
import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from everloop.errors import Refused
from everloop.policy import Policy

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\"'-]+)\s*=")


def parse_policy(text: str, name: str = "everloop.toml") -> Policy:
    """The policy that `text` states.

    Raises `Refused` with one message that lists all mistakes, in the order of their lines.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Refused(f"{name} is not TOML: {error}") from error
    try:
        return Policy.model_validate(values)
    except ValidationError as error:
        lines = _line_numbers(text)
        # Lines as numbers, so that line 9 comes before line 10.
        found = sorted((_line_of(e["loc"], lines), _explain(e)) for e in error.errors())
        listing = "\n".join(f"  line {line}: {what}" for line, what in found)
        count = "1 mistake" if len(found) == 1 else f"{len(found)} mistakes"
        raise Refused(f"{name} has {count}:\n{listing}") from error


def _line_numbers(text: str) -> Mapping[tuple[str, ...], int]:
    """The line at which each table and key of a TOML text starts."""
    lines: dict[tuple[str, ...], int] = {(): 1}
    table: tuple[str, ...] = ()
    counts: Counter[tuple[str, ...]] = Counter()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _split(header[2])
            lines.setdefault(table, number)
            if header[1] == "[[":
                counts[table] += 1
                table = (*table, str(counts[table] - 1))
                lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, *_split(key[1])), number)
    return lines


def _split(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _line_of(location: tuple[int | str, ...], lines: Mapping[tuple[str, ...], int]) -> int:
    path = tuple(str(part) for part in location)
    while path not in lines:
        path = path[:-1]
    return lines[path]


def _explain(error: ErrorDetails) -> str:
    location = error["loc"]
    where = ".".join(str(part) for part in location)
    if error["type"] == "extra_forbidden":
        return _explain_unknown(where, location)
    if error["type"] == "missing":
        return f"{where} is missing; {_allowed(location)}"
    message = error["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    return f"{where} = {_shown(error['input'])}: {message}"


def _explain_unknown(where: str, location: tuple[int | str, ...]) -> str:
    names = sorted(_model_at(location[:-1]).model_fields)
    close = difflib.get_close_matches(str(location[-1]), names, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{where}: there is no such setting{hint}; allowed: {', '.join(names)}"


def _allowed(location: tuple[int | str, ...]) -> str:
    field = _model_at(location[:-1]).model_fields[str(location[-1])]
    values = getattr(field.annotation, "__args__", None)
    if values:
        return f"allowed: {', '.join(map(str, values))}"
    return "it has no default"


def _model_at(location: tuple[int | str, ...]) -> type[BaseModel]:
    model: Any = Policy
    for part in location:
        # A place in an array of tables: `tuple[Model, ...]`.
        model = (
            get_args(model)[0]
            if isinstance(part, int)
            else model.model_fields[str(part)].annotation
        )
    assert isinstance(model, type)  # noqa: S101 - only tables forbid extra keys
    return model


def _shown(value: object, limit: int = 60) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= limit else f"{text[:limit]}..."
