"""Each signal: what it is for is found, and without a change it is as quiet as stated."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray

from everloop.action import Action, Entry, Outcome
from everloop.data.predictions import Window
from everloop.ids import BundleId, Json, PredictionId, SampleId
from everloop.loop.windows import since
from everloop.monitoring.finding import Finding
from everloop.monitoring.inputs import input_figures
from everloop.monitoring.looks import first_alarm, looks
from everloop.monitoring.period import Limits
from everloop.monitoring.reference import Known, build_reference, read_reference
from everloop.monitoring.signal import judge_window
from everloop.monitoring.signals.concept import detect
from everloop.monitoring.signals.known_accuracy import known_accuracy
from everloop.monitoring.signals.label_shift import priors
from everloop.monitoring.signals.slow_drift import slow_drift
from everloop.monitoring.sketch import merged
from everloop.monitoring.watch import Watch
from everloop.tasks.image_classification import ImageClassification
from everloop_runtime.images import ImageSpec
from everloop_runtime.rows import Feature, RowSpec

TASK = ImageClassification("abc", size=(8, 8), channels=1)
SPEC = ImageSpec(8, 8, 1)
RATE = 0.05
START = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Street:
    """Pictures of three kinds, dark, middling or bright on the left, and a model of them."""

    def __init__(
        self, seed: int, count: int, shares: tuple[float, ...] = (1, 1, 1), apart: float = 30
    ) -> None:
        random = np.random.default_rng(seed)
        odds = np.array(shares) / sum(shares)
        self.labels = random.choice(3, count, p=odds)
        pictures = random.normal(110, 12, (count, 8, 8, 1))
        # Kinds overlap, so that the model is right four times in five.
        kinds = apart * (self.labels - 1) + random.normal(0, 15, count)
        pictures[:, :, :4] += kinds[:, None, None, None]
        self.pictures = np.clip(pictures, 0, 255).astype(np.uint8)

    def answers(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        flat = self.pictures.reshape(len(self.pictures), -1).astype(np.float32)
        flat /= np.float32(255)
        left = flat.reshape(-1, 8, 8)[:, :, :4].mean(axis=(1, 2))
        middles = (110 + 30 * np.array([-1, 0, 1])) / 255
        logits = -((left[:, None] - middles) ** 2) / (2 * (15 / 255) ** 2)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: NDArray[np.float32] = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
        return shares, flat


@lru_cache(maxsize=64)
def _watch(seed: int = 0, count: int = 250) -> Watch:
    train, held = Street(seed + 1000, 400), Street(seed + 2000, count)
    values, embeddings = held.answers()
    known = Known(TASK, train.answers()[0], input_figures(train.pictures, SPEC),
                  input_figures(held.pictures, SPEC), held.labels)  # fmt: skip
    right = values.argmax(axis=1) == held.labels
    data = build_reference(values, embeddings, right, train.answers()[1], known)
    return Watch(read_reference(data), TASK)


def _judged(watch: Watch, street: Street) -> dict[str, Finding]:
    values, embeddings = street.answers()
    count = len(values)
    window = Window(
        tuple(PredictionId(f"p{n}") for n in range(count)),
        tuple(SampleId(f"s{n}") for n in range(count)),
        values,
        embeddings,
        tuple(START + timedelta(seconds=n) for n in range(count)),
    )
    found = watch.see(values, embeddings, input_figures(street.pictures, SPEC))
    limits = Limits(RATE, 0.05, ("a", "b", "c"))
    signal = judge_window(watch, window, found, 0, limits)
    return {finding.name: finding for finding in signal.findings}


@pytest.fixture(scope="module")
def watch() -> Watch:
    return _watch()


def test_without_a_change_each_signal_is_as_quiet_as_stated() -> None:
    loud: dict[str, int] = {}
    for trial in range(40):
        for name, finding in _judged(_watch(trial), Street(trial, 60)).items():
            loud[name] = loud.get(name, 0) + (finding.level != "calm")
    # At most 2 are expected of each; 8 is four standard deviations more.
    assert max(loud.values()) <= 8, loud
    assert set(loud) == {"data-quality", "input-drift", "label-shift", "harm"}


def test_kinds_that_come_closer_are_harm_and_telling_samples_are_named(watch: Watch) -> None:
    found = _judged(watch, Street(7, 200, apart=8))
    assert found["harm"].level == "alarm"
    assert found["harm"].value is not None and found["harm"].value > 0.1
    assert len(found["harm"].samples) == 8


def test_where_a_lamp_fails_the_darkest_pictures_tell_most(watch: Watch) -> None:
    street = Street(7, 80)
    street.pictures[40:] = street.pictures[40:] // 2
    found = _judged(watch, street)
    assert found["input-drift"].level == "note"
    assert all(int(sample[1:]) >= 40 for sample in found["input-drift"].samples)
    assert found["data-quality"].level == "alarm"
    assert "brightness" in found["data-quality"].summary
    assert found["input-drift"].cause == "quality"


def test_other_shares_of_the_classes_are_called_that_and_not_harm(watch: Watch) -> None:
    street = Street(8, 300, shares=(8, 1, 1))
    found = _judged(watch, street)
    assert found["label-shift"].level == "note"
    assert (found["label-shift"].slice, found["label-shift"].cause) == ("class=a", "prior")
    assert found["harm"].level == "calm"
    values, embeddings = street.answers()
    estimated = priors(watch, watch.sketch(watch.see(values, embeddings, {})))
    assert estimated is not None
    assert estimated.now[0] == pytest.approx(0.8, abs=0.07)


def test_a_drift_too_small_for_one_window_is_seen_over_eight() -> None:
    watch, parts = _watch(count=1500), []
    for number in range(8):
        street = Street(100 + number, 80, shares=(3, 5, 7))
        parts.append(watch.sketch(watch.see(*street.answers(), {})))
    assert slow_drift(watch, parts[0], 0.01).level == "calm"
    assert slow_drift(watch, merged(parts), 0.01).level == "note"


def test_looks_at_a_growing_window_share_its_rate(watch: Watch) -> None:
    assert sum(part for _, part in looks(10**9)) < 1
    alarms = 0
    for trial in range(40):
        usual = _watch(trial)
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
