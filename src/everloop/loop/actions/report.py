"""Write the report of a period, and send it to whom the policy names."""

from datetime import datetime, timedelta
from pathlib import Path

from everloop.action import Action, Outcome
from everloop.compute.job import Failed, Job, Running
from everloop.compute.local import LocalEngine
from everloop.evaluation.cards.blocks import Card
from everloop.evaluation.cards.page import page
from everloop.loop.actions.jobs import POLL
from everloop.loop.daily import Period, daily, words
from everloop.loop.project import Project, Turn
from everloop.loop.tell import link_of
from everloop.state.outbox import Message
from everloop_runtime.files import write_atomic

_PRINTS = timedelta(minutes=2)
_PRINTER = LocalEngine()
"""A page is printed on this machine, wherever trainings run: here it lies."""


def report(project: Project, turn: Turn, action: Action) -> Outcome:
    """One HTML file that needs nothing else; its beginning is sent, and what goes with it.

    A PDF is printed by a process of its own, which no turn waits for. Where that fails the HTML
    goes without it, and the message says why.
    """
    since = datetime.fromisoformat(str(action.inputs["since"]))
    until = datetime.fromisoformat(str(action.inputs["until"]))
    path = report_path(project, until)
    printed = _printed(project, action, path) if path.exists() else None
    if isinstance(printed, Running):
        return Outcome(final=False, delay=POLL)
    card = daily(project, Period(since, until))
    if printed is None:
        write_atomic(path, page(card).encode())
        _drop_old(project)
        if isinstance(printed := _printed(project, action, path), Running):
            return Outcome(final=False, delay=POLL)
    trouble = printed.reason if isinstance(printed, Failed) else None
    if project.policy.report.to:
        message = _message(project, action, card, path, trouble)
        project.outbox.post([message], turn.fence, turn.now)
    told = {} if trouble is None else {"no_pdf": trouble}
    return Outcome(
        final=True,
        result={
            "summary": f"{card.title}; {path.name}",
            "file": path.name,
            "sent_to": len(project.policy.report.to),
            **told,
        },
    )


def _printed(project: Project, action: Action, path: Path) -> Running | Failed | str:
    """How far the PDF is; the empty text where none is asked for, or it is there."""
    pdf = path.with_suffix(".pdf")
    if "pdf" not in project.policy.report.attach or pdf.exists():
        return ""
    folder = project.layout.jobs / action.key
    command = (*project.commands.printer, str(folder), str(path), str(pdf))
    state = _PRINTER.ensure(Job(action.key, command, folder, _PRINTS))
    return state if isinstance(state, Running | Failed) else ""


def _message(
    project: Project, action: Action, card: Card, path: Path, trouble: str | None
) -> Message:
    link = link_of(project)
    told = [words(card)]
    if trouble is not None:
        told.append(f"The PDF could not be made: {trouble}")
    if link:
        told.append(f"{link}/monitoring/reports/{path.stem}")
    suffixes = project.policy.report.attach if trouble is None else ("html",)
    return Message(
        rule="report",
        kind="report",
        to=project.policy.report.to,
        title=f"[{project.declaration.product}] report: {card.title.partition(': ')[2]}",
        body="\n\n".join(told),
        facts={"product": project.declaration.product, "rule": "report", "level": "info",
               **{name: action.inputs[name] for name in ("since", "until")}},
        subject=action.key,
        attachments=tuple(str(path.with_suffix(f".{suffix}")) for suffix in suffixes),
    )  # fmt: skip


def report_path(project: Project, until: datetime) -> Path:
    """Where the report of the period that ends then lies."""
    return project.layout.reports / f"{until:%Y-%m-%dT%H%M}.html"


def _drop_old(project: Project) -> None:
    """Keep the newest, and those that wait to be sent."""
    waiting = {file for letter in project.outbox.undelivered() for file in letter.attachments}
    found = sorted(project.layout.reports.glob("*.html"))
    for path in found[: -project.policy.report.keep]:
        both = (path.with_suffix(".pdf"), path)
        if not waiting & {str(each) for each in both}:
            for each in both:
                each.unlink(missing_ok=True)
