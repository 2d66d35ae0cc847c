"""The chain behind an answer, as links that are drawn from left to right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
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


@dataclass(frozen=True, slots=True)
class Node:
    """One thing of the chain as it is drawn; its upper left corner is at `x`, `y`."""

    x: int
    y: int
    what: str
    name: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """The chain drawn from the people on the left to the answer on the right."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[int, int, int, int], ...]
    """From the right side of one node to the left side of another: x, y, x, y."""
    high: int


_WIDE, _STEP, _HIGH, _ROW, _PEOPLE = 150, 190, 50, 64, 6


def graph(chain: Chain) -> Graph:
    """The chain as boxes and lines: people, snapshot, run, bundle, answer; and its sample."""
    told: Mapping[str, Any] = chain.as_json()
    said = [(who, n) for who, n in told["labels"].items() if isinstance(n, int)]
    said.sort(key=lambda item: -item[1])
    people = [(who, f"{count} labels") for who, count in said[:_PEOPLE]]
    if rest := sum(count for _, count in said[_PEOPLE:]):
        people.append(("others", f"{rest} labels"))
    middle = max(0, len(people) - 1) * _ROW // 2
    answer, bundle = told["prediction"], str(told["bundle"]["id"])
    row = [
        Node(_STEP, middle, "snapshot", str(told["snapshot"].get("id", "not known"))),
        Node(2 * _STEP, middle, "run", str(told["run"].get("key", "not known"))),
        Node(3 * _STEP, middle, "bundle", bundle, f"/models/{bundle}"),
        Node(4 * _STEP, middle, "answer", str(answer["id"])),
    ]
    sample = str(answer["sample"])
    beside = [Node(3 * _STEP, middle + _ROW, "sample", sample, f"/data/samples/{sample}")]
    if by := told["bundle"].get("approved by"):
        beside.append(Node(2 * _STEP, middle + _ROW, "approved by", str(by)))
    first = [Node(0, n * _ROW, who, count) for n, (who, count) in enumerate(people)]
    lines = [*((each, row[0]) for each in first), *pairwise(row), (beside[0], row[-1])]
    lines += [(each, row[2]) for each in beside[1:]]
    half = _HIGH // 2
    edges = tuple((one.x + _WIDE, one.y + half, two.x, two.y + half) for one, two in lines)
    nodes = (*first, *row, *beside)
    return Graph(nodes, edges, max(node.y for node in nodes) + _HIGH)


def recent(rows: Sequence[Mapping[str, Any]]) -> tuple[Recent, ...]:
    """Captured answers, newest first; a shadow's are left out."""
    return tuple(
        Recent(row["id"], row["at"], row["label"] or "", row["confidence"], row["role"])
        for row in reversed(rows)
        if row["status"] == "ok" and row["role"] != "shadow"
    )
