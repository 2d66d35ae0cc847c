"""Faulty candidates in the real service, judged by the real loop: each is sent back by itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.bundles import graph, make_bundle
from tests.support.pictures import png
from tests.support.planted import Planted, brightness_project, planted
from tests.support.projects import until

from everloop.ids import BundleId
from everloop_runtime.client import Prediction


def _picture(n: int, *, bright: bool) -> bytes:
    """One of many pictures, each other than the next."""
    import numpy as np
    from PIL import Image

    low, high = (180, 256) if bright else (0, 76)
    grey = np.random.default_rng(n).integers(low, high, (8, 8), np.uint8)
    return png(Image.fromarray(grey))


def _send(life: Planted, numbers: range, *, bright: bool) -> list[Prediction]:
    answers = [life.client.predict(_picture(n, bright=bright)) for n in numbers]
    right = "bright" if bright else "dark"
    assert all(answer.label == right for answer in answers if answer.role == "champion")
    return answers


@pytest.fixture
def life(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Planted]:
    project = brightness_project(tmp_path / "product", **getattr(request, "param", {}))
    with planted(project, make_bundle(project.layout.bundles)) as running:
        yield running


def _in_its_place(life: Planted, bundle: BundleId) -> None:
    life.try_out(bundle)
    life.turns_until("canary")
    until(lambda: life.client.status()["bundles"].get(bundle), why="the service never took it up")


def _sent_back(life: Planted, bundle: BundleId, reason: str) -> None:
    step = life.turns_until("rollback")
    assert reason in step.decision.reason
    release = life.project.releases.current()
    assert release.canary is None and release.champion != bundle
    last = life.project.releases.history()[-1]
    assert (last.bundle, last.what) == (bundle, "canary ended") and reason in last.reason
    for _ in range(2):
        done = [step.decision.action for step in life.turn()]
        assert all(action is None or action.kind != "canary" for action in done)


@pytest.mark.parametrize("life", [{"deadline": "500ms"}], indirect=True)
def test_a_canary_that_dies_after_50_requests_is_sent_back_and_no_request_fails(
    life: Planted,
) -> None:
    bundle = make_bundle(life.project.layout.bundles, model=graph(loops_on_bright=2**60))
    _in_its_place(life, bundle)
    before = _send(life, range(100), bright=False)
    assert 20 < sum(answer.bundle == bundle for answer in before) < 80
    after = _send(life, range(100, 120), bright=True)
    assert all(answer.bundle != bundle for answer in after)
    _sent_back(life, bundle, "did not answer within 0.5 s")


def test_a_slow_canary_is_sent_back(life: Planted) -> None:
    bundle = make_bundle(life.project.layout.bundles, model=graph(loops_on_bright=40_000))
    _in_its_place(life, bundle)
    # Of fewer answers the champion's 95th percentile has no upper bound.
    _send(life, range(420), bright=True)
    _sent_back(life, bundle, "latency: ")


def test_a_canary_wrong_on_one_class_is_sent_back_when_labels_tell(life: Planted) -> None:
    bundle = make_bundle(life.project.layout.bundles, model=graph(wrong_on_bright=True))
    _in_its_place(life, bundle)
    answers = _send(life, range(60), bright=True)
    assert {answer.label for answer in answers if answer.bundle == bundle} == {"dark"}
    for answer in answers:
        life.client.feedback(answer.prediction_id, "label", "bright")
    _sent_back(life, bundle, "classes: on 'bright'")


@pytest.mark.parametrize("life", [{"strategy": "shadow-then-canary"}], indirect=True)
def test_a_shadow_wrong_on_one_class_is_sent_back_before_anyone_saw_its_answers(
    life: Planted,
) -> None:
    bundle = make_bundle(life.project.layout.bundles, model=graph(wrong_on_bright=True))
    _in_its_place(life, bundle)
    answers = _send(life, range(80), bright=True)
    assert {answer.role for answer in answers} == {"champion"}
    until(lambda: life.client.status()["mirror"]["shown"] >= 40, why="copies were not shown")
    _sent_back(life, bundle, "disagreement: ")


@pytest.mark.parametrize("life", [{"strategy": "blue-green"}], indirect=True)
def test_a_new_champion_that_fails_is_covered_by_the_former_and_returned_from(
    life: Planted,
) -> None:
    former = life.project.releases.current().champion
    bundle = make_bundle(life.project.layout.bundles, 1.0, breaks_on_bright=True)
    life.try_out(bundle)
    life.turns_until("promote")
    until(lambda: life.client.predict(_picture(1, bright=False)).bundle == bundle, why="no green")
    assert life.client.status()["fallback"] == former
    answers = [life.client.predict(_picture(n, bright=True)) for n in range(8)]
    assert {(a.bundle, a.role, a.label) for a in answers} == {(former, "fallback", "bright")}
    step = life.turns_until("rollback")
    assert "the service cannot run the new champion: 5 of its last 5" in step.decision.reason
    until(lambda: life.client.status()["champion"] == former, why="the service never went back")
    release = life.project.releases.current()
    assert (release.champion, release.previous, release.canary) == (former, None, None)


@pytest.mark.parametrize(
    "life", [{"strategy": "shadow-then-canary", "requests": 15}], indirect=True
)
def test_a_good_candidate_goes_from_shadow_to_canary_to_champion(life: Planted) -> None:
    bundle = make_bundle(life.project.layout.bundles, 0.5)
    _in_its_place(life, bundle)
    modes = []
    for start in range(0, 4000, 40):
        candidate = life.project.releases.current().canary
        if candidate is None:
            break
        modes.append(candidate.mode)
        _send(life, range(start, start + 40), bright=bool(start % 80))
        life.turn()
    assert list(dict.fromkeys(modes)) == ["shadow", "canary"]
    assert life.project.releases.current().champion == bundle
