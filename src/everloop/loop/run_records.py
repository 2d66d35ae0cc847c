"""What is known of each training attempt, from the journal and the files of its job.

The tracker is told the same: `track` sends what `full_record` gives.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from everloop.action import Entry
from everloop.compute.local import is_cut_short
from everloop.errors import Refused
from everloop.ids import ActionKey, BundleId, Json
from everloop.loop.project import Project
from everloop.registry.runs import RunRecord, RunStatus
from everloop.training.attempt import read_notes
from everloop.training.figures import last_figures, read_figures
from everloop.training.meter import read_usage
from everloop.training.project_code import CODE, DIFF

_LOG, _MOST_LOG = "log.txt", 200_000
_PREFIX = "train-"


def short_name(key: ActionKey) -> str:
    """How people name a run: eight digits of its key, as MLflow's page does."""
    return key.removeprefix(_PREFIX)[:8]


def run_records(project: Project, now: datetime) -> list[RunRecord]:
    """Every attempt, newest first, without its history and texts."""
    entries = project.journal.entries(("train",)).values()
    newest = sorted(entries, key=lambda e: (e.intended_at, e.action.key), reverse=True)
    held = _held_out(project)
    return [with_evaluation(brief_record(project, entry, now), held) for entry in newest]


def find_run(project: Project, named: str) -> Entry:
    """The one attempt whose key or short name begins with `named`; `last` is the newest.

    Raises `Refused` for none and for several.
    """
    entries = project.journal.entries(("train",))
    if not entries:
        raise Refused("there is no run yet; everloop train makes one")
    if named == "last":
        return max(entries.values(), key=lambda entry: entry.intended_at)
    wanted = named.removeprefix(_PREFIX)
    found = [entry for key, entry in entries.items() if key[len(_PREFIX) :].startswith(wanted)]
    if len(found) != 1 or not wanted:
        told = ", ".join(short_name(entry.action.key) for entry in found[:5])
        which = f": {told}; give more of it" if found else "; everloop runs list names all"
        raise Refused(f"{len(found)} runs begin with {named!r}{which}")
    return found[0]


def full_record(project: Project, entry: Entry, now: datetime) -> RunRecord:
    """All that is known of an attempt, with each figure it logged."""
    folder = project.layout.jobs / entry.action.key
    record = _record(project, entry, now, tuple(read_figures(folder)), _texts(folder))
    return with_evaluation(record, _held_out(project))


def brief_record(project: Project, entry: Entry, now: datetime) -> RunRecord:
    """The same without its history and texts: quick, also for very many."""
    return _record(project, entry, now, (), {})


Held: TypeAlias = Mapping[tuple[str, str], Mapping[str, float]]
"""Metrics by bundle and snapshot."""


def with_evaluation(record: RunRecord, held: Held) -> RunRecord:
    """The record with its bundle's metrics on its own snapshot's hold-out, if there are any."""
    found = held.get((record.bundle or "", record.snapshot), {})
    return replace(record, metrics={**record.metrics, **found}) if found else record


def _held_out(project: Project) -> Held:
    found: dict[tuple[str, str], Mapping[str, float]] = {}
    for entry in project.journal.entries(("evaluate",)).values():
        if entry.outcome is not None and entry.outcome.succeeded:
            inputs = entry.action.inputs
            metrics = entry.outcome.result.get("metrics", {})
            found[str(inputs["bundle"]), str(inputs["snapshot"])] = held_metrics(metrics)
    return found


def held_metrics(metrics: Json) -> dict[str, float]:
    """An evaluation's metrics as a run's: `holdout/accuracy` and so on; those that are numbers."""
    assert isinstance(metrics, Mapping)  # noqa: S101 - jobs.evaluate wrote it
    return {f"holdout/{n}": float(str(v)) for n, v in metrics.items() if v is not None}


def _record(
    project: Project,
    entry: Entry,
    now: datetime,
    history: Sequence[tuple[int, str, float, int]],
    texts: Mapping[str, str],
) -> RunRecord:
    inputs, key = entry.action.inputs, entry.action.key
    folder = project.layout.jobs / key
    told = _told(folder / "attempt.json")
    params = inputs["params"]
    assert isinstance(params, dict)  # noqa: S101 - kinds.train made it
    outcome = entry.outcome if entry.outcome is not None and entry.outcome.final else None
    bundle = None if outcome is None else outcome.result.get("bundle")
    usage = read_usage(folder) if outcome is None or "metrics" not in told else {}
    metrics = told.get("metrics") or {**_last(folder), **usage}
    lives, checkpoint = metrics.get("lives", 1), metrics.get("checkpoint")
    return RunRecord(
        key=key,
        product=project.declaration.product,
        snapshot=str(inputs["snapshot"]),
        bundle=None if bundle is None else BundleId(str(bundle)),
        params=params,
        metrics={n: v for n, v in metrics.items() if n not in {"lives", "checkpoint"}},
        history=tuple(history),
        code=str(inputs["code"]),
        environment=told.get("environment", {}),
        hardware=told.get("hardware", {}),
        seed=int(str(inputs["seed"])),
        started_at=entry.intended_at,
        ended_at=entry.finished_at or now,
        status=_status(entry, folder),
        error=None if outcome is None else outcome.error,
        threads=int(str(inputs.get("threads", 0))),
        git=told.get("git", {}),
        lives=int(lives),
        checkpoint=None if checkpoint is None else int(checkpoint),
        notes=tuple(read_notes(folder)),
        texts=texts,
    )


def _status(entry: Entry, folder: Path) -> RunStatus:
    outcome = entry.outcome
    if outcome is None or not outcome.final:
        return "interrupted" if is_cut_short(folder) else "running"
    if outcome.error is None:
        return "finished"
    # A job that came to an end by itself, or was ended at its time limit, says so.
    begun = (folder / "starts.json").exists()
    return "killed" if begun and not (folder / "exit.json").exists() else "failed"


def _told(path: Path) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    return told


def _last(folder: Path) -> dict[str, float]:
    return {name: value for _, name, value, _ in last_figures(folder)}


def _texts(folder: Path) -> dict[str, str]:
    """The files that explain a run, as they lie in its job's folder."""
    names = {path.relative_to(folder).as_posix(): path for path in (folder / CODE).rglob("*.py")}
    names |= {name: folder / name for name in (DIFF, _LOG) if (folder / name).exists()}
    return {
        name: path.read_text(encoding="utf-8", errors="replace")[-_MOST_LOG:]
        for name, path in sorted(names.items())
    }


def record_as_json(record: RunRecord) -> dict[str, Json]:
    """All facts by name, without texts and history."""
    return {
        "run": short_name(record.key),
        "key": record.key,
        "status": record.status,
        "error": record.error,
        "began": record.started_at.isoformat(),
        "seconds": round(record.duration.total_seconds(), 3),
        "snapshot": record.snapshot,
        "bundle": record.bundle,
        "params": dict(record.params),
        "metrics": _finite(record.metrics),
        "seed": record.seed,
        "threads": record.threads,
        "code": record.code,
        "git": dict(record.git),
        "lives": record.lives,
        "checkpoint": record.checkpoint,
        "notes": list(record.notes),
        "hardware": dict(record.hardware),
    }


def _finite(metrics: Mapping[str, float]) -> dict[str, Json]:
    """Programs read JSON without NaN."""
    return {name: v if abs(v) < float("inf") else None for name, v in metrics.items()}
