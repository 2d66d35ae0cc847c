"""Write the report of a period, and send it to whom the policy names."""

from datetime import datetime
from pathlib import Path

from everloop.action import Action, Outcome
from everloop.evaluation.cards.page import page
from everloop.loop.daily import Period, daily, words
from everloop.loop.project import Project, Turn
from everloop.loop.tell import link_of
from everloop.state.outbox import Message
from everloop_runtime.files import write_atomic


def report(project: Project, turn: Turn, action: Action) -> Outcome:
    """One HTML file that needs nothing else; its beginning and the file itself are sent."""
    since = datetime.fromisoformat(str(action.inputs["since"]))
    until = datetime.fromisoformat(str(action.inputs["until"]))
    card = daily(project, Period(since, until))
    path = report_path(project, until)
    write_atomic(path, page(card).encode())
    _drop_old(project)
    to = project.policy.report.to
    if to:
        link = link_of(project)
        told = f"{words(card)}\n\n{link}/monitoring" if link else words(card)
        message = Message(
            rule="report",
            kind="report",
            to=to,
            title=f"[{project.declaration.product}] report: {card.title.partition(': ')[2]}",
            body=told,
            facts={"product": project.declaration.product, "rule": "report", "level": "info",
                   "since": since.isoformat(), "until": until.isoformat()},
            subject=action.key,
            attachment=str(path),
        )  # fmt: skip
        project.outbox.post([message], turn.fence, turn.now)
    return Outcome(
        final=True,
        result={"summary": f"{card.title}; {path.name}", "file": path.name, "sent_to": len(to)},
    )


def report_path(project: Project, until: datetime) -> Path:
    """Where the report of the period that ends then lies."""
    return project.layout.reports / f"{until:%Y-%m-%dT%H%M}.html"


def _drop_old(project: Project) -> None:
    """Keep the newest, and those that wait to be sent."""
    waiting = {letter.attachment for letter in project.outbox.undelivered()}
    found = sorted(project.layout.reports.glob("*.html"))
    for path in found[: -project.policy.report.keep]:
        if str(path) not in waiting:
            path.unlink(missing_ok=True)
