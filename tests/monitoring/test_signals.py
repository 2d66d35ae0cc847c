"""Each signal: what it is for is found, and without a change it is as quiet as stated."""

from datetime import timedelta

import numpy as np
import pytest
from tests.support.streets import RATE, START, Street, judged, street_watch

from everloop.action import Action, Entry, Outcome
from everloop.ids import BundleId, Json
from everloop.loop.windows import since
from everloop.monitoring.finding import Finding
from everloop.monitoring.inputs import input_figures
from everloop.monitoring.looks import first_alarm, looks
from everloop.monitoring.signals.concept import detect
from everloop.monitoring.signals.known_accuracy import known_accuracy
from everloop.monitoring.signals.label_shift import priors
from everloop.monitoring.signals.slow_drift import slow_drift
from everloop.monitoring.sketch import merged
from everloop.monitoring.watch import Watch
from everloop_runtime.images import ImageSpec
from everloop_runtime.rows import Feature, RowSpec


@pytest.fixture(scope="module")
def watch() -> Watch:
    return street_watch()


def test_without_a_change_each_signal_is_as_quiet_as_stated() -> None:
    loud: dict[str, int] = {}
    for trial in range(40):
        for name, finding in judged(street_watch(trial), Street(trial, 60)).items():
            loud[name] = loud.get(name, 0) + (finding.level != "calm")
    # At most 2 are expected of each; 8 is four standard deviations more.
    assert max(loud.values()) <= 8, loud
    assert set(loud) == {"data-quality", "input-drift", "label-shift", "harm", "slices"}


def test_kinds_that_come_closer_are_harm_and_telling_samples_are_named(watch: Watch) -> None:
    found = judged(watch, Street(7, 200, apart=8))
    assert found["harm"].level == "alarm"
    assert found["harm"].value is not None and found["harm"].value > 0.1
    assert len(found["harm"].samples) == 8


def test_where_a_lamp_fails_the_darkest_pictures_tell_most(watch: Watch) -> None:
    street = Street(7, 80)
    street.pictures[40:] = street.pictures[40:] // 2
    found = judged(watch, street)
    assert found["input-drift"].level == "note"
    assert all(int(sample[1:]) >= 40 for sample in found["input-drift"].samples)
    assert found["data-quality"].level == "alarm"
    assert "brightness" in found["data-quality"].summary
    assert found["input-drift"].cause == "quality"


def test_other_shares_of_the_classes_are_called_that_and_not_harm(watch: Watch) -> None:
    street = Street(8, 300, shares=(8, 1, 1))
    found = judged(watch, street)
    assert found["label-shift"].level == "note"
    assert (found["label-shift"].slice, found["label-shift"].cause) == ("class=a", "prior")
    assert found["harm"].level == "calm"
    values, embeddings = street.answers()
    estimated = priors(watch, watch.sketch(watch.see(values, embeddings, {})))
    assert estimated is not None
    assert estimated.now[0] == pytest.approx(0.8, abs=0.07)


def test_a_drift_too_small_for_one_window_is_seen_over_eight() -> None:
    watch, parts = street_watch(count=1500), []
    for number in range(8):
        street = Street(100 + number, 80, shares=(3, 5, 7))
        parts.append(watch.sketch(watch.see(*street.answers(), {})))
    assert slow_drift(watch, parts[0], 0.01).level == "calm"
    assert slow_drift(watch, merged(parts), 0.01).level == "note"


def test_looks_at_a_growing_window_share_its_rate(watch: Watch) -> None:
    assert sum(part for _, part in looks(10**9)) < 1
    alarms = 0
    for trial in range(40):
        usual = street_watch(trial)
        found = usual.see(*Street(trial, 160).answers(), {})
        alarms += first_alarm(usual, found, RATE) is not None
    # At most 2 are expected; 8 is four standard deviations more.
    assert alarms <= 8
    dark = Street(9, 160)
    dark.pictures //= 2
    alarm = first_alarm(watch, watch.see(*dark.answers(), {}), RATE)
    assert alarm is not None and alarm.answers == 20


def test_errors_that_came_later_are_told_from_when_on() -> None:
    random = np.random.default_rng(3)
    before, after = random.random(400) < 0.08, random.random(200) < 0.4
    found = detect([*before, *after], 0.1, 0.0001)
    assert found.alarm is not None
    assert 380 <= found.since <= 415
    assert found.alarm - 400 <= 60


def test_without_more_errors_an_alarm_is_as_rare_as_stated() -> None:
    random = np.random.default_rng(4)
    alarms = sum(
        detect((random.random(1000) < 0.1).tolist(), 0.1, 0.0001).alarm is not None
        for _ in range(100)
    )
    # A false alarm in 10,000 labels at most: in 100 times 1,000 at most ten are expected.
    assert alarms <= 10


def test_true_accuracy_is_an_alarm_only_when_its_interval_is() -> None:
    assert known_accuracy(0, 0, 0.95, 0.05).value is None
    assert known_accuracy(8, 10, 0.95, 0.05).level == "calm"
    assert known_accuracy(64, 80, 0.95, 0.05).level == "alarm"


def test_a_finding_is_told_since_its_episode_began() -> None:
    def window(number: int, level: str) -> Entry:
        told: dict[str, Json] = {"name": "harm", "level": level, "summary": ""}
        result: dict[str, Json] = {
            "first_at": (START + timedelta(hours=number)).isoformat(),
            "findings": [told],
        }
        action = Action("monitor", {"window": number, "bundle": BundleId("b")})
        done = Outcome(final=True, result=result)
        return Entry(action, "monitor", "", START, None, 0, done, START)

    levels = ["alarm", "calm", "calm", "alarm", "calm", "note"]
    before = [window(number, level) for number, level in enumerate(levels)][::-1]
    now = START + timedelta(hours=6)
    alarm = Finding("harm", "alarm", "")
    assert since(alarm, now, before, 2).since == START + timedelta(hours=3)
    assert since(alarm, now, before, 1).since == START + timedelta(hours=5)
    assert since(Finding("harm", "calm", ""), now, before, 2).since is None


def test_columns_of_rows_are_watched_by_their_names() -> None:
    spec = RowSpec((Feature("age"), Feature("town", ("x", "y"))))
    rows = np.array([[30, 0], [np.nan, 1], [50, -1]], np.float32)
    found = input_figures(rows, spec)
    assert list(found) == ["column age", "column town"]
    assert np.isnan(found["column age"][1])


def test_pictures_tell_light_contrast_sharpness_and_direction() -> None:
    stripes = np.zeros((2, 16, 16, 3), np.uint8)
    stripes[0, :, ::4] = 255
    stripes[1, ::4] = 255
    found = input_figures(stripes, ImageSpec(16, 16, 3))
    assert found["brightness"] == pytest.approx([0.25, 0.25])
    assert found["direction"] == pytest.approx([1, -1], abs=1e-3)
    assert found["colour"] == pytest.approx([0, 0])
    blurred = input_figures(np.full_like(stripes, 64), ImageSpec(16, 16, 3))
    assert blurred["sharpness"][0] < found["sharpness"][0]
