"""Large sources are taken in over several turns, by whoever has the right to write."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.projects import opened, write_project

from everloop.data.ingest import Progress
from everloop.data.listing import list_now
from everloop.errors import Conflict
from everloop.loop import kinds
from everloop.loop.actions import ingest as module
from everloop.loop.controller import acquire
from everloop.loop.project import Turn
from everloop.loop.single import run_action


def _now() -> datetime:
    return datetime.now(UTC)


def test_turns_add_up_and_the_right_to_write_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = opened(write_project(tmp_path / "bars", pictures=4))
    source = "data/labelled"
    action = kinds.ingest(source, list_now(project.place(source)).digest)
    turns: list[int] = []

    def slices(*_: object) -> object:
        turns.append(1)
        return lambda progress: progress.bytes > 0

    with monkeypatch.context() as patch:
        patch.setattr(module, "_watch", slices)
        outcome = run_action(project, action, by="ann", clock=_now)
    assert len(turns) > 3
    assert outcome.result["added"] == outcome.result["labelled"] == 8
    assert outcome.result["known"] == 0

    fence = acquire(project, _now())
    assert fence is not None
    monkeypatch.setattr(module, "_RENEWED", 0.0)
    watch = module._watch(project, Turn(fence, _now()))
    assert watch(Progress(0, 8, 0, 0)) is False
    later = _now() + timedelta(hours=1)
    assert project.leases.acquire(fence.name, "another", later, timedelta(seconds=9))
    with pytest.raises(Conflict, match="another controller"):
        watch(Progress(1, 8, 100, 0))
