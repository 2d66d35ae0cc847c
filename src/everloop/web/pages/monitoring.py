"""Monitoring: signals beside their limits, what stands that somebody should know, reports."""

from everloop.ids import SampleId
from everloop.web.asked import Answer, Asked, goto, nothing_there
from everloop.web.drawing import page
from everloop.web.pages.models import CARD_POLICY
from everloop.web.views.monitoring import MonitoringView, monitoring_view

_REPORTS = 30


def show(asked: Asked) -> Answer:
    """Everything that is watched."""
    project = asked.project
    written = sorted(project.layout.reports.glob("*.html"), reverse=True)[:_REPORTS]
    reports = [(path.stem, path.with_suffix(".pdf").is_file()) for path in written]
    view = monitoring_view(
        asked.world(),
        project.alarms.standing(),
        project.alarms.silenced(asked.now),
        project.outbox.undelivered(),
        tuple(reports),
    )
    return page(
        asked, "monitoring.html", title="Monitoring", view=view, pictures=_pictures(asked, view)
    )


def _pictures(asked: Asked, view: MonitoringView) -> frozenset[SampleId]:
    """The telling samples that are pictures which labellers may see."""
    project = asked.project
    if project.declaration.task.modality != "image":
        return frozenset()
    named = {s for _, signals in view.groups for each in signals for s in each.finding.samples}
    return frozenset(project.clearances.cleared(sorted(named), project.rules.version))


def acknowledge(asked: Asked) -> Answer:
    """Say that one knows of an alarm."""
    key = asked.form().get("key", "")
    asked.project.alarms.acknowledge([key], asked.who.name, asked.now)
    asked.record("acknowledge an alarm", key=key)
    return goto("/monitoring")


def show_report(asked: Asked) -> Answer:
    """One report, as a page that runs nothing and asks for nothing, or as PDF."""
    name = asked.named["name"]
    is_pdf = name.endswith(".pdf")
    path = asked.project.layout.reports / (name if is_pdf else f"{name}.html")
    if not path.is_file():
        raise nothing_there("such report")
    if is_pdf:
        return Answer(path.read_bytes(), b"application/pdf")
    return Answer(path.read_bytes(), headers={"Content-Security-Policy": CARD_POLICY})
