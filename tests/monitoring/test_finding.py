"""Findings: the one shape of all signals, in the journal and back."""

import json
from datetime import UTC, datetime

from everloop.ids import SampleId
from everloop.monitoring.finding import Finding, findings_in, worst

_CALM = Finding("label-shift", "calm", "as in training")
_ALARM = Finding(
    "harm",
    "alarm",
    "estimated accuracy 0.61, 0.93 on the hold-out",
    value=0.32,
    limit=0.05,
    since=datetime(2026, 5, 1, 12, tzinfo=UTC),
    slice="class=7",
    samples=(SampleId("a" * 64), SampleId("b" * 64)),
    cause="input",
    action="ask people for labels",
)


def test_what_the_journal_keeps_of_findings_comes_back_the_same() -> None:
    kept = json.loads(json.dumps({"findings": [_CALM.as_json(), _ALARM.as_json()]}))
    assert findings_in(kept) == (_CALM, _ALARM)


def test_results_of_other_versions_are_read_as_far_as_they_are_known() -> None:
    later = {**_ALARM.as_json(), "colour": "red"}
    assert findings_in({"findings": [later]}) == (_ALARM,)
    assert findings_in({"summary": "calm"}) == ()


def test_the_worst_of_several_counts() -> None:
    assert worst([_CALM, _ALARM, _CALM]) == "alarm"
    assert worst([]) == "calm"
