"""The pure `decide`, case by case: what is asked for, what waits, and with which reason."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.simulation import FAILING, HEALTHY, Simulation, served

from everloop.ids import BundleId, Json
from everloop.loop.decide import ARMS, decide
from everloop.loop.decision import Decision
from everloop.loop.world import Gate, Labels, Service, Source
from everloop.policy import Policy

FAST: dict[str, dict[str, object]] = {
    "train": {"min_labels": 10, "new_labels": 15},
    "rollout": {"shares": [0.2, 0.5], "min_requests": 50, "soak": "10s"},
    "monitor": {"window": 20, "confirm": 2},
    "labelling": {"budget": 30, "cooldown": "60s", "audit": 10, "audit_every": "1h"},
}


def _policy(level: int = 2, **tables: dict[str, object]) -> Policy:
    return Policy.model_validate({"level": level, **FAST, **tables})


def _arm(decisions: tuple[Decision, ...], name: str) -> Decision:
    return next(d for d in decisions if d.arm == name)


def _until(simulation: Simulation, kind: str, most: int = 60) -> None:
    """Take turns until an Action of a kind has been done."""
    before = len(simulation.done)
    for _ in range(most):
        simulation.turn()
        if any(action.kind == kind for action in simulation.done[before:]):
            return
        simulation.pass_time(1)
    raise AssertionError(f"{kind} never came: {[a.kind for a in simulation.done]}")


def _live(policy: Policy | None = None) -> Simulation:
    """A product whose first model is live."""
    simulation = Simulation(policy or _policy())
    simulation.label(20, 5)
    _until(simulation, "promote")
    return simulation


def _second(simulation: Simulation) -> None:
    """More labels, so that a second model is on its way."""
    simulation.label(20, 5)


def _promoted_twice(policy: Policy | None = None) -> Simulation:
    """A product whose second model was just promoted."""
    life = _live(policy)
    _second(life)
    _until(life, "canary")
    for _ in range(2):
        life.serve(HEALTHY, HEALTHY)
        life.pass_time(30)
        life.turn()
    assert life.world.release.previous is not None
    return life


def test_every_arm_tells_a_reason_in_an_empty_world() -> None:
    simulation = Simulation(_policy())
    decisions = decide(simulation.policy, simulation.world)
    assert len(decisions) == len(ARMS) + 1
    assert len({d.arm for d in decisions}) == len(decisions)
    assert all(d.reason and d.action is None for d in decisions)
    assert _arm(decisions, "learn").reason == "0 training labels of the 10 a first model needs"


def test_the_first_model_goes_straight_to_traffic_after_all_its_stages() -> None:
    kinds = [action.kind for action in _live().done]
    assert kinds == [
        "snapshot", "train", "track", "evaluate", "gate", "register", "approve", "verify", "promote"
    ]  # fmt: skip


def test_without_a_holdout_nothing_is_learnt() -> None:
    simulation = Simulation(_policy())
    simulation.label(50, 0)
    decision = _arm(simulation.turn(), "learn")
    assert decision.action is None
    assert "no model could be judged" in decision.reason


def test_a_changed_source_is_taken_in_once() -> None:
    simulation = Simulation(_policy())
    for listing in ("one", "one", "two"):
        simulation.source(listing)
        simulation.turn()
    assert [a.inputs["listing"] for a in simulation.done] == ["one", "two"]


def test_what_cannot_be_learnt_yet_is_taken_in_and_the_loop_says_so() -> None:
    simulation = Simulation(_policy())
    simulation.world = replace(
        simulation.world, labels=Labels("1", 900, 100), unlearnable="boxes cannot be learnt yet"
    )
    simulation.source("one")
    decisions = {decision.arm: decision for decision in simulation.turn()}
    assert decisions["learn"].action is None
    assert decisions["learn"].reason == "boxes cannot be learnt yet"
    assert [action.kind for action in simulation.done] == ["ingest"]


def test_a_source_that_does_not_answer_is_told_and_stops_no_other() -> None:
    simulation = Simulation(_policy())
    simulation.source("one")
    (well,) = simulation.world.sources
    ill = replace(well, path="s3://down", listing="", trouble="no answer")
    simulation.world = replace(simulation.world, sources=(ill, well))
    simulation.turn()
    assert [action.inputs["source"] for action in simulation.done] == [well.path]
    (decision,) = [d for d in simulation.turn() if d.arm == "ingest"]
    assert decision.reason == "s3://down cannot be looked at: no answer"


@pytest.mark.parametrize("kind", ["gate", "verify"])
def test_what_is_stopped_never_gets_traffic_and_says_why(kind: str) -> None:
    simulation = Simulation(_policy())
    simulation._effects[kind] = lambda _: {"passed": False, "reasons": ["too weak"]}
    simulation.label(20, 5)
    for _ in range(30):
        decisions = simulation.turn()
        simulation.pass_time(1)
    assert simulation.world.release.champion is None
    assert any("too weak" in d.reason for d in decisions)
    assert all(d.action is None for d in decisions)


def test_a_failed_training_is_tracked_and_ends_there() -> None:
    simulation = Simulation(_policy(loop={"attempts": 1}))
    simulation.label(20, 5)
    simulation.turn()
    simulation.turn(fail=True)
    for _ in range(10):
        decisions = simulation.turn()
    assert simulation.done[-1].kind == "track"
    assert "training failed: it broke for good" in _arm(decisions, "judge").reason


def test_a_person_is_waited_for_when_policy_says_so() -> None:
    simulation = Simulation(_policy(approval={"by": "person"}))
    simulation.label(20, 5)
    for _ in range(20):
        decisions = simulation.turn()
    reason = _arm(decisions, "admit").reason
    assert "waits for a person: everloop models approve" in reason
    bundle = BundleId(str(simulation.done[-1].inputs["bundle"]))
    simulation.decide_on(bundle, approved=True)
    _until(simulation, "promote")
    assert simulation.world.release.champion == bundle


def test_a_checklist_is_waited_for_before_anything_is_approved() -> None:
    simulation = Simulation(_policy(approval={"checklist": {"groups": "Was each looked at?"}}))
    simulation.world = replace(simulation.world, questions=("groups",))
    simulation.label(20, 5)
    for _ in range(20):
        decisions = simulation.turn()
    assert "waits for its checklist (groups)" in _arm(decisions, "admit").reason
    bundle = BundleId(str(simulation.done[-1].inputs["bundle"]))
    simulation.decide_on(bundle, approved=True)
    assert simulation.turn() and simulation.done[-1].kind == "register", "approval alone is nothing"
    said_no = {bundle: ((), ("groups",))}
    simulation.world = replace(simulation.world, checklists=said_no)
    assert "no to groups" in _arm(simulation.turn(), "admit").reason
    simulation.world = replace(simulation.world, checklists={bundle: ((), ())})
    _until(simulation, "promote")


def test_a_rejected_model_goes_nowhere() -> None:
    simulation = Simulation(_policy(approval={"by": "person"}))
    simulation.label(20, 5)
    _until(simulation, "register")
    simulation.decide_on(BundleId(str(simulation.done[-1].inputs["bundle"])), approved=False)
    for _ in range(10):
        decisions = simulation.turn()
    assert "rejected by ann" in _arm(decisions, "admit").reason
    assert simulation.world.release.champion is None


def test_a_canary_goes_step_by_step_each_judged_and_soaked() -> None:
    simulation = _live()
    _second(simulation)
    _until(simulation, "canary")
    waits = _arm(simulation.turn(), "roll-out")
    assert "it has served nothing yet" in waits.reason
    simulation.serve(HEALTHY, HEALTHY)
    soaks = _arm(simulation.turn(), "roll-out")
    assert soaks.action is None
    assert "soaks" in soaks.reason
    simulation.pass_time(20)
    simulation.turn()
    canary = simulation.world.release.canary
    assert canary is not None
    assert (canary.step, canary.share) == (1, 0.5)
    simulation.serve(HEALTHY, HEALTHY)
    simulation.pass_time(20)
    simulation.turn()
    assert simulation.world.release.champion == canary.bundle
    assert simulation.world.release.canary is None


def test_the_champion_is_measured_on_the_new_holdout_while_its_rival_learns() -> None:
    simulation = _live()
    champion = simulation.world.release.champion
    _second(simulation)
    _until(simulation, "track")
    kinds = [(action.kind, action.inputs.get("bundle")) for action in simulation.done]
    learnt = max(i for i, (kind, _) in enumerate(kinds) if kind == "train")
    assert ("evaluate", champion) in kinds[learnt:]
    _until(simulation, "gate")
    assert [kind for kind, _ in kinds].count("evaluate") == 2
    evaluated = [a.inputs["bundle"] for a in simulation.done if a.kind == "evaluate"]
    assert len(evaluated) == 3
    assert evaluated.count(champion) == 2


def test_a_failing_canary_is_rolled_back_and_never_tried_again() -> None:
    simulation = _live()
    champion = simulation.world.release.champion
    _second(simulation)
    _until(simulation, "canary")
    simulation.serve(FAILING, HEALTHY)
    simulation.turn()
    assert simulation.world.release.canary is None
    for _ in range(20):
        simulation.pass_time(1000)
        decisions = simulation.turn()
    assert simulation.world.release.champion == champion
    assert [a.kind for a in simulation.done].count("canary") == 1
    assert "was rolled back" in _arm(decisions, "roll-out").reason


def test_while_the_service_does_not_answer_the_canary_waits() -> None:
    simulation = _live()
    _second(simulation)
    _until(simulation, "canary")
    simulation.serve(HEALTHY, HEALTHY)
    simulation.pass_time(100)
    simulation.world = replace(simulation.world, service=None)
    decision = _arm(simulation.turn(), "roll-out")
    assert decision.action is None
    assert "does not answer" in decision.reason
    bundle = simulation.world.release.canary
    assert bundle is not None
    failed = Service(1, {bundle.bundle: "golden inputs differ"})
    simulation.world = replace(simulation.world, service=failed)
    decision = _arm(simulation.turn(), "roll-out")
    assert decision.action is not None
    assert decision.action.kind == "rollback"
    assert "golden inputs differ" in decision.reason


def _watch(simulation: Simulation, *, drifted: bool, harmful: bool) -> tuple[Decision, ...]:
    """One window of answers with this signal."""
    simulation._effects["monitor"] = lambda _: {
        "drifted": drifted,
        "harmful": harmful,
        "summary": "drift 0.4",
        "reference_accuracy": 0.95,
    }
    simulation.traffic(20)
    simulation.turn()
    simulation.turn()
    return simulation.turn()


def test_harm_must_be_confirmed_before_people_are_asked() -> None:
    simulation = _live()
    first = _watch(simulation, drifted=True, harmful=True)
    assert _arm(first, "label").action is None
    _watch(simulation, drifted=True, harmful=True)
    (select,) = [a for a in simulation.done if a.kind == "select"]
    assert (select.inputs["purpose"], select.inputs["budget"]) == ("teach", 30)


def test_a_round_teaches_the_next_model_and_no_second_round_is_opened_meanwhile() -> None:
    simulation = _live()
    for _ in range(2):
        _watch(simulation, drifted=True, harmful=True)
    waits = _watch(simulation, drifted=True, harmful=True)
    assert "30 label tasks wait for people" in _arm(waits, "label").reason
    simulation.people_answer(30)
    _until(simulation, "train")
    for _ in range(3):
        _watch(simulation, drifted=True, harmful=True)
    assert [a.kind for a in simulation.done].count("select") == 1
    assert [a.kind for a in simulation.done].count("train") == 2


def test_a_round_under_way_is_brought_to_its_end_before_later_windows_open_another() -> None:
    simulation = _live()
    _watch(simulation, drifted=True, harmful=True)
    simulation.traffic(20)
    for fail in (False, False, True):
        simulation.turn(fail=fail)
    _watch(simulation, drifted=True, harmful=True)
    simulation.pass_time(10)
    _until(simulation, "select")
    (select,) = [a for a in simulation.done if a.kind == "select"]
    assert select.inputs["window"] == 1


def test_drift_without_estimated_harm_is_audited_and_a_bad_audit_is_harm() -> None:
    simulation = _live()
    for _ in range(2):
        _watch(simulation, drifted=True, harmful=False)
    audit = simulation.done[-1]
    assert (audit.kind, audit.inputs["purpose"], audit.inputs["budget"]) == ("select", "audit", 10)
    simulation.chance = lambda: False  # 10 of 40 are right
    simulation.people_answer(10)
    simulation.turn()
    decisions = _watch(simulation, drifted=True, harmful=False)
    teach = next(a for a in reversed(simulation.done) if a.kind == "select")
    assert teach.inputs["purpose"] == "teach"
    assert decisions


def test_a_good_audit_lets_the_drift_be() -> None:
    simulation = _live()
    for _ in range(2):
        _watch(simulation, drifted=True, harmful=False)
    simulation.people_answer(10)
    for _ in range(3):
        decisions = _watch(simulation, drifted=True, harmful=False)
    assert [a.kind for a in simulation.done].count("select") == 1
    assert "40 of 40 audited answers were right" in _arm(decisions, "label").reason
    assert [a.kind for a in simulation.done].count("train") == 1


def test_the_first_labels_are_asked_for_when_there_are_samples_and_too_few_labels() -> None:
    simulation = Simulation(_policy())
    simulation.label(3, 0)
    assert "no sample is without a label" in _label_reason(simulation)
    simulation.world = replace(simulation.world, labels=Labels("9", 3, 0, unlabelled=200))
    asked = _arm(simulation.turn(), "label")
    assert asked.action is not None
    assert (asked.action.inputs["purpose"], asked.action.inputs["budget"]) == ("begin", 30)
    assert "3 training labels of the 10 a first model needs" in asked.reason
    assert "30 label tasks wait for people" in _label_reason(simulation)
    simulation.people_answer(30)
    _until(simulation, "promote")
    assert [a.kind for a in simulation.done].count("select") == 1


def test_files_that_are_not_taken_in_yet_may_bring_the_first_labels() -> None:
    simulation = Simulation(_policy())
    simulation.world = replace(
        simulation.world,
        labels=Labels("9", 0, 0, unlabelled=200),
        sources=(Source("data/more", "1" * 64, 9),),
    )
    decisions = simulation.turn()
    assert "taken in first" in _arm(decisions, "label").reason
    assert _arm(decisions, "ingest").action is not None
    _until(simulation, "select")


def test_enough_labels_below_level_2_or_without_anything_to_ask_about_open_no_round() -> None:
    labels = Labels("9", 3, 0, unlabelled=200)
    below = Simulation(_policy(level=1))
    below.world = replace(below.world, labels=labels)
    enough = Simulation(_policy())
    enough.world = replace(enough.world, labels=replace(labels, train=20, holdout=5))
    closed = Simulation(_policy())
    closed.world = replace(closed.world, labels=labels, gate=Gate(None, "faces is not installed"))
    told = [_label_reason(simulation) for simulation in (below, enough, closed)]
    assert "level 2" in told[0] and told[1] == "no model is live" and "faces" in told[2]


def _label_reason(simulation: Simulation) -> str:
    decision = _arm(decide(simulation.policy, simulation.world), "label")
    assert decision.action is None
    return decision.reason


def _forget_old(simulation: Simulation) -> None:
    """What `observe` leaves out of the journal: old windows, and segments that are in."""
    journal = simulation.world.journal.values()
    kept = [e for e in journal if e.action.kind not in ("monitor", "collect")]
    kept += [e for e in journal if e.action.kind == "monitor"][-100:]
    simulation.world = replace(simulation.world, journal={e.action.key: e for e in kept})


def test_a_thousand_alarms_are_one_retraining() -> None:
    simulation = _live()
    for _ in range(1010):
        _watch(simulation, drifted=True, harmful=True)
        simulation.people_answer(30)
        simulation.serve(HEALTHY, HEALTHY)
        simulation.pass_time(60)
        _forget_old(simulation)
    kinds = [action.kind for action in simulation.done]
    assert kinds.count("monitor") >= 1000
    assert (kinds.count("select"), kinds.count("train"), kinds.count("promote")) == (1, 2, 2)


def test_harm_that_ceased_and_came_back_is_asked_about_after_the_cooldown() -> None:
    simulation = _live()
    for harmful in (True, True, False, False, True, True):
        decisions = _watch(simulation, drifted=harmful, harmful=harmful)
        simulation.people_answer(30)
        simulation.pass_time(40)
        for _ in range(20):
            simulation.serve(HEALTHY, HEALTHY)
            simulation.turn()
            simulation.pass_time(1)
    assert decisions
    assert [a.kind for a in simulation.done].count("select") == 2


def test_harm_that_never_ceased_is_asked_about_again_after_its_own_time() -> None:
    simulation = _live(_policy(labelling={**FAST["labelling"], "again": "2h"}))
    for _ in range(4):
        decisions = _watch(simulation, drifted=True, harmful=True)
        simulation.people_answer(30)
        for _ in range(20):
            simulation.serve(HEALTHY, HEALTHY)
            simulation.turn()
            simulation.pass_time(60)
    assert "never ceased" in _arm(decisions, "label").reason
    assert [a.kind for a in simulation.done].count("select") == 1
    simulation.pass_time(7200)
    for _ in range(2):
        _watch(simulation, drifted=True, harmful=True)
    assert [a.kind for a in simulation.done].count("select") == 2


def test_a_days_budget_of_label_tasks_is_not_exceeded() -> None:
    simulation = _live(_policy(labelling={**FAST["labelling"], "daily": 35}))
    for harmful in (True, True, False, False):
        _watch(simulation, drifted=harmful, harmful=harmful)
        simulation.people_answer(30)
        for _ in range(20):
            simulation.serve(HEALTHY, HEALTHY)
            simulation.turn()
            simulation.pass_time(10)
    for _ in range(2):
        decisions = _watch(simulation, drifted=True, harmful=True)
    assert "30 of the day's 35 label tasks" in _arm(decisions, "label").reason
    simulation.pass_time(86_400)
    for _ in range(2):
        _watch(simulation, drifted=True, harmful=True)
    assert [a.kind for a in simulation.done].count("select") == 2


def test_answers_are_recorded_together() -> None:
    simulation = _live()
    for _ in range(2):
        _watch(simulation, drifted=True, harmful=True)
    simulation.people_answer(5)
    decision = _arm(decide(simulation.policy, simulation.world), "record")
    assert decision.action is None
    assert "more are coming" in decision.reason
    simulation.pass_time(6)
    assert _arm(decide(simulation.policy, simulation.world), "record").action is not None


def test_level_0_has_no_canary_no_monitoring_and_learns_again_only_when_asked() -> None:
    simulation = _live(_policy(level=0))
    _second(simulation)
    simulation.traffic(100)
    for _ in range(20):
        decisions = simulation.turn()
    assert {a.kind for a in simulation.done} & {"canary", "collect", "monitor", "select"} == set()
    assert [a.kind for a in simulation.done].count("train") == 1
    assert "only when asked" in _arm(decisions, "learn").reason


def test_level_1_watches_but_does_not_ask_people() -> None:
    simulation = _live(_policy(level=1))
    for _ in range(3):
        decisions = _watch(simulation, drifted=True, harmful=True)
    assert "monitor" in {a.kind for a in simulation.done}
    assert _arm(decisions, "label").reason == "the loop closes at level 2"


def test_changed_code_is_learnt_anew() -> None:
    simulation = _live()
    simulation.world = replace(simulation.world, code="d" * 8)
    decision = _arm(simulation.turn(), "learn")
    assert "the code or the parameters changed" in decision.reason
    _until(simulation, "canary")
    assert [a.kind for a in simulation.done].count("train") == 2


def test_a_deployment_on_request_needs_everything_that_the_loop_itself_needs() -> None:
    simulation = _live()
    simulation.ask("deploy", {"bundle": "f" * 64})
    simulation.turn()
    closed = simulation.done[-1]
    assert closed.kind == "close-request"
    assert "has not passed its gates" in str(closed.inputs["answer"])


def test_a_person_can_go_back_and_the_loop_does_not_undo_it() -> None:
    simulation = _promoted_twice()
    first = simulation.world.release.previous
    simulation.ask("rollback", {})
    for _ in range(10):
        simulation.turn()
        simulation.pass_time(100)
    assert simulation.world.release.champion == first
    assert simulation.world.requests == ()


def test_traffic_is_not_to_be_asked_for_singly() -> None:
    simulation = Simulation(_policy())
    simulation.ask("act", {"kind": "promote", "inputs": {"bundle": "b", "over": None}})
    simulation.turn()
    assert simulation.world.release.champion is None
    assert "for the loop itself to decide" in str(simulation.done[-1].inputs["answer"])


def test_what_was_cut_short_is_asked_for_again_even_if_no_arm_would() -> None:
    simulation = Simulation(_policy())
    simulation.source("one")
    simulation.turn(crash=True)
    simulation.world = replace(simulation.world, sources=())
    decision = _arm(simulation.turn(), "resume")
    assert decision.action is not None
    assert decision.action.kind == "ingest"
    assert _arm(simulation.turn(), "resume").reason == "nothing was left half done"


def test_a_failure_that_can_pass_is_put_off_and_told() -> None:
    simulation = Simulation(_policy())
    simulation.label(20, 5)
    simulation.turn(fail=True)
    waits = _arm(decide(simulation.policy, simulation.world), "learn")
    assert waits.action is None
    assert "snapshot failed (it broke); again at" in waits.reason
    later = replace(simulation.world, now=simulation.world.now + timedelta(seconds=6))
    assert _arm(decide(simulation.policy, later), "learn").action is not None


def test_rejecting_a_running_canary_takes_its_traffic_back() -> None:
    life = _live()
    _second(life)
    _until(life, "canary")
    canary = life.world.release.canary
    assert canary is not None
    life.decide_on(canary.bundle, approved=False)
    life.turn()
    assert life.world.release.canary is None
    assert life.world.release.champion != canary.bundle
    life.turn()
    assert "rejected" in _arm(decide(life.policy, life.world), "roll-out").reason


def test_a_canary_cut_short_is_not_resumed_once_its_bundle_is_rejected() -> None:
    life = _live()
    _second(life)
    _until(life, "verify")
    life.turn(crash=True)
    entries = reversed(list(life.world.journal.values()))
    canary = next(entry for entry in entries if entry.action.kind == "canary")
    life.decide_on(BundleId(str(canary.action.inputs["bundle"])), approved=False)
    decisions = decide(life.policy, life.world)
    assert all(d.action is None or d.action.kind != "canary" for d in decisions)


def test_a_rollback_cut_short_is_not_resumed_once_its_bundle_was_deployed_again() -> None:
    life = _live()
    _second(life)
    _until(life, "canary")
    canary, champion = life.world.release.canary, life.world.release.champion
    assert canary is not None
    life.ask("rollback", {})
    life.turn(crash=True)
    assert life.world.release.canary is None, "it had its effect and no outcome"
    *arms, rest = decide(life.policy, life.world)
    assert all(d.action is None for d in arms) and rest.action is not None
    assert rest.action.kind == "rollback", "nobody asks for it but who finishes what was begun"
    # It counts as sent back already; a person overrules that, and the rest of it is void.
    life.ask("deploy", {"bundle": canary.bundle})
    _until(life, "deploy")
    assert life.world.release.champion == canary.bundle != champion
    for _ in range(10):
        life.turn()
    assert life.world.release.champion == canary.bundle


def test_a_newer_candidate_takes_the_canarys_place() -> None:
    life = _live()
    _second(life)
    _until(life, "canary")
    older = life.world.release.canary
    snapshot = next(action for action in reversed(life.done) if action.kind == "snapshot")
    result = life.world.result(snapshot)
    assert older is not None and result is not None
    inputs = {"snapshot": result["snapshot"], "code": "c", "params": {"epochs": 9}}
    life.ask("act", {"kind": "train", "inputs": inputs})
    _until(life, "rollback")
    assert life.world.release.canary is None
    _until(life, "canary")
    newer = life.world.release.canary
    assert newer is not None and newer.bundle != older.bundle


def test_a_new_champion_that_breaches_while_it_is_watched_is_returned_from_for_good() -> None:
    life = _promoted_twice()
    new, before = life.world.release.champion, life.world.release.previous
    waits = _arm(life.turn(), "guard")
    assert waits.action is None and "watched for" in waits.reason
    life.watch(FAILING, HEALTHY)
    decision = _arm(life.turn(), "guard")
    assert "the new champion breached: errors: 400 of 500" in decision.reason
    assert (life.world.release.champion, life.world.release.previous) == (before, None)
    for _ in range(20):
        life.watch(FAILING, HEALTHY)
        life.pass_time(100)
        decisions = life.turn()
    assert life.world.release.champion == before
    assert "was rolled back" in _arm(decisions, "roll-out").reason
    assert [a.inputs["bundle"] for a in life.done if a.kind == "promote"].count(new) == 1


def test_a_new_champion_is_still_watched_after_a_canary_was_sent_back() -> None:
    life = _promoted_twice()
    new, before = life.world.release.champion, life.world.release.previous
    _second(life)
    _until(life, "canary")
    life.serve(FAILING, HEALTHY)
    _until(life, "rollback")
    assert life.world.release.champion == new
    life.watch(FAILING, HEALTHY)
    assert "the new champion breached" in _arm(life.turn(), "guard").reason
    assert life.world.release.champion == before


def test_a_drifted_world_is_no_reason_to_go_back_to_the_model_before() -> None:
    life = _promoted_twice()
    new = life.world.release.champion
    _watch(life, drifted=True, harmful=False)
    worse = replace(HEALTHY, labelled={"cat": (200, 120)})
    life.watch(worse, replace(HEALTHY, labelled={"cat": (200, 4)}))
    assert "watched for" in _arm(life.turn(), "guard").reason
    assert life.world.release.champion == new


def test_a_champion_that_the_service_takes_out_of_the_way_is_returned_from() -> None:
    life = _promoted_twice()
    new, before = life.world.release.champion, life.world.release.previous
    assert new is not None
    failed = Service(1, {new: "5 of its last 5 requests failed"})
    life.world = replace(life.world, service=failed)
    assert "5 of its last 5" in _arm(life.turn(), "guard").reason
    assert life.world.release.champion == before


def test_after_its_time_of_watch_a_champion_stays() -> None:
    life = _promoted_twice()
    new = life.world.release.champion
    life.pass_time(3601)
    life.watch(FAILING, HEALTHY)
    assert _arm(life.turn(), "guard").reason == "the champion stood its time of watch"
    assert life.world.release.champion == new


def _with(strategy: str) -> Policy:
    return _policy(rollout={**FAST["rollout"], "strategy": strategy})


def test_a_shadow_comes_before_any_share_of_the_traffic() -> None:
    life = _live(_with("shadow-then-canary"))
    _second(life)
    _until(life, "canary")
    modes = []
    for _ in range(3):
        candidate = life.world.release.canary
        assert candidate is not None
        modes.append((candidate.mode, candidate.share))
        life.serve(HEALTHY, HEALTHY)
        life.pass_time(30)
        life.turn()
    assert modes == [("shadow", 1.0), ("canary", 0.2), ("canary", 0.5)]
    assert life.world.release.canary is None


def test_blue_green_waits_until_green_is_loaded_and_then_moves_all_at_once() -> None:
    life = _live(_with("blue-green"))
    blue = life.world.release.champion
    _second(life)
    _until(life, "canary")
    green = life.world.release.canary
    assert green is not None and (green.mode, green.share) == ("green", 0.0)
    assert "loads and warms it" in _arm(life.turn(), "roll-out").reason
    life.world = replace(life.world, service=Service(2, {}, frozenset({green.bundle})))
    life.turn()
    assert (life.world.release.champion, life.world.release.previous) == (green.bundle, blue)


def test_green_that_cannot_be_loaded_never_gets_traffic() -> None:
    life = _live(_with("blue-green"))
    blue = life.world.release.champion
    _second(life)
    _until(life, "canary")
    green = life.world.release.canary
    assert green is not None
    life.world = replace(life.world, service=Service(2, {green.bundle: "golden inputs differ"}))
    for _ in range(5):
        life.turn()
    assert (life.world.release.champion, life.world.release.canary) == (blue, None)


def test_a_person_can_ask_for_a_rollout_by_another_strategy() -> None:
    life = _promoted_twice()
    new, before = life.world.release.champion, life.world.release.previous
    assert new is not None and before is not None
    life.pass_time(4000)
    life.ask("deploy", {"bundle": before, "strategy": "blue-green"})
    life.turn()
    # It was champion once: the loop itself would not pursue it, a person may.
    life.world = replace(life.world, service=Service(9, {}, frozenset({before})))
    for _ in range(6):
        life.turn()
    assert life.world.requests == ()
    assert (life.world.release.champion, life.world.release.previous) == (before, new)


def test_what_was_sent_back_gets_no_new_canary_on_request_either() -> None:
    life = _live()
    _second(life)
    _until(life, "canary")
    candidate = life.world.release.canary
    assert candidate is not None
    life.serve(FAILING, HEALTHY)
    life.turn()
    life.ask("deploy", {"bundle": candidate.bundle, "strategy": "canary"})
    life.turn()
    assert "was rolled back: it gets no new canary" in str(life.done[-1].inputs["answer"])


def test_the_answers_of_a_harmed_champion_are_no_measure_for_its_successor() -> None:
    life = _live()
    for _ in range(2):
        _watch(life, drifted=True, harmful=True)
    life.people_answer(30)
    _until(life, "canary")
    unlike = replace(HEALTHY, answers={"dog": 500})
    life.serve(unlike, HEALTHY)
    life.pass_time(30)
    life.turn()
    canary = life.world.release.canary
    assert canary is not None and canary.step == 1


def test_traffic_moves_once_a_turn() -> None:
    """A person ends the canary in the very turn in which its next step is due."""
    life = _live()
    _second(life)
    _until(life, "canary")
    life.serve(HEALTHY, HEALTHY)
    life.pass_time(30)
    life.ask("rollback", {})
    decisions = life.turn()
    assert _arm(decisions, "requests").action is not None
    assert "requests moves traffic first" in _arm(decisions, "roll-out").reason
    for _ in range(5):
        life.turn()
    assert life.world.release.canary is None


def _experimenting(level: int = 1) -> tuple[Simulation, BundleId]:
    """A product with one variant on half of the traffic."""
    life, bundle = _live(_policy(level)), BundleId("b" * 64)
    life.overtake(bundle)
    life.ask("experiment", {"name": "ab", "variants": [{"bundle": bundle, "share": 0.5}]})
    life.turn()
    return life, bundle


def test_an_experiment_begins_when_a_person_asks_and_its_variants_are_fit() -> None:
    life, bundle = _experimenting()
    running = life.world.release.experiment
    assert running is not None and [v.bundle for v in running.live] == [bundle]
    assert "has served nothing yet" in _arm(life.turn(), "experiment").reason


def test_a_variant_that_breaches_is_taken_out_with_the_reason() -> None:
    life, bundle = _experimenting()
    life.serve_variants(FAILING, HEALTHY)
    decision = _arm(life.turn(), "experiment")
    assert decision.action is not None and decision.action.kind == "take-out"
    assert "errors: 400 of 500 requests failed" in decision.reason
    assert life.world.release.experiment is None
    life.ask("experiment", {"name": "again", "variants": [{"bundle": bundle, "share": 0.5}]})
    assert "was sent back" in _arm(life.turn(), "requests").reason


def test_a_variant_that_a_person_rejects_is_taken_out() -> None:
    life, bundle = _experimenting()
    life.decide_on(bundle, approved=False)
    assert "ann rejected it" in _arm(life.turn(), "experiment").reason


def test_a_variant_may_be_as_unsure_and_answer_as_differently_as_it_likes() -> None:
    life, _ = _experimenting()
    life.serve_variants(served(500, confidence=0.1), HEALTHY)
    decision = _arm(life.turn(), "experiment")
    assert decision.action is None and "not told apart yet by labels" in decision.reason


def test_a_rollout_waits_until_the_experiment_has_ended() -> None:
    life, _ = _experimenting(level=2)
    _second(life)
    _until(life, "verify")
    for _ in range(5):
        assert "waits until experiment ab has ended" in _arm(life.turn(), "roll-out").reason
    life.ask("end-experiment", {"experiment": "ab"})
    _until(life, "canary")
    life.ask("experiment", {"name": "cd", "variants": [{"bundle": "b" * 64, "share": 0.5}]})
    assert "is being rolled out" in _arm(life.turn(), "requests").reason


def test_a_rollback_ends_the_experiment_and_keeps_the_champion() -> None:
    life, _ = _experimenting()
    champion = life.world.release.champion
    life.ask("rollback", {})
    life.turn()
    assert (life.world.release.experiment, life.world.release.champion) == (None, champion)


def test_what_crashed_while_an_experiment_began_or_ended_comes_to_its_end() -> None:
    life, bundle = _live(_policy(1)), BundleId("b" * 64)
    life.overtake(bundle)
    life.ask("experiment", {"name": "ab", "variants": [{"bundle": bundle, "share": 0.5}]})
    life.turn(crash=True)
    life.turn()
    assert life.world.release.experiment is not None
    life.ask("end-experiment", {"experiment": "ab"})
    life.turn(crash=True)
    life.turn()
    assert life.world.release.experiment is None
    assert all(e.outcome is not None and e.outcome.final for e in life.world.journal.values())


@pytest.mark.parametrize(
    "wanted",
    [
        {"variants": [{"bundle": "b" * 64, "share": float("nan")}]},
        {"variants": [{"bundle": "b" * 64, "share": float("inf")}]},
        {"variants": [{"bundle": "b" * 64, "share": 0.5}], "event_most": float("inf")},
        {"variants": [{"bundle": "b" * 64, "share": 0.995}]},
        {"variants": [{"bundle": f"{n:064d}", "share": 0.01} for n in range(17)]},
    ],
)
def test_what_is_no_experiment_is_refused(wanted: dict[str, Json]) -> None:
    life = _live(_policy(1))
    life.overtake(BundleId("b" * 64))
    life.ask("experiment", {"name": "ab", **wanted})
    assert _arm(life.turn(), "requests").reason.startswith("refused: ")
    assert life.world.release.experiment is None
