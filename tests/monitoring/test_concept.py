"""Concept drift in labels that come late: what is found, when, and by whose detector."""

import random
import sys

import pytest

from everloop.errors import Refused
from everloop.monitoring.signals.concept import Detector, concept_drift, detect
from everloop.monitoring.signals.river_errors import RIVER, river_detector
from everloop.policy import MonitorPolicy

_RATE = 0.01 / 200


def _errors(seed: int, *shares: tuple[int, float]) -> list[bool]:
    """So many labels with so many errors, one stretch after another."""
    draw = random.Random(seed)
    return [draw.random() < share for count, share in shares for _ in range(count)]


def _detectors() -> dict[str, Detector]:
    pytest.importorskip("river", reason="the extra river is not installed")
    return {"e-detector": detect, **{name: river_detector(name) for name in RIVER}}


def test_each_detector_finds_the_change_and_where_it_began() -> None:
    for name, detector in _detectors().items():
        for seed in range(5):
            found = detector(_errors(seed, (1000, 0.05), (1000, 0.35)), 0.1, _RATE)
            assert found.alarm is not None, (name, seed)
            if (
                name == "ddm"
            ):  # it states no rate, and often raises an alarm before there is a change
                continue
            assert 1000 < found.alarm < 1400, (name, seed)
            assert 900 < found.since < 1050, (name, seed)


def test_no_detector_calls_fewer_errors_an_alarm() -> None:
    for name, detector in _detectors().items():
        found = detector(_errors(3, (1000, 0.4), (2000, 0.02)), 0.45, _RATE)
        assert found.alarm is None, name


def test_those_that_state_a_rate_keep_it_without_a_change() -> None:
    detectors = _detectors()
    for name in ("e-detector", "adwin", "hddm"):
        alarms = [detectors[name](_errors(seed, (2000, 0.05)), 0.05, _RATE) for seed in range(20)]
        assert sum(found.alarm is not None for found in alarms) <= 2, name


def test_a_finding_tells_its_cause_and_the_share_of_errors() -> None:
    errors = _errors(1, (500, 0.05), (500, 0.5))
    for detector in _detectors().values():
        found, told = concept_drift(errors, 95, 100, _RATE, input_changed=False, detector=detector)
        assert (found.level, found.cause) == ("alarm", "concept")
        assert found.value is not None and found.limit is not None and found.value >= found.limit
        assert f"of the last {len(errors) - told.since} labelled answers" in found.summary


def test_every_detector_of_the_policy_is_there_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    named = set(MonitorPolicy.model_json_schema()["properties"]["errors"]["enum"])
    assert named == {"e-detector", *RIVER}
    monkeypatch.setitem(sys.modules, "river", None)
    with pytest.raises(Refused, match="pip install 'everloop"):
        river_detector("adwin")
