"""What of the world somebody should know: pure functions, one for each kind of alarm."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from everloop.action import Entry
from everloop.alarm import Alarm
from everloop.loop.decision import Decision
from everloop.loop.world import World
from everloop.monitoring.finding import Finding, findings_in
from everloop.policy import Policy

LOOKED_BACK = timedelta(days=1)
"""How long something that happened at one moment stands, unless somebody acknowledges it."""
_WAITS = "waits for a person"
_BEHIND = 50
"""Segments of captures that wait for the store."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the alarms of one turn go by."""

    policy: Policy
    world: World
    decisions: Sequence[Decision]
    failed: Sequence[Entry] = ()
    """Actions that failed for good within `LOOKED_BACK`."""


def alarms(seen: Seen) -> tuple[Alarm, ...]:
    """Everything that somebody should know of now."""
    return tuple(alarm for kind in KINDS for alarm in kind(seen))


def service_down(seen: Seen) -> Iterator[Alarm]:
    """The service does not answer though a model is live."""
    if seen.world.service is None and seen.world.release.champion is not None:
        yield Alarm(
            "service-down", "", "critical",
            "the prediction service does not answer", "everloop status",
        )  # fmt: skip


def bundle_not_loaded(seen: Seen) -> Iterator[Alarm]:
    """The service could not load what it is to serve."""
    service = seen.world.service
    for bundle, why in ({} if service is None else service.failed).items():
        told = f"the service does not serve bundle {bundle[:8]}: {why}"
        yield Alarm("bundle-failed", bundle, "critical", told, "everloop releases show",
                    f"/models/{bundle}")  # fmt: skip


def action_failed(seen: Seen) -> Iterator[Alarm]:
    """An Action was given up."""
    for entry in seen.failed:
        error = "" if entry.outcome is None else entry.outcome.error
        told = f"{entry.action.kind} failed: {error}"
        yield Alarm("action-failed", entry.action.key, "warning", told, "everloop why",
                    passes=False)  # fmt: skip


def sent_back(seen: Seen) -> Iterator[Alarm]:
    """The loop took traffic back from a candidate, a variant or a new champion."""
    for entry in _lately(seen, ("rollback", "take-out")):
        bundle = str(entry.action.inputs["bundle"])
        told = f"bundle {bundle[:8]} was sent back: {entry.reason}"
        if "request" not in entry.action.inputs:
            yield Alarm("sent-back", entry.action.key, "critical", told, "everloop releases show",
                        "/releases", passes=False)  # fmt: skip


def gates_stopped(seen: Seen) -> Iterator[Alarm]:
    """A candidate did not pass its gates."""
    for entry in _lately(seen, ("gate",)):
        result = {} if entry.outcome is None else entry.outcome.result
        if result.get("passed") is False:
            bundle = str(entry.action.inputs["bundle"])
            told = f"bundle {bundle[:8]} did not pass its gates"
            yield Alarm("gates-stopped", entry.action.key, "info", told,
                        f"everloop models show {bundle[:8]}", f"/models/{bundle}",
                        passes=False)  # fmt: skip


def promoted(seen: Seen) -> Iterator[Alarm]:
    """Another model answers everybody."""
    for entry in _lately(seen, ("promote", "deploy")):
        bundle = str(entry.action.inputs["bundle"])
        told = f"bundle {bundle[:8]} is the champion: {entry.reason}"
        yield Alarm("promoted", entry.action.key, "info", told, "everloop releases show",
                    "/releases", passes=False)  # fmt: skip


def waits_for_person(seen: Seen) -> Iterator[Alarm]:
    """Nothing goes on before somebody decides or labels."""
    for decision in seen.decisions:
        if decision.action is None and _WAITS in decision.reason:
            about = decision.reason.partition(":")[0]
            yield Alarm("waits", about, "info", decision.reason, "everloop why")
    queue = seen.world.queue
    if queue.open:
        told = f"{queue.open} label tasks wait for people"
        late = queue.oldest_open is not None and (
            seen.world.now - queue.oldest_open > seen.policy.labelling.patience / 2
        )
        told += ", longer than half of [labelling] patience" if late else ""
        yield Alarm("waits", "labels", "warning" if late else "info", told,
                    "everloop label next", "/label")  # fmt: skip


def source_unreachable(seen: Seen) -> Iterator[Alarm]:
    """Samples cannot be taken from where they come."""
    for source in seen.world.sources:
        if source.trouble:
            yield Alarm("source-unreachable", source.path, "warning",
                        f"{source.path}: {source.trouble}", "everloop why")  # fmt: skip


def privacy_gate(seen: Seen) -> Iterator[Alarm]:
    """Labellers get nothing, or not all."""
    gate = seen.world.gate
    if gate.version is None and seen.policy.level == 2:
        yield Alarm("privacy-gate-closed", "", "warning",
                    f"the privacy gate is closed: {gate.closed}",
                    "everloop privacy status")  # fmt: skip
    elif gate.held:
        yield Alarm("samples-held", "", "info",
                    f"{gate.held} samples are held back from labellers",
                    "everloop privacy list")  # fmt: skip


def not_learnable(seen: Seen) -> Iterator[Alarm]:
    """No model can come of what there is."""
    if seen.world.unlearnable:
        yield Alarm("not-learnable", "", "warning", seen.world.unlearnable, "everloop why")


def signals(seen: Seen) -> Iterator[Alarm]:
    """A signal is over its limit."""
    for finding in newest_findings(seen.world):
        if finding.level == "alarm":
            told, command = f"{finding.name}: {finding.told()}", _command(finding, seen.policy)
            yield Alarm(f"signal-{finding.name}", "", "warning", told, command,
                        "/monitoring")  # fmt: skip


def _command(finding: Finding, policy: Policy) -> str:
    """The command that a signal proposes, the one that has people asked, or that shows signals."""
    proposed = re.search(r"everloop [a-z][^;:,()]*", finding.action or "")
    if proposed:
        return proposed[0].strip()
    asks = policy.level == 2 and finding.cause in ("input", "prior", "concept")
    return "everloop label ask" if asks else "everloop monitor"


def newest_findings(world: World) -> tuple[Finding, ...]:
    """Of each signal the newest finding, as long as it is about what is live.

    Only the newest look of each kind is read: what it does not tell of is over.
    """
    champion = world.release.champion
    newest: dict[str, Entry] = {}
    for entry in world.journal.values():
        if entry.outcome is None or not entry.outcome.succeeded:
            continue
        # Another model is another story: what was found of the one before is no alarm any more.
        if entry.action.inputs.get("bundle", champion) != champion:
            continue
        known = newest.get(entry.action.kind)
        if known is None or _order(entry) > _order(known):
            newest[entry.action.kind] = entry
    found = [
        finding
        for entry in newest.values()
        if entry.outcome is not None
        for finding in findings_in(entry.outcome.result)
    ]
    return tuple(sorted(found, key=lambda finding: finding.name))


def _order(entry: Entry) -> tuple[datetime, int]:
    window = entry.action.inputs.get("window")
    return entry.intended_at, window if isinstance(window, int) else 0


def captures_behind(seen: Seen) -> Iterator[Alarm]:
    """Captured answers come faster than the store takes them."""
    waiting = len(seen.world.segments)
    if waiting > _BEHIND:
        told = "segments of captured answers wait for the store"
        yield Alarm("captures-behind", "", "warning", f"more than {_BEHIND} {told}",
                    "everloop why")  # fmt: skip


KINDS: tuple[Callable[[Seen], Iterable[Alarm]], ...] = (
    service_down,
    bundle_not_loaded,
    action_failed,
    sent_back,
    gates_stopped,
    promoted,
    waits_for_person,
    source_unreachable,
    privacy_gate,
    not_learnable,
    signals,
    captures_behind,
)
"""Each kind of alarm."""


def _lately(seen: Seen, kinds: tuple[str, ...]) -> Iterator[Entry]:
    """The Actions of these kinds that succeeded within `LOOKED_BACK`."""
    since = seen.world.now - LOOKED_BACK
    for entry in seen.world.journal.values():
        is_done = entry.outcome is not None and entry.outcome.succeeded
        if entry.action.kind in kinds and is_done and (entry.finished_at or since) > since:
            yield entry
