"""The commands that judge labels and decide about them, on one small product."""

import json
from typing import Any

import pytest
from tests.support.pages import CLASSES, disagree, fill, record, things_project
from tests.support.projects import opened

from everloop.app.storage import open_data
from everloop.cli.main import run
from everloop.cli.program import Program
from everloop.ids import SampleId
from everloop.loop.project import Project

DARK, BRIGHT = CLASSES[:2]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A product in which ann and bob disagree about one of two samples."""
    made = things_project(tmp_path_factory.mktemp("commands") / "things")
    put = fill(made, tasks=3)
    disagree(made, put.samples[0], {"ann": DARK, "bob": BRIGHT})
    disagree(made, put.samples[1], {"ann": DARK, "bob": DARK})
    disagree(made, put.samples[2], {"ann": BRIGHT}, known=DARK)
    record(made)
    return made


def _told(project: Project, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    where = ["--project", str(project.layout.project), "--json"]
    assert run(Program(lambda _: project, open_data, lambda *_: None), [*words, *where]) == 0
    return json.loads(capsys.readouterr().out)


def _said(project: Project, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    where = ["--project", str(project.layout.project)]
    assert run(Program(lambda _: project, open_data, lambda *_: None), [*words, *where]) == 0
    return capsys.readouterr().out


def test_quality_is_told_for_people_and_programs(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    told = _told(project, capsys, "label", "quality")
    assert (told["answers"], told["overlapped"], told["disputed"]) == (5, 2, 1)
    assert told["gold"] == {"asked": 1, "right": 0}
    (pair,) = told["pairs"]
    assert (pair["samples"], pair["agreed"]) == (2, 1)
    assert [person["name"] for person in told["people"]] == ["ann", "bob"]
    said = _said(project, capsys, "label", "quality")
    assert "Fleiss' kappa" in said and "0 of 1" in said


def test_a_conflict_is_listed_decided_told_and_undone(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    (conflict,) = _told(project, capsys, "label", "conflicts")
    sample = SampleId(conflict["sample"])
    assert [(a["by"], a["label"]) for a in conflict["answers"]] == [("ann", DARK), ("bob", BRIGHT)]
    assert sample[:12] in _said(project, capsys, "label", "conflicts")
    by = ("--by", "cleo")
    made = _told(project, capsys, "label", "resolve", sample[:16], DARK, "--comment", "worn", *by)
    assert made == {"sample": sample, "label": DARK, "why": "conflict"}
    assert _told(project, capsys, "label", "conflicts") == []
    record(project)
    events = _told(project, capsys, "label", "history", sample)
    assert events[-1]["told"] == "conflict: worn" and events[-1]["stands"]
    assert "stands" in _said(project, capsys, "label", "history", sample)
    assert _told(project, capsys, "label", "undo", sample, *by)["label"] == BRIGHT
    for what in ("decide a label", "undo a label"):
        (entry,) = project.audit.entries(what)
        assert (entry.by, entry.told["sample"]) == ("cleo", sample)
    record(project)
    assert "no label is in doubt" in _said(project, capsys, "label", "doubts").lower()
    assert _told(project, capsys, "label", "doubts")["doubts"] == []


def test_what_cannot_be_is_refused_with_its_reason(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    program = Program(lambda _: opened(project.layout.project), open_data, lambda *_: None)
    for words, why in (
        (("label", "campaign", "x"), "no campaign 'x'"),
        (("label", "campaign", "--snapshot", "none"), "a name"),
        (("label", "resolve", "zz", DARK), "no sample's id begins"),
        (("label", "sync"), "without labelling tools"),
    ):
        assert run(program, [*words, "--project", str(project.layout.project)]) == 3
        assert why in capsys.readouterr().err, words
