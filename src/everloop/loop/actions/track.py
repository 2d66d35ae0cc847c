"""Record a training attempt in the tracker, whether it worked or not."""

import json
from pathlib import Path

from everloop.action import Action, Entry, Outcome
from everloop.errors import Refused
from everloop.ids import ActionKey
from everloop.loop.project import Project, Turn
from everloop.registry.runs import RunRecord
from everloop.training.attempt import read_figures


def track(project: Project, _turn: Turn, action: Action) -> Outcome:
    """The attempt is a run in the tracker, with everything that moved."""
    key = ActionKey(str(action.inputs["run"]))
    entry = project.journal.entry(key)
    if entry is None or entry.outcome is None or not entry.outcome.final:
        raise Refused(f"{key} is not over yet")
    run = project.registry.record_run(_record(project, entry), _artifacts(project, key))
    return Outcome(final=True, result={"run": run})


def _record(project: Project, entry: Entry) -> RunRecord:
    assert entry.outcome is not None  # noqa: S101 - the caller looked
    inputs, key = entry.action.inputs, entry.action.key
    folder = project.layout.jobs / key
    told = folder / "attempt.json"
    attempt = json.loads(told.read_text(encoding="utf-8")) if told.exists() else {}
    params = inputs["params"]
    assert isinstance(params, dict)  # noqa: S101 - kinds.train made it
    bundle = entry.outcome.result.get("bundle")
    return RunRecord(
        key=key,
        product=project.declaration.product,
        snapshot=str(inputs["snapshot"]),
        bundle=None if bundle is None else str(bundle),
        params=params,
        metrics=attempt.get("metrics", {}),
        history=tuple(read_figures(folder)),
        code=str(inputs["code"]),
        environment=attempt.get("environment", {}),
        hardware=attempt.get("hardware", {}),
        seed=int(str(inputs["seed"])),
        started_at=entry.intended_at,
        ended_at=entry.finished_at or entry.intended_at,
        status="failed" if entry.outcome.error else "finished",
        error=entry.outcome.error,
    )


def _artifacts(project: Project, key: ActionKey) -> Path | None:
    folder = project.layout.jobs / key / "artifacts"
    return folder if folder.is_dir() else None
