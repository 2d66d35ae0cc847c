"""Where a run is, told from the journal and from what its job left behind."""

import json
from pathlib import Path

import pytest
from tests.support.clock import START

from everloop.action import Action, Entry, Outcome
from everloop.loop.run_records import _status

GOOD, BAD, UNDER_WAY = Outcome(final=True), Outcome(final=True, error="no"), Outcome(final=False)


@pytest.mark.parametrize(
    ("outcome", "files", "status"),
    [
        (None, (), "running"),
        (UNDER_WAY, ("starts.json",), "interrupted"),
        (None, ("starts.json", "exit.json"), "running"),
        (GOOD, ("starts.json", "exit.json"), "finished"),
        (BAD, ("starts.json", "exit.json"), "failed"),
        (BAD, ("starts.json",), "killed"),
        (BAD, (), "failed"),
    ],
    ids=["not begun", "cut short", "its end not seen yet", "well", "badly", "killed", "refused"],
)
def test_a_run_is_marked_by_how_it_ended(
    tmp_path: Path, outcome: Outcome | None, files: tuple[str, ...], status: str
) -> None:
    for name in files:
        (tmp_path / name).write_text(json.dumps(1))
    entry = Entry(Action("train", {}), "learn", "", START, None, 0, outcome, None)
    assert _status(entry, tmp_path) == status
