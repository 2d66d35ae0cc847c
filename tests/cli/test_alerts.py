"""`everloop alerts` and the policy behind it."""

from pathlib import Path

import pytest
from tests.support.here import Here
from tests.support.pages import now, things_project
from tests.support.projects import opened
from tests.support.receivers import http_receiver

from everloop.alarm import Alarm
from everloop.errors import Refused
from everloop.loop.controller import acquire
from everloop.policy_file import parse_policy

_RULES = """
[[alerts]]
name = "ops"
to = ["EVERLOOP_TEST_OPS"]
[alerting]
internal = ["127.0.0.0/8"]
"""


@pytest.fixture
def here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Here:
    """A project in which the service is down."""
    project = things_project(tmp_path / "things")
    fence = acquire(project, now())
    assert fence is not None
    down = Alarm("service-down", "", "critical", "it does not answer", "everloop status")
    project.alarms.sync([down], fence, now())
    project.leases.release(fence)
    return Here(project.layout.project, capsys)


def test_what_stands_is_listed_acknowledged_and_silenced(here: Here) -> None:
    (alarm,) = here.told("alerts", "list")["alarms"]
    assert (alarm["key"], alarm["level"], alarm["acknowledged_by"]) == (
        "service-down", "critical", None)  # fmt: skip
    assert here.told("alerts", "ack", "service-*", "--by", "ann") == {
        "acknowledged": ["service-down"]
    }
    assert here.told("alerts", "list")["alarms"][0]["acknowledged_by"] == "ann"
    assert "no alarm 'x' stands" in here.refused("alerts", "ack", "x")
    assert "say why" in here.refused("alerts", "silence", "service-down")
    assert "--for soon" in here.refused("alerts", "silence", "x", "--for", "soon", "--because", "y")
    here.run("alerts", "silence", "service-down", "--for", "2h", "--because", "a move")
    assert "a move" in here.said("alerts", "list")
    assert here.told("alerts", "silence", "service-down", "--end") == {"ended": 1}
    what = [entry["what"] for entry in here.told("audit", "list")]
    assert what == ["acknowledge alarms", "silence alarms", "end silences"]


def test_of_a_storm_the_worst_are_listed_and_how_many_more_there_are(here: Here) -> None:
    project = opened(here.project)
    fence = acquire(project, now())
    assert fence is not None
    storm = [Alarm("waits", str(n), "info", f"number {n}", "everloop why") for n in range(1000)]
    standing = [raised.alarm for raised in project.alarms.standing()]
    project.alarms.sync([*storm, *standing], fence, now())
    said = here.said("alerts", "list")
    assert said.index("critical") < said.index("info") and said.count("info") == 49
    assert "And 951 more: --most 1001, or --json" in said
    assert len(here.told("alerts", "list")["alarms"]) == 1001


def test_receivers_are_tried_and_what_came_of_it_is_told(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no rule of [[alerts]]" in here.refused("alerts", "test")
    settings = here.project / "everloop.toml"
    settings.write_text(settings.read_text() + _RULES)
    out, _ = here.run("alerts", "test", "--json", code=4)
    assert "set EVERLOOP_TEST_OPS=" in out
    with http_receiver() as inbox:
        monkeypatch.setenv("EVERLOOP_TEST_OPS", f"http://127.0.0.1:{inbox.port}/#s")
        assert here.told("alerts", "test")["EVERLOOP_TEST_OPS"]["delivered"] is True
        assert len(inbox.got) == 1


@pytest.mark.parametrize(
    ("rule", "line", "told"),
    [
        ('name = "a"', 2, "alerts.0.to is missing"),
        ('name = "a"\nto = ["https://x/y"]', 4, "String should match pattern"),
        ('name = "a"\nto = ["B"]\nlevl = "info"', 5, "did you mean level?"),
        ('name = "a"\nto = ["B"]\n[[alerts]]\nname = "a"\nto = ["C"]', 2, "'a' is there twice"),
        ('name = "a"\nto = ["B"]\n[[alerts]]\nname = "b"\nto = ["C"]\nlevel = "x"', 8, "critical"),
    ],
)
def test_a_mistake_in_a_rule_is_told_with_its_line(rule: str, line: int, told: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_policy(f"level = 1\n[[alerts]]\n{rule}")
    assert f"line {line}: " in str(refused.value)
    assert told.lower() in str(refused.value).lower()
