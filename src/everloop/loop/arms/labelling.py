"""When people are asked, and about how much."""

from datetime import datetime, timedelta

from everloop.action import Entry
from everloop.evaluation.intervals import wilson
from everloop.ids import BundleId
from everloop.loop import kinds
from everloop.loop.arms.learning import why_learn
from everloop.loop.arms.monitoring import window_of, windows
from everloop.loop.decision import Decision, ask, error_of, is_over
from everloop.loop.pursuit import Pursuit
from everloop.loop.world import World
from everloop.policy import Policy

ARM = "label"


def ask_people(policy: Policy, world: World, pursuit: Pursuit | None) -> Decision:
    """Open a round of labelling when the live model is being harmed."""
    if policy.level < 2:
        return Decision(ARM, None, "the loop closes at level 2")
    champion = world.release.champion
    if champion is None:
        return _begin(policy, world)
    if world.gate.version is None:
        return Decision(ARM, None, f"the privacy gate is closed: {world.gate.closed}")
    if waits := _busy(policy, world, pursuit):
        return Decision(ARM, None, waits)
    if begun := _begun(world):
        return ask(world, ARM, begun.action, begun.reason)
    recent = _windows_since_last_round(world, champion)[: policy.monitor.confirm]
    harm = _find_harm(policy, world, recent)
    if harm is not None:
        budget = policy.labelling.budget
        if waits := _cooldown(policy, world) or _spent(policy, world, budget):
            return Decision(ARM, None, f"{harm}; {waits}")
        return _ask(world, champion, recent, policy.labelling.budget, "teach", harm)
    return _audit(policy, world, champion, recent)


def _audit(policy: Policy, world: World, champion: BundleId, recent: list[Entry]) -> Decision:
    """A few samples at random for people, where the input changed and no harm is estimated."""
    confirm, labelling = policy.monitor.confirm, policy.labelling
    if not _all_say(world, recent, "drifted", confirm):
        return Decision(ARM, None, f"no drift in the last {confirm} windows in a row")
    if world.audit is not None and world.now - world.audit.at < labelling.audit_every:
        told = f"{world.audit.right} of {world.audit.answered} audited answers were right"
        return Decision(ARM, None, f"the input changed and no harm is found: {told}")
    if waits := _spent(policy, world, labelling.audit):
        return Decision(ARM, None, f"the input changed and no harm is estimated; {waits}")
    why = f"the input changed and no harm is estimated: an audit will tell ({_told(world, recent)})"
    return _ask(world, champion, recent, labelling.audit, "audit", why)


def _begin(policy: Policy, world: World) -> Decision:
    """The first labels, when there are samples and too few labels for a model."""
    lacks, enough = why_learn(policy, world, None)
    if enough:
        return Decision(ARM, None, "no model is live")
    if not world.labels.unlabelled:
        return Decision(ARM, None, "no model is live, and no sample is without a label")
    if world.gate.version is None:
        return Decision(ARM, None, f"the privacy gate is closed: {world.gate.closed}")
    if _coming_in(world):
        return Decision(ARM, None, f"{lacks}; new files are taken in first")
    if waits := _busy(policy, world, None):
        return Decision(ARM, None, waits)
    if begun := _begun(world):
        return ask(world, ARM, begun.action, begun.reason)
    action = kinds.begin(world.labels.version, policy.labelling.budget)
    if is_over(world, action):
        told = error_of(world, action) or "nothing is left that people could be asked about"
        return Decision(ARM, None, f"{lacks}; {told}")
    return ask(world, ARM, action, f"{lacks}: people are asked about what is typical")


def _coming_in(world: World) -> bool:
    """Whether a source has files that are not taken in yet: they may bring labels."""
    listed = (s for s in world.sources if s.trouble is None)
    return any(not is_over(world, kinds.ingest(s.path, s.listing)) for s in listed)


def _ask(
    world: World,
    champion: BundleId,
    recent: list[Entry],
    budget: int,
    purpose: str,
    why: str,
) -> Decision:
    action = kinds.select(champion, window_of(recent[0]), budget, purpose)
    if is_over(world, action):
        return Decision(ARM, None, "people were asked about this window; waits for later ones")
    return ask(world, ARM, action, why)


def _begun(world: World) -> Entry | None:
    """A round that is being drawn or filtered: windows that come meanwhile open no other."""
    rounds = (e for e in world.journal.values() if e.action.kind == "select")
    return next((entry for entry in rounds if not is_over(world, entry.action)), None)


def _busy(policy: Policy, world: World, pursuit: Pursuit | None) -> str | None:
    """What must end before another round may begin."""
    if world.queue.open:
        return f"{world.queue.open} label tasks wait for people: everloop label next"
    if world.queue.uncleared is not None:
        return f"{world.queue.uncleared_count} label tasks wait for the privacy filters"
    if world.queue.unrecorded is not None:
        return "answers are being recorded"
    if pursuit is not None and not pursuit.ended:
        return f"{pursuit.name} may mend it: it is at {pursuit.stage}"
    if why_learn(policy, world, pursuit)[1]:
        return "new labels are about to be learnt from"
    return None


def _cooldown(policy: Policy, world: World) -> str | None:
    last = world.latest("select", purpose="teach")
    if last is None:
        return None
    ended = last.finished_at or last.intended_at
    if (left := ended + policy.labelling.cooldown - world.now) > timedelta(0):
        return f"{left.total_seconds():.0f} s of cooldown are left since the last round"
    left = ended + policy.labelling.again - world.now
    if left <= timedelta(0) or _ceased(policy, world, ended):
        return None
    told = "it is the harm of the last round, which never ceased"
    return f"{told}: asked again in {left.total_seconds():.0f} s"


def _ceased(policy: Policy, world: World, since: datetime) -> bool:
    """Whether there were enough windows in a row without harm, of whichever champion."""
    later = [
        entry
        for entry in world.journal.values()
        if entry.action.kind == "monitor" and entry.finished_at and entry.finished_at > since
    ]
    in_a_row = 0
    for entry in sorted(later, key=lambda entry: (entry.finished_at or since, window_of(entry))):
        harmful = (world.result(entry.action) or {}).get("harmful") is True
        in_a_row = 0 if harmful else in_a_row + 1
        if in_a_row >= policy.monitor.calm:
            return True
    return False


def _spent(policy: Policy, world: World, wanted: int) -> str | None:
    """Why the day's budget has no room for so many label tasks; None when it has."""
    if not policy.labelling.daily:
        return None
    day = world.now - timedelta(days=1)
    made = sum(
        int(str(entry.action.inputs["budget"]))
        for entry in world.journal.values()
        if entry.action.kind == "select" and entry.intended_at > day
    )
    if made + wanted <= policy.labelling.daily:
        return None
    return f"{made} of the day's {policy.labelling.daily} label tasks are made: {wanted} do not fit"


def _windows_since_last_round(world: World, champion: BundleId) -> list[Entry]:
    """The champion's judged windows after the ones that led to its last round, newest first."""
    last = world.latest("select", purpose="teach", bundle=champion)
    asked = window_of(last) if last else -1
    return [entry for entry in windows(world, champion) if window_of(entry) > asked]


def _find_harm(policy: Policy, world: World, recent: list[Entry]) -> str | None:
    """Why the live model is held to be harmed: by estimate, or by what people said."""
    confirm = policy.monitor.confirm
    if _all_say(world, recent, "harmful", confirm):
        return f"{confirm} harmful windows in a row: {_told(world, recent)}"
    audit = world.audit
    if audit is None or not audit.answered or not _all_say(world, recent, "drifted", confirm):
        return None
    figures = world.result(recent[0].action) or {}
    expected = float(str(figures["reference_accuracy"]))
    # Even the most that chance leaves plausible is too little.
    if wilson(audit.right, audit.answered)[1] >= expected - policy.monitor.harm:
        return None
    return (
        f"drift, and only {audit.right} of {audit.answered} audited answers were right "
        f"({expected:.3f} on the hold-out)"
    )


def _all_say(world: World, recent: list[Entry], what: str, needed: int) -> bool:
    said = [entry for entry in recent if (world.result(entry.action) or {}).get(what) is True]
    return len(said) >= needed


def _told(world: World, recent: list[Entry]) -> str:
    return str((world.result(recent[0].action) or {}).get("summary", ""))
