"""When the live model's own answers are taken for labels, and when no more."""

from math import log

from everloop.action import Action
from everloop.ids import BundleId
from everloop.labelling.prelabel import Rule
from everloop.loop import kinds
from everloop.loop.arms.monitoring import windows
from everloop.loop.decision import Decision, ask, error_of, is_over
from everloop.loop.pursuit import Pursuit
from everloop.loop.world import Prelabels, World
from everloop.policy import Policy
from everloop.rollout.sequential.rate import log_evidence_above

ARM = "prelabel"
_ALPHA = 0.05
"""The chance that audits, looked at as often as one likes, end a rule that keeps its promise."""


def take_prelabels(policy: Policy, world: World, _pursuit: Pursuit | None) -> Decision:
    """Take sure answers for labels where the hold-out and the audits allow it."""
    champion, wanted = world.release.champion, policy.labelling.prelabel.precision
    if not wanted:
        why = "no answer is taken for a label: [labelling.prelabel] precision is 0"
        return Decision(ARM, None, why)
    if champion is None:
        return Decision(ARM, None, "no model is live")
    withdraw = kinds.withdraw_prelabels(champion, wanted)
    if (ended := world.entry(withdraw)) is not None:
        if is_over(world, withdraw):
            return Decision(ARM, None, f"off for bundle {champion[:8]}: {ended.reason}")
        return ask(world, ARM, withdraw, ended.reason)
    calibrate = rule_action(policy, world)
    if calibrate is None:
        return Decision(ARM, None, f"bundle {champion[:8]} has no evaluation to go by")
    if not is_over(world, calibrate):
        return ask(world, ARM, calibrate, f"from when on is {wanted:g} of its answers right?")
    rule = rule_of(world, calibrate)
    if rule is None:
        return Decision(ARM, None, f"no rule was found: {error_of(world, calibrate)}")
    return _by_rule(policy, world, champion, rule)


def rule_action(policy: Policy, world: World) -> Action | None:
    """The Action that finds the rule of the live model, by its newest evaluation; None without."""
    champion, wanted = world.release.champion, policy.labelling.prelabel.precision
    if champion is None or not wanted:
        return None
    measured = world.latest("evaluate", bundle=champion)
    if measured is None or measured.outcome is None:
        return None
    evaluation = str(measured.outcome.result["evaluation"])
    return kinds.calibrate_prelabels(champion, evaluation, wanted)


def rule_of(world: World, calibrate: Action) -> Rule | None:
    """The rule that an Action found; None when it failed or is not over."""
    result = world.result(calibrate)
    return None if result is None else Rule.of(result)


def _by_rule(policy: Policy, world: World, champion: BundleId, rule: Rule) -> Decision:
    state, wanted = world.prelabels, policy.labelling.prelabel
    if rule.threshold is None or state is None:
        return Decision(ARM, None, f"no answer is taken for a label: {rule.summary}")
    if broken := _broken(state, wanted.precision):
        withdraw = kinds.withdraw_prelabels(champion, wanted.precision)
        return ask(world, ARM, withdraw, broken)
    told = f"{state.accepted} taken, {state.right} of {state.audited} audited were right"
    if _is_harmed(world, champion):
        why = "the live model is held to be harmed: its answers are not taken for labels"
        return Decision(ARM, None, f"{why}; {told}")
    if state.eligible is None:
        return Decision(ARM, None, f"no open task is sure enough; {told}; {rule.summary}")
    action = kinds.accept_prelabels(champion, rule.threshold, wanted.audit_share, state.eligible)
    return ask(world, ARM, action, f"{state.eligible_count} open tasks have {rule.summary}")


def _broken(state: Prelabels, precision: float) -> str | None:
    """Why the promise is held to be broken: audited answers are wrong more often."""
    wrong, audited = state.audited - state.right, state.audited
    if not audited or log_evidence_above(wrong, audited, 1 - precision) < log(1 / _ALPHA):
        return None
    return (
        f"only {state.right} of {audited} audited answers were right where {precision:g} was "
        "promised"
    )


def _is_harmed(world: World, champion: BundleId) -> bool:
    newest = next(iter(windows(world, champion)), None)
    return newest is not None and (world.result(newest.action) or {}).get("harmful") is True
