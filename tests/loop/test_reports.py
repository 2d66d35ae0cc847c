"""What is done by the clock: the look at what was served, and the report that people get."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import numpy as np
import pytest
from tests.support.browser import missing_browser
from tests.support.captures import answer
from tests.support.clock import START, at
from tests.support.here import Here
from tests.support.pages import CLASSES, HOSTILE, Filled, fill, things_project
from tests.support.pictures import noise
from tests.support.projects import opened, until
from tests.support.receivers import http_receiver, smtp_receiver
from tests.support.simulation import Simulation

from everloop.action import Action, Outcome
from everloop.alarm import Alarm
from everloop.errors import Unavailable
from everloop.evaluation.cards.page import page
from everloop.evaluation.evaluate import Evaluation, save
from everloop.ids import PredictionId, SnapshotId
from everloop.loop import kinds
from everloop.loop.act import HANDLERS
from everloop.loop.alarms import Seen, alarms, newest_findings
from everloop.loop.arms.schedule import inspect_service, report_to_people
from everloop.loop.controller import acquire
from everloop.loop.daily import Period, daily
from everloop.loop.forget import Wanted, forget
from everloop.loop.observe import observe
from everloop.loop.project import Project, Turn
from everloop.loop.tell import tell, tell_trouble
from everloop.monitoring.finding import Finding, findings_in
from everloop.policy import Policy
from everloop.state.lease import Fence
from everloop.tasks.tabular import TabularClassification
from everloop_runtime.segments import FeedbackRecord

DAY = timedelta(days=1)
_REPORTED = """
[report]
to = ["OPS"]
[alerting]
secrets = "told"
internal = ["127.0.0.1/32"]
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Filled]:
    """A product that answered for an hour, with events and a signal that is over its limit."""
    few = "[gates]\nslice_min_samples = 4\n"
    project = things_project(tmp_path_factory.mktemp("reported") / "things", more=few)
    put = fill(project)
    with _fence(project) as fence:
        bundle = put.bundles[0]
        project.releases.promote(bundle, fence, START)
        answers = [
            answer(n, noise(n), bundle, label="dark", status="error" if n % 100 == 0 else "ok")
            for n in range(0, 3600, 20)
        ]
        project.data.predictions.append(answers, "s1")
        told = [
            FeedbackRecord(record.prediction, record.at, "event", {"sold": 1}, "shop")
            for record in answers[::2]
        ]
        project.data.feedback.append(told, "s1")
        finding = Finding("input-drift", "alarm", f"it changed {HOSTILE}", 0.4, 0.1, START,
                          samples=tuple(put.samples[:14]), cause="input")  # fmt: skip
        judged = Action("evaluate", {"bundle": bundle, "snapshot": "another"})
        project.journal.intend(judged, "admit", "it is new", fence, at(50))
        name = save(project.layout.evaluations, _evaluation(put))
        newest = datetime.now(START.tzinfo)
        project.journal.finish(
            judged.key, Outcome(True, result={"evaluation": name}), fence, newest
        )
        seen = Action("monitor", {"bundle": bundle, "window": 0, "size": 20})
        project.journal.intend(seen, "monitor", "20 new answers", fence, at(60))
        result = Outcome(True, result={"summary": "drift", "findings": [finding.as_json()]})
        project.journal.finish(seen.key, result, fence, at(61))
        down = Alarm("service-down", "", "critical", f"down {HOSTILE}", "everloop status")
        project.alarms.sync([down], fence, at(70))
    return project, put


def _evaluation(put: Filled) -> Evaluation:
    """Of a hold-out whose bright samples are all taken for dark ones."""
    samples = tuple(put.samples[:12])
    count, right = len(samples), np.arange(12) % 3 > 0
    values = np.tile(np.array([0.8, 0.1, 0.1], np.float32), (count, 1))
    labels = tuple("dark" if each else "bright" for each in right)
    return Evaluation(put.bundles[0], SnapshotId("s"), CLASSES, samples, labels,
                      ("import",) * count, values, {"accuracy": float(right.mean())}, "accuracy",
                      right.astype(np.float64))  # fmt: skip


@contextmanager
def _fence(project: Project) -> Iterator[Fence]:
    fence = acquire(project, datetime.now(START.tzinfo))
    assert fence is not None
    try:
        yield fence
    finally:
        project.leases.release(fence)


def test_each_whole_period_is_looked_at_and_reported_once() -> None:
    life = Simulation(Policy.model_validate({"level": 1, "train": {"min_labels": 10}}))
    life.label(20, 5)
    for _ in range(20):
        life.turn()
    assert not {a.kind for a in life.done} & {"inspect", "report"}, "nothing was whole yet"
    for _ in range(5):
        life.pass_time(3600)
        life.turn()
        life.turn()
    assert [a.kind for a in life.done if a.kind == "inspect"] == ["inspect"] * 5
    life.pass_time(3600)
    life.turn()
    (report,) = [a for a in life.done if a.kind == "report"]
    assert report.inputs["until"] == "2026-01-01T06:00:00+00:00"
    # Long asleep, it looks at the latest period, not at all that it missed.
    life.pass_time(10 * 86400)
    life.turn()
    assert sum(a.kind == "report" for a in life.done) == 2


def test_nothing_is_looked_at_before_there_is_anything() -> None:
    world = Simulation(Policy(level=1)).world
    assert inspect_service(Policy(level=0), world, None).action is None
    assert "no model is live" in inspect_service(Policy(level=1), world, None).reason
    off = Policy.model_validate({"level": 1, "report": {"on": False}})
    assert report_to_people(off, world, None).reason == "[report] on = false"
    waits = report_to_people(Policy(level=1), replace(world, now=at(3 * 86400)), None)
    assert waits.action is None and "nothing had been done by" in waits.reason


def test_a_look_tells_errors_events_and_cost_and_its_alarms_reach_the_loop(
    filled: tuple[Project, Filled],
) -> None:
    project, _ = filled
    with _fence(project) as fence:
        action = kinds.inspect(START, at(3600))
        outcome = HANDLERS["inspect"](project, Turn(fence, at(3700)), action)
        found = {finding.name: finding for finding in findings_in(outcome.result)}
        assert found["service-errors"].level == "alarm"
        assert found["service-errors"].value == pytest.approx(36 / 210)
        assert found["service-latency"].level == "calm" and "business-sold" in found
        project.journal.intend(action, "inspect", "it is over", fence, at(3700))
        project.journal.finish(action.key, outcome, fence, at(3700))
    world = replace(observe(project, at(3800)), service=None)
    keys = {alarm.key for alarm in alarms(Seen(project.policy, world, ()))}
    assert {"signal-service-errors", "signal-input-drift", "service-down"} <= keys
    other = replace(world, release=replace(world.release, champion=filled[1].bundles[1]))
    assert "input-drift" not in {f.name for f in newest_findings(other)}


def test_a_report_tells_all_in_one_file_with_cleared_pictures_only(
    filled: tuple[Project, Filled],
) -> None:
    project, put = filled
    settings = project.layout.project / "everloop.toml"
    was = settings.read_text()
    try:
        settings.write_text(was + _REPORTED)
        with http_receiver() as inbox:
            secrets = project.layout.project / "told"
            secrets.write_text(f"OPS=http://127.0.0.1:{inbox.port}/\n")
            secrets.chmod(0o600)
            reporting = opened(project.layout.project)
            with _fence(reporting) as fence:
                action = kinds.report(START, START + DAY)
                for _ in range(2):
                    outcome = HANDLERS["report"](reporting, Turn(fence, START + DAY), action)
                for _ in range(2):
                    reporting.courier.tend(fence, START + DAY)
                    reporting.courier.wait()
                ((_, body),) = inbox.got
    finally:
        settings.write_text(was)
    told = json.loads(body)
    assert told["kind"] == "report" and "report: 1 needs somebody" in told["title"]
    text = (project.layout.reports / str(outcome.result["file"])).read_text()
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    assert HOSTILE not in text and "&lt;img onerror" in text
    for section in ("What needs somebody", "What the loop did, and why", "Labels",
                    "Signals against their limits", "Telling samples"):  # fmt: skip
        assert section in text
    # Twelve of the fourteen that the finding names were cleared; six are shown.
    telling = text.partition("Telling samples")[2]
    assert telling.count("data:image/jpeg") == 6
    assert "6 more are named" in telling and "2 more that the privacy policy" in telling
    weakest = text.partition("Where the live model is weakest")[2].partition("<h2>")[0]
    assert weakest.index("class=bright") < weakest.index("class=dark")
    assert "class=bright<br>labelled bright, answered dark" in weakest
    assert weakest.count("data:image/jpeg") == 4, "all that are wrong, each once"
    assert len(put.samples) > 14 and CLASSES[2] == HOSTILE


def test_of_rows_there_are_no_pictures(filled: tuple[Project, Filled]) -> None:
    project = filled[0]
    rows = TabularClassification("t", CLASSES, ["x"])
    declared = replace(project.declaration, task=rows)
    card = daily(replace(project, declaration=declared), Period(START, START + DAY))
    told = page(card)
    assert "data:image" not in told and "12 more are named: everloop monitor" in told


def test_a_person_gets_one_any_time(
    filled: tuple[Project, Filled], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = Here(filled[0].layout.project, capsys)
    out = tmp_path / "now.html"
    told = here.told("report", "--last", "2d", "--out", out)
    assert told["html"] == str(out) and out.read_text().startswith("<!doctype html>")
    assert "--last soon" in here.refused("report", "--last", "soon", "--out", out)


def test_it_is_printed_as_pdf_where_there_is_a_chromium(
    filled: tuple[Project, Filled], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, out, pdf = Here(filled[0].layout.project, capsys), tmp_path / "a.html", tmp_path / "a.pdf"
    if why := missing_browser():
        assert "needs one of" in here.refused("report", "--out", out, "--pdf", pdf)
        pytest.skip(why)
    assert here.told("report", "--out", out, "--pdf", pdf)["pdf"] == str(pdf)
    assert pdf.read_bytes().startswith(b"%PDF")


def _sent_with(project: Project, wanted: str) -> tuple[Outcome, Message]:
    """The report as `[report] attach` wants it, and mail of it to a real SMTP server."""
    pytest.importorskip("apprise", reason="apprise is not installed (everloop[alerts])")
    settings = project.layout.project / "everloop.toml"
    was = settings.read_text()
    with smtp_receiver() as inbox:
        settings.write_text(was + _REPORTED.replace("[alerting]", f"attach = {wanted}\n[alerting]"))
        secrets = project.layout.project / "told"
        secrets.write_text(f"OPS=mailto://127.0.0.1:{inbox.port}?from=a@x.org&to=b@x.org\n")
        secrets.chmod(0o600)
        reporting = opened(project.layout.project)
        settings.write_text(was)
        until_day = START + (2 if "html" in wanted else 3) * DAY
        action = kinds.report(until_day - DAY, until_day)
        with _fence(reporting) as fence:
            turn = Turn(fence, until_day)
            reporting.journal.intend(action, "report", "", fence, until_day)
            outcomes = [HANDLERS["report"](reporting, turn, action)]

            def is_over() -> bool:
                outcomes.append(HANDLERS["report"](reporting, turn, action))
                return outcomes[-1].final

            if not outcomes[0].final:
                until(is_over, 120, "no report came")
            for _ in range(2):
                reporting.courier.tend(fence, until_day)
                reporting.courier.wait()
            reporting.courier.tend(fence, until_day)
            assert reporting.outbox.undelivered() == (), reporting.outbox.undelivered()
        ((_, raw),) = inbox.got
    return outcomes[-1], message_from_bytes(raw)


def _files(mail: Message) -> dict[str, bytes]:
    parts = {str(part.get_filename()): part.get_payload(decode=True) for part in mail.walk()}
    return {name: data for name, data in parts.items() if isinstance(data, bytes) and "T" in name}


def test_it_is_mailed_as_the_policy_says_in_html_and_pdf(
    filled: tuple[Project, Filled],
) -> None:
    if why := missing_browser():
        pytest.skip(why)
    outcome, mail = _sent_with(filled[0], '["html", "pdf"]')
    files = _files(mail)
    assert sorted(files) == ["2026-01-03T0000.html", "2026-01-03T0000.pdf"]
    assert files["2026-01-03T0000.pdf"].startswith(b"%PDF")
    assert files["2026-01-03T0000.html"].startswith(b"<!doctype html>")
    assert "no_pdf" not in outcome.result
    assert (filled[0].layout.reports / "2026-01-03T0000.pdf").exists()


def test_where_there_is_no_chromium_the_html_is_mailed_and_says_why_there_is_no_pdf(
    filled: tuple[Project, Filled], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    outcome, mail = _sent_with(filled[0], '["pdf"]')
    assert "a PDF needs one of chromium" in str(outcome.result["no_pdf"])
    assert sorted(_files(mail)) == ["2026-01-04T0000.html"]
    (text,) = (p for p in mail.walk() if p.get_content_type() == "text/plain")
    assert "The PDF could not be made: a PDF needs one of" in str(text.get_payload())


def test_a_turn_that_cannot_be_taken_is_told_until_one_can(filled: tuple[Project, Filled]) -> None:
    project = filled[0]
    with _fence(project) as fence:
        before = {raised.alarm.key for raised in project.alarms.standing()}
        tell_trouble(project, Turn(fence, at(5000)), Unavailable("the bucket did not answer"))
        during = {raised.alarm.key for raised in project.alarms.standing()}
        assert during == before | {"turn-given-up"}
        tell(project, Turn(fence, at(5001)), observe(project, at(5001)), ())
        assert "turn-given-up" not in {r.alarm.key for r in project.alarms.standing()}


def test_a_reading_of_a_short_time_sees_what_came_in_it(filled: tuple[Project, Filled]) -> None:
    predictions = filled[0].data.predictions
    ids = predictions.between(at(100), at(161))["id"].to_pylist()
    assert [name for name in ids if name.startswith("p")] == [
        PredictionId(f"p{n}") for n in (100, 120, 140, 160)
    ]
    assert predictions.between(at(9000), at(9999)).num_rows == 0


def test_a_turn_tells_even_where_nothing_is_to_be_told(filled: tuple[Project, Filled]) -> None:
    project = filled[0]
    with _fence(project) as fence:
        tell(project, Turn(fence, at(4000)), observe(project, at(4000)), ())
        assert "signal-input-drift" in {r.alarm.key for r in project.alarms.standing()}


def test_who_is_forgotten_is_in_no_report_and_no_finding_any_more(
    filled: tuple[Project, Filled],
) -> None:
    project, put = filled
    folder = project.layout.reports
    first = min(folder.glob("*.html"))
    gone, kept, *_ = (s for s in put.samples if f"<br>{s[:12]}<" in first.read_text())
    first.with_suffix(".pdf").write_bytes(b"%PDF with a picture")
    pictures = first.read_text().count("data:image/jpeg")
    forgot = forget(project, Wanted((gone,)), by="ann", now=at(9000))
    removed = forgot.certificate.told["removed"]
    assert isinstance(removed, dict) and removed["findings that named them"] == 1
    assert removed["reports with pictures"] == 3, "the hold-out's worst are in each"
    text = first.read_text()
    assert gone[:12] not in text and kept[:12] in text and text.endswith("</body></html>\n")
    assert text.count("data:image/jpeg") < pictures
    assert not first.with_suffix(".pdf").exists()
    (finding,) = (
        found
        for entry in project.journal.latest("monitor", 5)
        if entry.outcome is not None
        for found in findings_in(entry.outcome.result)
    )
    assert gone not in finding.samples and kept in finding.samples
