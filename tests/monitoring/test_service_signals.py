"""Service, business and cost signals: silent by chance, loud by cause, each with what to do."""

import numpy as np
import pytest
from tests.support.clock import START

from everloop.ids import BundleId, PredictionId
from everloop.monitoring.business import business_findings
from everloop.monitoring.cost import Learnt, cost_findings
from everloop.monitoring.finding import Finding
from everloop.monitoring.served import Counters, Served, read_counters
from everloop.monitoring.service import ServiceLimits, service_findings

LIMITS = ServiceLimits(error_rate=0.01, latency_ms=100.0, queue=50)


def _served(
    answers: int, errors: int = 0, took: float = 5.0, role: str = "champion", first: int = 0
) -> Served:
    ids = tuple(PredictionId(f"{role}{n}") for n in range(first, first + answers))
    latencies = np.full(answers, took, np.float32)
    return Served(BundleId("b" * 64), role, answers + errors, errors, latencies, ids)


def _levels(found: tuple[Finding, ...]) -> dict[str, str]:
    return {finding.name: finding.level for finding in found}


def test_a_service_that_is_well_is_calm_and_one_that_was_not_asked_too() -> None:
    calm = {"service-errors": "calm", "service-latency": "calm",
            "service-saturation": "calm", "capture-drops": "calm"}  # fmt: skip
    counted = Counters("i", answers=1000)
    assert _levels(service_findings((_served(1000, 10),), counted, LIMITS, START)) == calm
    assert set(_levels(service_findings((), None, LIMITS, START)).values()) == {"calm"}


def test_each_trouble_is_told_with_its_part_its_cause_and_what_to_do() -> None:
    counted = Counters("i", answers=900, queue=51, dropped=3)
    slow = _served(900, 100, took=200.0, role="canary")
    found = service_findings((_served(1000), slow), counted, LIMITS, START)
    assert set(_levels(found).values()) == {"alarm"}
    assert all(f.cause == "service" and f.action and f.since == START for f in found)
    errors = next(f for f in found if f.name == "service-errors")
    assert errors.slice == "bundle=bbbbbbbbbbbb" and errors.value == pytest.approx(0.1)


def test_a_service_exactly_at_its_limit_alarms_as_rarely_as_is_stated() -> None:
    generator, looks = np.random.default_rng(0), 2000
    errors = generator.binomial(2000, LIMITS.error_rate, looks)
    alarms = sum(
        service_findings((_served(2000 - int(n), int(n)),), None, LIMITS, START)[0].level == "alarm"
        for n in errors
    )
    assert alarms / looks <= 0.025


def test_what_earns_less_is_told_beyond_chance_and_beyond_the_limit() -> None:
    def found(now: int, before: int, canary: int = 0) -> dict[str, str]:
        sides = [_served(2000), _served(2000, role="canary")]
        past = [_served(2000, first=5000)]
        events = {PredictionId(f"champion{n}"): {"sold": 1.0} for n in range(now)}
        events |= {PredictionId(f"champion{5000 + n}"): {"sold": 1.0} for n in range(before)}
        events |= {PredictionId(f"canary{n}"): {"sold": 1.0} for n in range(canary)}
        return _levels(
            business_findings(sides, past, events, most_loss=0.2, false_alarm_rate=0.01,
                              since=START)
        )  # fmt: skip

    assert found(400, 400, 400) == {"business-sold": "calm", "business-sold-canary": "calm"}
    assert found(350, 400, 350) == {"business-sold": "calm", "business-sold-canary": "calm"}
    assert found(100, 400, 100) == {"business-sold": "alarm", "business-sold-canary": "calm"}
    assert found(400, 400, 50) == {"business-sold": "calm", "business-sold-canary": "alarm"}


def test_events_on_few_answers_judge_nothing() -> None:
    sides, past = [_served(20)], [_served(20, first=5000)]
    events = {PredictionId(f"champion{5000 + n}"): {"sold": 1.0} for n in range(20)}
    found = business_findings(sides, past, events, most_loss=0.2, false_alarm_rate=0.01,
                              since=START)  # fmt: skip
    assert _levels(found) == {"business-sold": "calm"} and "too few" in found[0].summary


def test_of_ten_thousand_names_that_clients_made_up_the_commonest_events_are_judged() -> None:
    sides, past = [_served(400)], [_served(400, first=5000)]
    events = {
        PredictionId(f"champion{n}"): {"sold": 1.0, **{f"made up {n} {k}": 1.0 for k in range(25)}}
        for n in range(400)
    }
    found = business_findings(sides, past, events, most_loss=0.2, false_alarm_rate=0.01,
                              since=START)  # fmt: skip
    assert len(found) == 20 and "business-sold" in _levels(found)


def test_what_answers_and_labels_cost_is_told() -> None:
    counted = Counters("i", answers=2000, cpu_seconds=8.0, capture_bytes=4e6)
    models = [Learnt(100, 0.80), Learnt(300, 0.90)]
    found = {
        f.name: f
        for f in cost_findings(counted, models, most_core_seconds=3.0, label_price=0.5, since=START)
    }
    assert found["cost-cores"].value == 4.0 and found["cost-cores"].level == "alarm"
    assert found["cost-bytes"].value == 2e6
    assert found["cost-labels"].value == pytest.approx(20)
    assert "10.00 in money" in found["cost-labels"].summary
    worse = cost_findings(None, [*models, Learnt(500, 0.89)], most_core_seconds=0,
                          label_price=0, since=START)  # fmt: skip
    assert _levels(worse) == {"cost-labels": "note"}


def test_a_service_started_anew_counts_anew() -> None:
    before = Counters("one", answers=1000, dropped=5)
    assert Counters("one", answers=1500, dropped=5).since(before).answers == 500
    assert Counters("two", answers=10, dropped=1).since(before).answers == 10
    told = {"instance": "one", "answers": 3.0}
    assert read_counters(told) == Counters("one", 3.0) and read_counters({}) is None


def test_a_period_is_told_by_bundle_and_role() -> None:
    import pyarrow as pa

    from everloop.monitoring.served import given, served

    rows = pa.table(
        {
            "id": ["a", "b", "c", "d"],
            "bundle": ["x", "x", "y", "y"],
            "role": ["champion", "champion", "shadow", "canary"],
            "status": ["ok", "error", "ok", "ok"],
            "latency_ms": pa.array([1.0, 0.0, 3.0, 4.0], pa.float32()),
        }
    )
    parts = served(rows)
    assert [(p.role, p.requests, p.errors) for p in given(parts)] == [
        ("champion", 2, 1), ("canary", 1, 0)]  # fmt: skip
    assert parts[0].quantile(0.5) == 1.0
    assert served(rows.slice(0, 0)) == ()
