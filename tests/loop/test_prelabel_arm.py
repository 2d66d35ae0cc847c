"""When the live model's answers are taken for labels without a person, and when no more."""

from tests.support.simulation import Simulation

from everloop.ids import Json
from everloop.loop.decide import decide
from everloop.loop.decision import Decision
from everloop.policy import Policy


def _live(precision: float = 0.99) -> Simulation:
    policy = {
        "level": 2,
        "train": {"min_labels": 10, "new_labels": 500},
        "monitor": {"window": 20, "confirm": 9},
        "labelling": {"prelabel": {"precision": precision, "audit_share": 0.2}},
    }
    life = Simulation(Policy.model_validate(policy))
    life.label(20, 5)
    for _ in range(30):
        life.turn()
        life.pass_time(1)
    assert life.world.release.champion is not None
    return life


def _arm(life: Simulation) -> Decision:
    decisions = decide(life.policy, life.world)
    return next(d for d in decisions if d.arm == "prelabel")


def _kinds(life: Simulation) -> list[str]:
    return [action.kind for action in life.done]


def test_it_is_off_by_default() -> None:
    life = _live(0.0)
    assert "precision is 0" in _arm(life).reason
    assert "prelabel-rule" not in _kinds(life)


def test_sure_answers_are_taken_once_the_hold_out_shows_the_promise() -> None:
    life = _live()
    assert _kinds(life).count("prelabel-rule") == 1
    assert "no open task is sure enough" in _arm(life).reason
    life.sure_tasks(50)
    life.turn()
    taken = life.done[-1]
    assert (taken.kind, taken.inputs["threshold"], taken.inputs["audit_share"]) == ("accept", 0.9,
                                                                                   0.2)  # fmt: skip
    assert life.world.labels.total == 25
    life.turn()
    assert life.world.labels.total > 25
    assert "50 taken, 0 of 0 audited were right" in _arm(life).reason


def test_without_a_confidence_that_shows_it_nothing_is_taken() -> None:
    life = Simulation(_live().policy, chance=lambda: True)
    life.label(20, 5)
    for _ in range(12):
        life.chance = lambda: not any(a.kind == "promote" for a in life.done)
        life.turn()
        life.pass_time(1)
    assert "no answer is taken for a label: so it was" in _arm(life).reason
    assert "accept" not in _kinds(life)


def test_audits_that_break_the_promise_switch_it_off_for_good_and_people_are_asked_again() -> None:
    life = _live()
    life.sure_tasks(50)
    life.turn()
    life.audit_sure(20, 19)
    assert _arm(life).action is None, "one wrong of twenty may be chance"
    life.audit_sure(20, 15)
    asked = _arm(life)
    assert asked.action is not None and asked.action.kind == "withdraw-prelabels"
    assert "only 15 of 20 audited answers were right where 0.99 was promised" in asked.reason
    life.turn()
    assert life.world.queue.open >= 50
    # Later audits do not let it creep back.
    life.audit_sure(400, 395)
    life.sure_tasks(30)
    life.turn()
    told = _arm(life)
    assert told.action is None and "off for bundle" in told.reason and "15 of 20" in told.reason
    assert _kinds(life).count("accept") == 1


def test_the_answers_of_a_model_that_is_harmed_are_not_taken() -> None:
    life = _live()
    told: dict[str, Json] = {"drifted": True, "harmful": True, "summary": ""}
    life._effects["monitor"] = lambda _: told
    life.traffic(20)
    for _ in range(4):
        life.turn()
    life.sure_tasks(10)
    assert "held to be harmed" in _arm(life).reason
