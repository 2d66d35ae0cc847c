"""What of the world is worth an alarm, and how it comes to people from there."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tests.support.clock import START, at
from tests.support.pages import things_project
from tests.support.projects import opened
from tests.support.receivers import http_receiver

from everloop.action import Action, Entry, Outcome
from everloop.ids import BundleId, Json, PolicyVersion
from everloop.loop.alarms import KINDS, Seen, alarms
from everloop.loop.controller import acquire
from everloop.loop.decision import Decision
from everloop.loop.project import Turn
from everloop.loop.tell import tell
from everloop.loop.world import Gate, Labels, Queue, Service, Source, World
from everloop.monitoring.finding import Finding
from everloop.policy import Policy
from everloop.state.releases import Release

BUNDLE = BundleId("b" * 64)
CALM = World(
    now=START,
    code="c",
    labels=Labels("v", 10, 5),
    queue=Queue(0, None, 0, None, None),
    gate=Gate(None, None),
    release=Release(1, BUNDLE),
    service=Service(1, {}),
)
POLICY = Policy(level=1)


def _keys(world: World, policy: Policy = POLICY, *decisions: Decision) -> set[str]:
    return {alarm.key for alarm in alarms(Seen(policy, world, decisions))}


def _done(kind: str, inputs: dict[str, Json], **result: Json) -> Entry:
    action = Action(kind, {"bundle": BUNDLE, **inputs})
    outcome = Outcome(True, result=result)
    return Entry(action, "arm", "it was slow", START, None, 0, outcome, START)


def test_a_calm_world_raises_none() -> None:
    assert _keys(CALM) == set()


def test_each_trouble_has_its_alarm() -> None:
    assert _keys(replace(CALM, service=None)) == {"service-down"}
    assert _keys(replace(CALM, service=None, release=Release(0, None))) == set()
    broken = replace(CALM, service=Service(1, {BUNDLE: "checksum"}))
    assert _keys(broken) == {f"bundle-failed:{BUNDLE}"}
    sources = (Source("data", "", 0, "no such bucket"), Source("more", "d", 3))
    assert _keys(replace(CALM, sources=sources)) == {"source-unreachable:data"}
    closed = replace(CALM, gate=Gate(None, "no model"))
    assert _keys(closed, Policy(level=2)) == {"privacy-gate-closed"} and _keys(closed) == set()
    assert _keys(replace(CALM, gate=Gate(None, None, (), 3))) == {"samples-held"}
    assert _keys(replace(CALM, unlearnable="one class")) == {"not-learnable"}
    assert _keys(replace(CALM, segments=("s",) * 51)) == {"captures-behind"}


def test_what_happened_stands_for_a_day_and_what_people_asked_for_is_no_alarm() -> None:
    moved = [
        _done("rollback", {"to": "x", "step": 0}),
        _done("rollback", {"to": "x", "request": "r"}),
        _done("promote", {"over": None}),
        _done("gate", {"snapshot": "s"}, passed=False),
        _done("gate", {"snapshot": "t"}, passed=True),
    ]
    world = replace(CALM, journal={entry.action.key: entry for entry in moved})
    found = alarms(Seen(POLICY, world, ()))
    assert [a.what for a in found] == ["sent-back", "gates-stopped", "promoted"]
    assert not any(alarm.passes for alarm in found)
    assert _keys(replace(world, now=START + timedelta(days=1))) == set()


def test_who_is_waited_for_is_told_and_more_loudly_when_it_lasts() -> None:
    waits = Decision("admit", None, "bundle bbbbbbbb: waits for a person: everloop models approve")
    assert _keys(CALM, POLICY, waits) == {"waits:bundle bbbbbbbb"}
    tasks = replace(CALM, queue=Queue(7, None, 0, None, START))
    (soon,) = alarms(Seen(POLICY, tasks, ()))
    (late,) = alarms(Seen(POLICY, replace(tasks, now=at(86401)), ()))
    assert (soon.level, late.level) == ("info", "warning") and soon.key == late.key


def test_every_alarm_says_what_to_do() -> None:
    assert all(kind.__doc__ for kind in KINDS)
    world = replace(CALM, service=None, unlearnable="x", queue=Queue(1, None, 0, None, START))
    assert all(a.command.startswith("everloop ") for a in alarms(Seen(POLICY, world, ())))


def test_a_signal_over_its_limit_says_how_bad_where_since_when_why_and_what_to_do() -> None:
    found = Finding("harm", "alarm", "it costs 12 points", 0.12, 0.05, START, "class=7",
                    cause="input", action="label what is new")  # fmt: skip
    seen = _done("monitor", {"window": 1, "size": 20}, findings=[found.as_json()])
    world = replace(CALM, gate=Gate(PolicyVersion("a" * 64)), journal={seen.action.key: seen})
    (alarm,) = alarms(Seen(Policy(level=2), world, ()))
    assert alarm.summary == (
        "harm: it costs 12 points (worst in class=7); since 2026-01-01 00:00 UTC; "
        "likely cause: input; proposed: label what is new"
    )
    assert (alarm.command, alarm.page) == ("everloop label ask", "/monitoring")
    (watched,) = alarms(Seen(POLICY, world, ()))
    assert watched.command == "everloop monitor", "nobody is asked at level 1"
    named = replace(found, action="look: everloop releases show, or wait")
    seen = _done("monitor", {"window": 1, "size": 20}, findings=[named.as_json()])
    (alarm,) = alarms(Seen(POLICY, replace(world, journal={seen.action.key: seen}), ()))
    assert alarm.command == "everloop releases show"


def test_a_failed_action_comes_to_people_once_with_the_storm_it_is_part_of(tmp_path: Path) -> None:
    with http_receiver() as inbox:
        project = things_project(tmp_path / "things")
        settings = project.layout.project / "everloop.toml"
        settings.write_text(settings.read_text() + _RULES)
        secrets = project.layout.project / "told"
        secrets.write_text(f"OPS=http://127.0.0.1:{inbox.port}/\n")
        secrets.chmod(0o600)
        project = opened(project.layout.project)
        fence = acquire(project, START)
        assert fence is not None
        for number in range(200):
            action = Action("collect", {"segment": str(number)})
            project.journal.intend(action, "collect", "", fence, START)
            project.journal.finish(action.key, Outcome(True, error="broken"), fence, START)
        world = replace(CALM, service=None, gate=Gate(PolicyVersion("a" * 64)))
        for seconds in (0, 31, 32, 33):
            tell(project, Turn(fence, at(seconds)), replace(world, now=at(seconds)), ())
            project.courier.wait()
        ((_, body),) = inbox.got
    told = json.loads(body)
    assert told["count"] == 201 and told["level"] == "critical"
    assert told["title"] == "[things] critical: 201 alarms: 200 action-failed, 1 service-down"
    assert project.outbox.undelivered() == ()


_RULES = """
[[alerts]]
name = "ops"
to = ["OPS"]
[alerting]
secrets = "told"
internal = ["127.0.0.1/32"]
"""
