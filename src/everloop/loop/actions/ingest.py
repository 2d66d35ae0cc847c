"""Take what is new in a source into the store."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from everloop.action import Action, Outcome
from everloop.data.ingest import IngestRules, Progress
from everloop.data.ingest import ingest as take_in
from everloop.errors import Conflict
from everloop.ids import Json
from everloop.loop.project import LEASE_TTL, Project, Turn

_SLICE = 10.0
"""Seconds of one attempt, from its first new sample on: then the other arms have their turn."""
_RENEWED = 3.0
"""Seconds after which the right to write is renewed, well within its term."""
_SUMMED = ("added", "labelled")


def ingest(project: Project, turn: Turn, action: Action) -> Outcome:
    """Every sample of the source is in the store, or quarantined with its reason.

    A large source is taken in over several turns; what the earlier ones did is counted.
    """
    source = str(action.inputs["source"])
    named = action.inputs.get("format") or project.policy.data.formats.get(source)
    report = take_in(
        project.data,
        project.place(source),
        source=source,
        rules=_rules(project, action),
        now=turn.now,
        format_name=None if named is None else str(named),
        watch=_watch(project, turn),
    )
    result = _with_earlier(report.as_json(), _earlier(project, action))
    if not report.finished:
        return Outcome(final=False, delay=timedelta(0), result=result)
    return Outcome(final=True, result=result)


def _rules(project: Project, action: Action) -> IngestRules:
    rules = project.ingest_rules
    columns = action.inputs.get("columns")
    if not isinstance(columns, Mapping):
        return rules
    told = {what: str(name) for what, name in columns.items()}
    return replace(rules, columns={**rules.columns, **told})


def _watch(project: Project, turn: Turn) -> Callable[[Progress], bool]:
    """Keeps the right to write, tells who watches, and ends the slice."""
    began = renewed = time.monotonic()
    first_new: float | None = None

    def watch(progress: Progress) -> bool:
        nonlocal renewed, first_new
        project.progress(progress)
        now = time.monotonic()
        if now - renewed > _RENEWED:
            renewed = now
            moment = turn.now + timedelta(seconds=now - began)
            if not project.leases.renew(turn.fence, moment, LEASE_TTL):
                raise Conflict("another controller has taken over; this one stops writing")
        if first_new is None and progress.bytes:
            first_new = now
        return first_new is not None and now - first_new > _SLICE

    return watch


def _earlier(project: Project, action: Action) -> Mapping[str, Json]:
    entry = project.journal.entry(action.key)
    return {} if entry is None or entry.outcome is None else entry.outcome.result


def _with_earlier(result: dict[str, Json], earlier: Mapping[str, Json]) -> dict[str, Json]:
    if "added" not in earlier:
        return result
    counts = {name: int(str(result[name])) for name in (*_SUMMED, "known")}
    before = {name: int(str(earlier[name])) for name in _SUMMED}
    counts["known"] = max(counts["known"] - before["added"], 0)
    summed = {name: counts[name] + before[name] for name in _SUMMED}
    return {**result, **summed, "known": counts["known"]}
