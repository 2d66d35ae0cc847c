"""The chain behind an answer, as links that are drawn from left to right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from everloop.ids import Json
from everloop.loop.trace import Chain

_ORDER = ("prediction", "bundle", "run", "snapshot", "labels")


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the chain."""

    name: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Recent:
    """An answer that was captured lately."""

    id: str
    at: datetime
    label: str
    confidence: float
    role: str


def links(chain: Chain) -> tuple[Link, ...]:
    """The chain from the answer back to the people behind its labels."""
    told = chain.as_json()
    return tuple(Link(name, tuple(_facts(told[name]))) for name in _ORDER)


def _facts(value: object, before: str = "") -> Sequence[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if not isinstance(value, Mapping):
        return found
    for name, item in value.items():
        path = f"{before}{name}"
        if name == "environment" and isinstance(item, Mapping):
            told = f"python {item.get('python', '?')}, {len(item) - 1} distributions"
            found.append((path, told))
        elif isinstance(item, Mapping):
            found += _facts(item, f"{path} / ")
        else:
            found.append((path, _plain(item)))
    return found


def _plain(item: Json) -> str:
    if isinstance(item, float):
        return f"{item:.4g}"
    if isinstance(item, Sequence) and not isinstance(item, str):
        return "; ".join(map(_plain, item))
    return "-" if item is None else str(item)


def recent(rows: Sequence[Mapping[str, Any]]) -> tuple[Recent, ...]:
    """Captured answers, newest first; a shadow's are left out."""
    return tuple(
        Recent(row["id"], row["at"], row["label"] or "", row["confidence"], row["role"])
        for row in reversed(rows)
        if row["status"] == "ok" and row["role"] != "shadow"
    )
