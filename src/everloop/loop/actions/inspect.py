"""Look at what was served over some time: service, business and cost."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from everloop.action import Action, Entry, Outcome
from everloop.errors import EverloopError
from everloop.ids import Json, SnapshotId
from everloop.loop.models import judged_models
from everloop.loop.project import Project, Turn
from everloop.monitoring.business import business_findings
from everloop.monitoring.cost import Learnt, cost_findings
from everloop.monitoring.served import Counters, Served, given, read_counters, served
from everloop.monitoring.service import ServiceLimits, service_findings
from everloop.rollout.service import live_service


def inspect(project: Project, _turn: Turn, action: Action) -> Outcome:
    """The findings of the period that the Action names, and the figures behind them."""
    since = datetime.fromisoformat(str(action.inputs["since"]))
    until = datetime.fromisoformat(str(action.inputs["until"]))
    policy = project.policy.monitor
    now = given(served(project.data.predictions.between(since, until)))
    before = given(served(project.data.predictions.between(since - (until - since), since)))
    counters = _counters(project)
    counted = None if counters is None else counters.since(_before(project, action))
    limits = ServiceLimits(
        policy.max_error_rate, policy.max_latency.total_seconds() * 1000, policy.max_queue
    )
    findings = (
        *service_findings(now, counted, limits, since),
        *business_findings(
            now, before, project.data.feedback.events(),
            most_loss=policy.max_event_loss, false_alarm_rate=policy.false_alarm_rate, since=since,
        ),
        *cost_findings(
            counted, _learnt(project), most_core_seconds=policy.max_core_seconds,
            label_price=policy.label_price, since=since,
        ),
    )  # fmt: skip
    alarms = [finding.summary for finding in findings if finding.level == "alarm"]
    return Outcome(
        final=True,
        result={
            "summary": "; ".join(alarms) or f"{sum(p.requests for p in now)} requests, all well",
            "findings": [finding.as_json() for finding in findings],
            "served": [_told(part) for part in now],
            "counters": None if counters is None else asdict(counters),
        },
    )


def _counters(project: Project) -> Counters | None:
    address = live_service(project.layout)
    if address is None:
        return None
    try:
        with address.client() as client:
            told = client.status()
    except EverloopError:
        return None
    work = told.get("work")
    if not isinstance(work, dict):
        # A service of an older version, which goes on until it is started anew.
        return None
    return Counters(
        instance=str(told["instance"]),
        answers=float(sum(told["served"].values())),
        cpu_seconds=float(work["cpu_seconds"]),
        capture_bytes=float(work["capture_bytes"]),
        dropped=float(told["capture"]["dropped"]),
        queue=float(work["waiting"]),
        in_flight=float(work["in_flight"]),
    )


def _before(project: Project, action: Action) -> Counters | None:
    """What the service had counted at the look before."""
    past: Sequence[Entry] = project.journal.latest("inspect", 5)
    for entry in past:
        if entry.action.key != action.key and entry.outcome is not None:
            told = entry.outcome.result.get("counters")
            return read_counters(told) if isinstance(told, dict) else None
    return None


def _learnt(project: Project) -> list[Learnt]:
    found = []
    for model in judged_models(project):
        accuracy = model.metrics.get("accuracy")
        snapshot = project.data.snapshots.get(SnapshotId(model.snapshot))
        if accuracy is not None and snapshot is not None:
            found.append(Learnt(int(snapshot.manifest["train"]), accuracy))
    return found


def _told(part: Served) -> dict[str, Json]:
    return {
        "bundle": part.bundle,
        "role": part.role,
        "requests": part.requests,
        "errors": part.errors,
        **{f"p{share}": part.quantile(share / 100) for share in (50, 95, 99)},
    }
