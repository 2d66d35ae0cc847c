"""A/B tests in the real service, begun, judged and ended by the real loop."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.support.bundles import graph, make_bundle
from tests.support.pictures import noise, png
from tests.support.planted import Planted, brightness_project, now, planted, vouch_for
from tests.support.projects import everloop, told, until

from everloop.errors import Conflict
from everloop.ids import BundleId, Json
from everloop.loop.arms.reply import REFUSED
from everloop.loop.controller import acquire, take_turn
from everloop.loop.experiments import compared, find_experiment
from everloop.loop.models import judged_model
from everloop.loop.observe import observe
from everloop.loop.project import LEASE_TTL
from everloop.loop.pursuit import pursue
from everloop_runtime.client import Prediction, Statement
from everloop_runtime.routes import read_routes


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Planted]:
    project = brightness_project(tmp_path / "product")
    with planted(project, make_bundle(project.layout.bundles)) as running:
        yield running


def _verified(life: Planted, lean: float = 0.0, **how: Any) -> BundleId:
    model = graph(lean, **how) if how else None
    bundle = make_bundle(life.project.layout.bundles, lean, model=model)
    vouch_for(life.project, life.fence, bundle)
    return bundle


def _wanted(name: str, *bundles: BundleId, share: float = 0.4) -> dict[str, Json]:
    variants: list[Json] = [{"bundle": bundle, "share": share} for bundle in bundles]
    return {"name": name, "variants": variants, "event": "bought"}


def _begun(life: Planted, *bundles: BundleId, name: str = "ab") -> None:
    answer = life.asked("experiment", _wanted(name, *bundles))
    assert answer.startswith(f"experiment {name}: "), answer
    until(
        lambda: set(bundles) <= set(life.client.status()["bundles"]),
        why="the service never took the variants up",
    )


def _ask(life: Planted, users: range) -> dict[int, Prediction]:
    """One picture for each user; every request is answered."""
    return {n: life.client.predict(noise(n), key=f"user {n}") for n in users}


def test_two_variants_are_served_and_events_tell_which_is_better(life: Planted) -> None:
    champion = life.project.releases.current().champion
    good, poor = _verified(life, 0.1), _verified(life, 0.2)
    _begun(life, good, poor)
    users = range(220)
    answers, again = _ask(life, users), _ask(life, users)
    assert {n: a.bundle for n, a in answers.items()} == {n: a.bundle for n, a in again.items()}
    assert {(a.bundle, a.role) for a in answers.values()} == {
        (champion, "champion"), (good, "variant"), (poor, "variant")
    }  # fmt: skip
    # Who has the good variant buys each time, of the others every second: no harm, and a winner.
    bought = [
        Statement(answer.prediction_id, "event", "bought")
        for n, answer in [*answers.items(), *again.items()]
        if answer.bundle == good or n % 2
    ]
    assert not any(life.client.feedback_many(bought))
    folder = life.project.layout.project

    def finding() -> dict[str, str]:
        life.turn()
        shown: Any = compared(life.project, find_experiment(life.project, None))
        return {one["bundle"]: one["finding"] for one in shown["variants"]}

    until(lambda: finding()[good] == "better", why="the better variant was never told")
    assert finding()[poor] == "not told apart yet"
    shown = told(folder, "experiment", "show")
    assert shown["decided by"] == "event" and shown["error rate"] == 0.05
    for one in shown["variants"]:
        assert {"errors", "latency", "confidence", "labels", "event"} == set(one["measures"])
        for measure in one["measures"].values():
            assert measure["variant"]["high"] is None or (
                measure["variant"]["low"] <= (measure["variant"]["value"] or 0.0)
            )
    assert told(folder, "status")["experiment"]["name"] == "ab"
    arm = next(row for row in told(folder, "why") if row["arm"] == "experiment")
    assert f"{good[:8]} better by event" in arm["reason"]
    assert life.asked("end-experiment", {"experiment": "ab", "promote": good}) == "deployed"
    release = life.project.releases.current()
    assert (release.champion, release.previous, release.experiment) == (good, champion, None)
    assert "ends experiment ab" in life.project.releases.history()[-1].reason
    (ended,) = life.project.experiments.all()
    assert ended.reason == f"its variant {good[:8]} became the champion"


def test_a_failing_variant_is_taken_out_and_nobody_elses_key_moves(life: Planted) -> None:
    failing = _verified(life, breaks_on_bright=True)
    good = _verified(life, 0.3)
    _begun(life, failing, good)
    users = range(60)
    dark = {n: life.client.predict(_flat(n, 20), key=f"user {n}").bundle for n in users}
    assert set(dark.values()) == {failing, good, life.project.releases.current().champion}
    bright = {n: life.client.predict(_flat(n, 230), key=f"user {n}").bundle for n in users}
    assert failing not in bright.values()
    assert all(bright[n] == dark[n] for n in users if dark[n] != failing)
    step = life.turns_until("take-out")
    assert "the service cannot run it" in step.decision.reason or "errors: " in step.decision.reason
    running = life.project.releases.current().experiment
    assert running is not None and [v.bundle for v in running.live] == [good]
    until(lambda: failing not in life.client.status()["bundles"], why="it is still loaded")
    after = {n: life.client.predict(_flat(n, 20), key=f"user {n}") for n in users}
    assert all(after[n].bundle == dark[n] for n in users if dark[n] != failing)
    assert {after[n].role for n in users if dark[n] == failing} == {"champion"}
    change = life.project.releases.history()[-1]
    assert (change.what, change.bundle) == ("variant out", failing)
    answer = life.asked("experiment", _wanted("again", failing))
    assert answer.startswith(REFUSED) and "experiment ab runs" in answer
    assert life.asked("end-experiment", {"experiment": "ab"}) == "experiment ab has ended"
    answer = life.asked("experiment", _wanted("again", failing))
    assert answer.startswith(REFUSED) and "was sent back" in answer


def _flat(n: int, level: int) -> bytes:
    """One of many pictures, all dark or all bright, each other than the next."""
    grey = np.random.default_rng(n).integers(level, level + 20, (8, 8), np.uint8)
    return png(Image.fromarray(grey))


def test_what_may_not_be_tried_is_refused_with_the_reason(life: Planted) -> None:
    champion = life.project.releases.current().champion
    assert champion is not None
    fit, unfit = _verified(life, 0.1), make_bundle(life.project.layout.bundles, 0.9)
    for wanted, reason in (
        (_wanted("ab", unfit), "has not passed its gates"),
        (_wanted("ab", champion), "is the champion"),
        (_wanted("../x", fit), "is no name"),
        (_wanted("ab", fit, share=1.0), "stays with the champion"),
        (_wanted("ab", fit, share=-0.1), "above 0"),
        (_wanted("ab"), "0 variants"),
    ):
        answer = life.asked("experiment", wanted)
        assert answer.startswith(REFUSED) and reason in answer
    assert life.project.experiments.all() == ()


def test_an_experiment_and_a_candidate_are_never_on_trial_at_once(life: Planted) -> None:
    candidate, other = make_bundle(life.project.layout.bundles, 0.5), _verified(life, 0.1)
    life.try_out(candidate)
    life.turns_until("canary")
    answer = life.asked("experiment", _wanted("ab", other))
    assert answer.startswith(REFUSED) and "is being rolled out" in answer
    _begun(life, other, candidate)
    release = life.project.releases.current()
    assert release.canary is None and release.experiment is not None
    for _ in range(3):
        assert all(s.decision.action is None or s.decision.action.kind != "canary"
                   for s in life.turn())  # fmt: skip
    pursuit = pursue(life.project.policy, observe(life.project, now()))
    assert pursuit is not None and "waits until experiment ab has ended" in pursuit.reason
    assert life.asked("rollback", {}) == "experiment ab has ended"


def test_an_experiment_lives_on_under_another_controller_and_its_lease_is_renewed(
    life: Planted,
) -> None:
    one = _verified(life, 0.1)
    _begun(life, one)
    routes = life.project.layout.routes
    first = read_routes(routes).experiment
    # The controller dies; when its lease has run out, another takes over.
    later = now() + LEASE_TTL + timedelta(seconds=1)
    fence = acquire(life.project, later)
    assert fence is not None and first is not None
    with pytest.raises(Conflict):
        life.project.experiments.end("ab", "a stale write", life.fence, later)
    after = later + life.project.policy.rollout.lease
    take_turn(life.project, fence, lambda: after)
    renewed = read_routes(routes).experiment
    assert renewed is not None and renewed.renewal > first.renewal
    assert renewed.variants == first.variants
    life.project.leases.release(fence)


def test_the_commands_begin_show_and_end_one_where_no_loop_runs(life: Planted) -> None:
    bundle, folder = _verified(life, 0.1), life.project.layout.project
    life.project.leases.release(life.fence)
    said = everloop(folder, "experiment", "start", "ab", "--variant", f"{bundle[:8]}=0.25")
    assert (said.code, said.out.strip()) == (0, f"experiment ab: {bundle[:8]} 25%"), said.err
    shown = everloop(folder, "experiment", "show")
    assert f"{bundle[:8]} (25%, 0 requests): not told apart yet by labels" in shown.out
    assert "With a chance of 95%" in shown.out
    assert judged_model(life.project, bundle).traffic == "variant, 25%"
    assert told(folder, "releases", "show")["experiment"]["shares"] == {bundle[:8]: 0.25}
    assert told(folder, "experiment", "stop")["answer"] == "experiment ab has ended"
    assert told(folder, "experiment", "list")[0]["why ended"] == "operator asked to end it"
    again = everloop(folder, "experiment", "start", "ab", "--variant", f"{bundle[:8]}=0.25")
    assert again.code == 3 and "another name" in again.err
    assert everloop(folder, "experiment", "start", "x", "--variant", "half").code == 2


def test_feedback_is_told_singly_and_from_files(life: Planted, tmp_path: Path) -> None:
    folder = life.project.layout.project
    answers = [life.client.predict(noise(n)).prediction_id for n in range(6)]
    assert told(folder, "feedback", answers[0], "bright") == {"accepted": 1, "refused": []}
    assert told(folder, "feedback", answers[0], '{"basket": 2.5}', "--kind", "event")
    table = tmp_path / "said.csv"
    rows = [f"{answer},correction,dark" for answer in answers[1:5]]
    table.write_text("\n".join(["prediction_id,kind,value", *rows, f"{answers[5]},opinion,bad"]))
    said = everloop(folder, "feedback", "--from", str(table))
    assert said.code == 3 and "4 kept, 1 refused" in said.out and "opinion" in said.out
    many = tmp_path / "said.jsonl"
    lines = [
        f'{{"prediction_id": "{n:032x}", "kind": "event", "value": "seen"}}' for n in range(700)
    ]
    lines[650] = '{"prediction_id": "x", "kind": "label", "value": 7}'
    many.write_text("\n".join(lines))
    found = everloop(folder, "feedback", "--from", str(many), "--json")
    assert (found.code, found.out.count('"line": 651')) == (3, 1)
    kept = life.project.data.feedback

    def counts() -> Mapping[str, int]:
        life.turn()
        return kept.counts()

    until(lambda: counts() == {"label": 1, "event": 700, "correction": 4}, 30, "it was not kept")
    assert kept.events()[answers[0]] == {"basket": 2.5}
    assert everloop(folder, "feedback", answers[0]).code == 2
