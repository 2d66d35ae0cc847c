"""Which messages come of alarms: few, to the right people, and none for what is over or known."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from tests.support.clock import START, at

from everloop.alarm import Alarm, Level
from everloop.alerting.compose import Desk, compose
from everloop.policy import AlertingPolicy, AlertRule
from everloop.state.alarms import Raised, Silence
from everloop.state.outbox import Message

POLICY = AlertingPolicy.model_validate({"group": "30s", "interval": "5m"})
RULE = AlertRule(name="ops", to=("OPS",), escalate_to=("BOSS",))


def _raised(
    number: int, what: str = "action-failed", level: Level = "warning", opened: float = 0
) -> Raised:
    alarm = Alarm(what, str(number), level, f"{what} number {number}", "everloop why")
    return Raised(number, alarm, at(opened), None, None, None, {})


def _desk(seconds: float, rules: Sequence[AlertRule] = (RULE,), **changed: object) -> Desk:
    desk = Desk("digits", "https://loop.example", POLICY, rules, (), {}, at(seconds))
    return replace(desk, **changed)  # type: ignore[arg-type]


def _told(raised: Raised, moment: datetime = START) -> Raised:
    return replace(raised, marks={**raised.marks, "alert/ops": moment})


def _one(messages: tuple[Message, ...]) -> Message:
    (message,) = messages
    return message


def test_an_alarm_waits_for_others_and_is_told_with_a_link_and_what_to_do() -> None:
    alarms = [_raised(1), _raised(2, "service-down", "critical", opened=20)]
    assert compose(_desk(29), alarms) == ()
    message = _one(compose(_desk(30), alarms))
    assert (message.kind, message.to, message.alarms) == ("alert", ("OPS",), (2, 1))
    assert message.title == "[digits] critical: 2 alarms: 1 service-down, 1 action-failed"
    assert message.body.startswith("CRITICAL  service-down number 2\n  since 2026-01-01 00:00:20")
    for told in ("look: everloop why", "https://loop.example/", "alerts ack 'action-failed:1'"):
        assert told in message.body


def test_a_storm_of_a_thousand_is_one_message_that_a_person_can_read() -> None:
    message = _one(compose(_desk(30), [_raised(n) for n in range(1000)]))
    assert len(message.alarms) == 1000
    assert message.title == "[digits] warning: 1000 alarms: 1000 action-failed"
    assert message.body.count("look:") == 20
    assert message.body.endswith("And 980 more: 980 action-failed. "
                                 "All of them: everloop alerts list")  # fmt: skip


def test_what_comes_after_waits_for_the_interval_and_is_gathered() -> None:
    storm = [_told(_raised(n)) for n in range(5)]
    later = [_raised(n, opened=60) for n in range(5, 25)]
    spoke = {"ops": at(30)}
    assert compose(_desk(329, last=spoke), [*storm, *later]) == ()
    assert len(_one(compose(_desk(330, last=spoke), [*storm, *later])).alarms) == 20


def test_a_clock_that_jumped_back_silences_nobody() -> None:
    assert compose(_desk(60, last={"ops": at(3 * 86400)}), [_raised(1)])


def test_what_was_over_before_it_was_told_is_told_to_nobody() -> None:
    flapped = replace(_raised(1), closed_at=at(10))
    assert compose(_desk(60), [flapped]) == ()


def test_the_end_of_what_was_told_is_told_but_not_of_what_merely_happened() -> None:
    over = replace(_told(_raised(1)), closed_at=at(600))
    happened = replace(over, id=2, alarm=replace(over.alarm, passes=False))
    message = _one(compose(_desk(640), [over, happened]))
    assert (message.kind, message.alarms) == ("resolved", (1,))
    assert "This is over:" in message.body
    assert compose(_desk(640, [RULE.model_copy(update={"resolved": False})]), [over]) == ()
    again = replace(over, marks={**over.marks, "resolved/ops": at(640)})
    assert compose(_desk(700), [again]) == ()


def test_the_oftener_it_came_back_the_longer_its_end_waits_an_hour_at_most() -> None:
    over = replace(_told(_raised(1)), closed_at=at(600))
    for returns, wait in ((0, 30), (1, 60), (5, 960), (7, 3600), (10**6, 3600)):
        flapping = replace(over, returns=returns)
        assert compose(_desk(600 + wait - 1), [flapping]) == ()
        told = _one(compose(_desk(600 + wait), [flapping])).body
        assert (f"came back {returns} times" in told) == (returns > 0)


def test_a_silence_holds_what_it_names_and_nothing_else() -> None:
    silence = Silence(1, "action-*", at(3600), "ann", "moving house")
    alarms = [_raised(1), _raised(2, "service-down", "critical")]
    assert _one(compose(_desk(60, silences=(silence,)), alarms)).alarms == (2,)
    assert _one(compose(_desk(60), alarms)).alarms == (2, 1), "told once the silence is over"


def test_what_nobody_acknowledges_is_told_to_others_once() -> None:
    alarm = _told(_raised(1))
    assert compose(_desk(3599), [alarm]) == ()
    message = _one(compose(_desk(3600), [alarm]))
    assert (message.kind, message.to) == ("escalation", ("BOSS",))
    assert "OPS was told 60 minutes ago or more" in message.body
    louder = replace(alarm, marks={**alarm.marks, "escalation/ops": at(3600)})
    assert compose(_desk(7200), [louder]) == ()
    known = replace(alarm, acked_at=at(5), acked_by="ann")
    assert compose(_desk(3600), [known]) == ()


def test_a_rule_hears_its_own_kinds_from_its_level_up() -> None:
    alarms = [_raised(1, "promoted", "info"), _raised(2, "sent-back", "critical")]
    everything = AlertRule(name="all", level="info", to=("LOG",))
    releases = AlertRule(name="ship", what=("promoted",), level="info", to=("SHIP",))
    found = compose(_desk(60, (RULE, everything, releases)), alarms)
    assert {m.rule: m.alarms for m in found} == {"ops": (2,), "all": (2, 1), "ship": (1,)}


def test_the_same_news_has_the_same_key_whoever_writes_it() -> None:
    one, two = (_one(compose(_desk(t), [_raised(1)])) for t in (30, 90))
    other = _one(compose(_desk(30), [_raised(2)]))
    assert one.key == two.key != other.key
