"""Monitoring: signals beside their limits, what stands that somebody should know, reports."""

from everloop.web.asked import Answer, Asked, goto, nothing_there
from everloop.web.drawing import page
from everloop.web.pages.models import CARD_POLICY
from everloop.web.views.monitoring import monitoring_view

_REPORTS = 30


def show(asked: Asked) -> Answer:
    """Everything that is watched."""
    project = asked.project
    reports = sorted((path.stem for path in project.layout.reports.glob("*.html")), reverse=True)
    view = monitoring_view(
        asked.world(),
        project.alarms.standing(),
        project.alarms.silenced(asked.now),
        project.outbox.undelivered(),
        tuple(reports[:_REPORTS]),
    )
    return page(asked, "monitoring.html", title="Monitoring", view=view)


def acknowledge(asked: Asked) -> Answer:
    """Say that one knows of an alarm."""
    key = asked.form().get("key", "")
    asked.project.alarms.acknowledge([key], asked.who.name, asked.now)
    asked.record("acknowledge an alarm", key=key)
    return goto("/monitoring")


def show_report(asked: Asked) -> Answer:
    """One report, as a page that runs nothing and asks for nothing."""
    path = asked.project.layout.reports / f"{asked.named['name']}.html"
    if not path.is_file():
        raise nothing_there("such report")
    return Answer(path.read_bytes(), headers={"Content-Security-Policy": CARD_POLICY})
