"""The life as a table: when, what, why, and with which figures."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from product_process import Event
from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_timeline(events: Sequence[Event]) -> None:
    """All that the loop did but collecting; windows of the same state share a line."""
    table = Table(title="What the loop did, and why", title_justify="left", header_style="bold")
    for column, width in (("s", None), ("action", None), ("why", 3), ("figures", 4)):
        table.add_column(column, ratio=width, overflow="fold")
    began = _at(events[0])
    for event, count in _folded(events):
        what = event["kind"] if count == 1 else f"{event['kind']} x{count}"
        cells = (f"{_at(event) - began:.0f}", what, event["reason"], event["told"])
        table.add_row(*(Text(cell) for cell in cells))
    Console().print(table)


def _at(event: Event) -> float:
    return datetime.fromisoformat(event["at"]).timestamp()


def _folded(events: Sequence[Event]) -> Iterator[tuple[Event, int]]:
    """Each event but `collect`; of neighbouring windows in one state the first, and how many."""
    waiting: Event | None = None
    count = 0
    for event in events:
        if event["kind"] == "collect":
            continue
        if waiting is not None and _state(event) == _state(waiting) is not None:
            count += 1
            continue
        if waiting is not None:
            yield waiting, count
        waiting, count = event, 1
    if waiting is not None:
        yield waiting, count


def _state(event: Event) -> str | None:
    return event["told"].partition(";")[0] if event["kind"] == "monitor" else None
