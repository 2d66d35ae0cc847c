"""What pages show, made of plain values without a server."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.clock import at
from tests.support.simulation import Simulation, empty_world

from everloop.action import Action, Entry, Outcome
from everloop.ids import BundleId, Json
from everloop.labels import Box, BoxesLabel, ClassLabel, decode
from everloop.loop.decide import decide
from everloop.loop.models import JudgedModel
from everloop.loop.telling import ArmNow
from everloop.loop.trace import Chain
from everloop.loop.world import World
from everloop.policy import Policy
from everloop.state.releases import CanaryState, Release
from everloop.web.asked import figure_of
from everloop.web.tries import Tries
from everloop.web.views import label as label_view
from everloop.web.views.data import counted, growth
from everloop.web.views.loop import LoopView, loop_view
from everloop.web.views.models import compared, model_rows, model_view
from everloop.web.views.releases import back, releases_view, shares
from everloop.web.views.trace import graph, links
from everloop.web.views.trial import answer_view, calls
from everloop_runtime.problems import Problem

CHAMPION, CANARY, BEFORE = (BundleId(letter * 64) for letter in "abc")


def _policy(level: int = 2) -> Policy:
    return Policy.model_validate({"level": level})


def _loop(world: World, level: int = 2, last: Entry | None = None) -> LoopView:
    policy = _policy(level)
    arms = [
        ArmNow(
            d.arm, d.action.kind if d.action else None, d.reason, last if d.arm == "learn" else None
        )
        for d in decide(policy, world)
    ]
    timeline = [last] if last else []
    return loop_view(policy, world, arms, timeline, product="things", service=None, controller=None)


def _entry(error: str | None = None) -> Entry:
    outcome = Outcome(True, result={"summary": "12 samples"}, error=error)
    return Entry(Action("snapshot"), "learn", "enough labels", at(0), None, 0, outcome, at(1))


def test_every_arm_is_a_stage_of_the_ring_or_told_beside_it() -> None:
    simulation = Simulation(_policy())
    view = _loop(simulation.world)
    shown = {arm for stage in view.stages for arm, _ in stage.reasons} | {
        a.arm for a in view.others
    }
    assert shown == {d.arm for d in decide(_policy(), simulation.world)}
    assert len(view.stages) == 9 and all(stage.reasons for stage in view.stages)
    assert {a.arm for a in view.others} == {"requests", "resume"}


def test_a_stage_says_that_it_failed_waits_for_people_or_is_off() -> None:
    view = _loop(empty_world(), level=0, last=_entry("no disk"))
    states = {stage.name: stage.state for stage in view.stages}
    assert states["Learn"] == "failed" and states["Watch"] == states["Label"] == "off"
    learn = next(stage for stage in view.stages if stage.name == "Learn")
    assert learn.is_newest and "FAILED no disk" in learn.last
    world = empty_world()
    asked = replace(world, queue=replace(world.queue, open=3))
    assert {s.name: s.state for s in _loop(asked).stages}["Label"] == "person"


def test_a_stage_whose_action_is_under_way_is_at_work() -> None:
    world = empty_world()
    arms = [ArmNow("judge", None, "evaluate is under way: bundle 1 is measured", None)]
    view = loop_view(_policy(), world, arms, [], product="x", service=None, controller=None)
    states = {stage.name: stage.state for stage in view.stages}
    assert states["Judge"] == "moves" and states["Learn"] == "waits"


def test_what_the_next_level_needs_is_told_with_what_is_there() -> None:
    world = replace(empty_world(), release=Release(champion=CHAMPION), answers=120)
    wanted = {w.text: w.is_there for w in _loop(world, level=1).next_level}
    assert wanted["a model is live"] and wanted["the privacy gate is open"]
    assert not wanted["200 captured answers of it, one window to watch: 120 so far"]
    assert not _loop(world, level=2).next_level


def test_shares_add_up_and_a_shadow_takes_none() -> None:
    canary = CanaryState(CANARY, 0, 0.3, at(0))
    release = Release(4, CHAMPION, at(0), BEFORE, canary)
    assert [(s.role, s.share) for s in shares(release)] == [("champion", 0.7), ("canary", 0.3)]
    shadow = replace(release, canary=replace(canary, mode="shadow"))
    assert [s.share for s in shares(shadow)] == [1.0, 0.0]
    assert shares(Release()) == ()


def test_a_rollback_says_what_it_would_do() -> None:
    canary = CanaryState(CANARY, 0, 0.3, at(0))
    assert back(Release(canary=canary, previous=BEFORE)).endswith(CANARY[:8])
    assert "champion again" in back(Release(champion=CHAMPION, previous=BEFORE))
    assert back(Release(champion=CHAMPION)) == ""


def test_a_breach_is_told_from_what_is_fine() -> None:
    told = {"signals": {"errors": "within its limit", "latency": "4 times slower"}}
    view = releases_view(Release(), told, ())
    assert [(s.name, s.is_fine) for s in view.signals] == [("errors", True), ("latency", False)]


def test_after_a_promotion_the_challenger_is_called_the_champion() -> None:
    told: dict[str, Json] = {
        "figures": {"champion": {"events": {}}, "challenger": {"answers": {"cat": 3}}}
    }
    before, after = releases_view(Release(champion=CHAMPION), told, ()).sides
    assert (before.name, after.name) == ("champion before", "champion now")
    assert before.figures == (("events", "none"),) and after.figures == (("answers", "cat: 3"),)
    trying = Release(champion=CHAMPION, canary=CanaryState(CANARY, 0, 0.3, at(0)))
    assert [side.name for side in releases_view(trying, told, ()).sides][1] == "challenger"


def test_models_are_compared_by_every_metric_that_either_has() -> None:
    one = JudgedModel(CHAMPION, "s", {"accuracy": 0.9, "f1": float("nan")}, "accuracy", True,
                      (), 1, None, "champion")  # fmt: skip
    two = replace(one, bundle=CANARY, metrics={"accuracy": 0.95}, traffic="none")
    rows = {row.name: row.difference for row in compared(one, two)}
    assert rows["accuracy"] == pytest.approx(0.05) and rows["f1"] is None
    assert [row.bundle for row in model_rows([one, two], {})] == [CANARY, CHAMPION]
    assert model_view(two, None, "", by_person=True).awaited
    assert not model_view(one, None, "", by_person=True).awaited, "it is live already"
    assert not model_view(two, None, "", by_person=False).awaited


def test_each_key_stands_for_one_class_and_for_nothing_else() -> None:
    keys = [k.key for k in label_view.keys_for([f"class {n}" for n in range(40)])]
    used = [key for key in keys if key]
    assert len(used) == len(set(used)) and not set(used) & label_view.TAKEN
    assert len(keys) == 40 and keys[-1] == ""
    assert [k.key for k in label_view.keys_for("012")] == ["0", "1", "2"]


def test_a_class_that_looks_like_json_is_still_a_class() -> None:
    assert decode(label_view.label_text('{"boxes": []}')) == ClassLabel('{"boxes": []}')
    assert decode(label_view.label_text({"boxes": []})) == BoxesLabel(())


@pytest.mark.parametrize("edges", [(-1, 0, 5, 5), (0, 0, 11, 5), (3, 3, 3, 5), (5, 0, 2, 5)])
def test_a_box_that_leaves_the_picture_is_none(edges: tuple[float, float, float, float]) -> None:
    assert label_view.outside(BoxesLabel((Box("cell", *edges),)), 10, 10)
    assert label_view.outside(BoxesLabel((Box("cell", 0, 0, 10, 10),)), 10, 10) is None


def test_nobody_is_shut_out_for_longer_than_a_window_and_memory_is_bounded() -> None:
    tries = Tries(most=3, window=60)
    assert [tries.wrong("a", second) for second in (0, 1, 2, 3)] == [False, False, True, False]
    assert tries.wait("a", 10) and not tries.wait("b", 10) and not tries.wait("a", 61)
    # A clock set back shuts nobody out for ever.
    assert not tries.wait("a", -1000)
    for n in range(3000):
        tries.wrong(str(n), 5)
    assert len(tries._seen) == 1000


@pytest.mark.parametrize("text", ["-1", "1e3", "9" * 5000, "x", "٣"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(Problem) as told:
        figure_of(text)
    assert told.value.status == 422


def test_calls_name_the_service_and_a_key_only_where_one_is_asked_for() -> None:
    told = calls("http://127.0.0.1:8600", is_row=False, needs_key=False)
    assert "http://127.0.0.1:8600/v1/predict" in told.curl and "KEY" not in told.curl + told.python
    assert "YOUR_KEY" in calls("http://x", is_row=True, needs_key=True).python


def test_an_answer_keeps_its_likeliest_classes_in_order() -> None:
    shares = {f"c{n}": n / 100 for n in range(20)}
    told = answer_view({"prediction_id": "p", "probabilities": shares, "debug": 1})
    assert told["probabilities"][0] == ["c19", 0.19] and len(told["probabilities"]) == 8
    assert "debug" not in told


def test_a_chain_is_told_flat_in_its_order() -> None:
    environment = {"python": "3.11", "numpy": "2"}
    chain = Chain(
        {"id": "p", "sample": "s"},
        {"id": "b", "gate": {"why": "w"}},
        {"environment": environment},
        {},
        {"by ann": 3},
    )
    drawn = graph(chain)
    assert [node.what for node in drawn.nodes] == [
        "by ann", "snapshot", "run", "bundle", "answer", "sample",
    ]  # fmt: skip
    assert len(drawn.edges) == 5 and drawn.edges[-1][2:] == drawn.edges[-2][2:]
    told = links(chain)
    assert [link.name for link in told] == ["prediction", "bundle", "run", "snapshot", "labels"]
    assert told[1].facts == (("id", "b"), ("gate / why", "w"))
    assert told[2].facts == (("environment", "python 3.11, 1 distributions"),)


def test_growth_and_balance_are_drawn_to_scale() -> None:
    assert growth([10]) == "" and growth([0, 10]).endswith("600,0")
    rows = counted({"cat": 5, "dog": 10})
    assert [(row.label, row.part) for row in rows] == [("dog", 1.0), ("cat", 0.5)]


def test_others_can_reach_the_pages_only_with_tls_or_on_purpose() -> None:
    with pytest.raises(ValueError, match="name a certificate and its key"):
        Policy.model_validate({"level": 0, "web": {"host": "0.0.0.0"}})
    with pytest.raises(ValueError, match="belong together"):
        Policy.model_validate({"level": 0, "web": {"certificate": "a.pem"}})
    meant = Policy.model_validate({"level": 0, "web": {"host": "0.0.0.0", "without_tls": True}})
    assert meant.web.session == timedelta(hours=12)
