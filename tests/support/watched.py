"""A live model that has been watched: windows, a look at the service, alarms and a report."""

from datetime import timedelta

from tests.support.pages import HOSTILE, Filled, now

from everloop.action import Action, Outcome
from everloop.alarm import Alarm
from everloop.ids import Json
from everloop.loop import kinds
from everloop.loop.act import HANDLERS
from everloop.loop.controller import acquire
from everloop.loop.project import Project, Turn
from everloop.monitoring.finding import Finding
from everloop.state.lease import Fence


def watch(project: Project, put: Filled) -> None:
    """Put it into a project whose first bundle is to be live."""
    fence = acquire(project, now())
    assert fence is not None
    at = now() - timedelta(hours=3)
    for window in range(5):
        value = 0.02 + 0.03 * window * window
        found = (
            Finding("input-drift", "alarm" if window == 4 else "calm",
                    f"the pictures are brighter {HOSTILE}", value, 0.3, at, "class=dark",
                    tuple(put.samples[:3]), "input", "everloop label ask"),
            Finding("accuracy", "note", "about 0.91, 0.95 on the hold-out", 0.95 - value / 10,
                    0.9, at, None, (), "input"),
        )  # fmt: skip
        told: list[Json] = [finding.as_json() for finding in found]
        action = kinds.monitor(put.bundles[0], window, 20)
        _done(project, fence, "monitor", action, {"summary": "drift", "findings": told})
    until = now().replace(minute=0, second=0, microsecond=0)
    inspect = kinds.inspect(until - timedelta(days=400), until + timedelta(hours=1))
    turn = Turn(fence, now())
    _done(
        project, fence, "inspect", inspect, dict(HANDLERS["inspect"](project, turn, inspect).result)
    )
    project.alarms.sync(
        [
            Alarm("service-down", "", "critical", f"it does not answer {HOSTILE}",
                  "everloop status"),
            Alarm("sent-back", "x", "critical", "bundle 1234abcd was sent back: it was slow",
                  "everloop releases show", "/releases", passes=False),
            Alarm("signal-input-drift", "", "warning", "the pictures are brighter",
                  "everloop label ask", "/monitoring"),
            Alarm("waits", "labels", "info", "20 label tasks wait for people",
                  "everloop label next", "/label"),
        ],
        fence,
        now(),
    )  # fmt: skip
    HANDLERS["report"](project, turn, kinds.report(until - timedelta(days=1), until))
    project.leases.release(fence)


def _done(
    project: Project, fence: Fence, arm: str, action: Action, result: dict[str, Json]
) -> None:
    project.journal.intend(action, arm, "planted", fence, now())
    project.journal.finish(action.key, Outcome(True, result=result), fence, now())
