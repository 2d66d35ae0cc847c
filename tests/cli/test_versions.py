"""`everloop snapshots`, `lineage` and `data exclude`: the data set's versions, as people ask."""

from pathlib import Path

import pytest
from tests.support.clock import at
from tests.support.projects import everloop, told, write_project

from everloop.data.annotations import Annotation, annotation_id
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.data.take import LabelRule, take
from everloop.ids import SampleId


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = write_project(tmp_path_factory.mktemp("versions") / "bars")
    told(project, "data", "import", project / "data" / "labelled")
    told(project, "train")
    return project


def _relabelled(project: Path) -> tuple[str, str]:
    """One sample relabelled by a person, and another snapshot; the sample and the snapshot."""
    store = DataStore(project / ".everloop" / "data")
    first = store.snapshots.list()[0]
    row = next(iter(first.find(first.rows.column("sample").to_pylist()[:1]).values()))
    classes = [str(name) for name in first.manifest["rules"]["classes"]]
    other = next(name for name in classes if name != row.label)
    said = Annotation(
        annotation_id(row.sample, other, "ann", "t"),
        row.sample, other, "ann", "person", None, at(10**9), "t",
    )  # fmt: skip
    store.annotations.append([said])
    rule = LabelRule("class", frozenset(classes).__contains__)
    taken = take(store, classes=classes, now=at(10**9), split=SplitRule(0.4), labels=rule)
    return row.sample, taken.id


def test_versions_are_listed_shown_compared_and_tagged(project: Path) -> None:
    sample, new = _relabelled(project)
    listed = told(project, "snapshots", "list")
    old = listed[0]["id"]
    assert [each["id"] for each in listed][-1] == new
    assert told(project, "data", "list") == listed
    change = told(project, "snapshots", "diff", old[:8], new[:8])
    assert [(row[0], row[3]) for row in change["relabelled"]] == [(sample, "ann")]
    assert (change["added"], change["removed"]) == ([], [])
    assert told(project, "data", "diff", old, new) == change
    told(project, "snapshots", "tag", old[:8], "before-ann")
    assert told(project, "snapshots", "show", "before-ann")["id"] == old
    assert told(project, "snapshots", "list")[0]["tags"] == ["before-ann"]
    for words in (("list",), ("show", "before-ann"), ("diff", old, new)):
        said = everloop(project, "snapshots", *words)
        assert said.code == 0 and said.out
    assert everloop(project, "snapshots", "tag", old, "abc").code == 3


def test_lineage_goes_both_ways(project: Path) -> None:
    store = DataStore(project / ".everloop" / "data")
    first = store.snapshots.list()[0]
    learnt = told(project, "lineage", "model", _bundle(project))
    assert learnt["snapshot"] == first.id
    assert len(learnt["samples"]) == first.manifest["train"]
    sample = learnt["samples"][0][0]
    seen = told(project, "lineage", "sample", sample)
    assert seen["models"] == [learnt["bundle"]]
    assert (seen["side"], seen["snapshots"][0]["snapshot"]) == ("train", first.id)
    kept = told(project, "lineage", "model", _bundle(project), "--side", "holdout")
    assert told(project, "lineage", "sample", kept["samples"][0][0])["models"] == []
    assert everloop(project, "lineage", "sample", sample).code == 0
    assert everloop(project, "lineage", "model", _bundle(project)).code == 0
    assert everloop(project, "lineage", "sample", "f" * 64).code == 3


def _bundle(project: Path) -> str:
    return next(
        path.name
        for path in (project / ".everloop" / "bundles").iterdir()
        if not path.name.startswith(".")
    )


def test_samples_are_left_out_with_a_reason_and_let_in_again(project: Path) -> None:
    store = DataStore(project / ".everloop" / "data")
    sample = SampleId(store.snapshots.list()[0].rows.column("sample")[1].as_py())
    assert everloop(project, "data", "exclude", sample).code == 3
    assert everloop(project, "data", "exclude", "f" * 64, "--reason", "odd").code == 3
    assert told(project, "data", "exclude", sample, "--reason", "odd") == {"left out": 1}
    assert told(project, "data", "exclude") == {sample: "odd"}
    assert told(project, "data", "include", sample[:12]) == {"let in again": 1}
    assert told(project, "data", "exclude", sample[:12], "--reason", "odd") == {"left out": 1}
    several = everloop(project, "data", "exclude", "", "--reason", "odd")
    assert several.code == 3
    assert told(project, "data", "include", sample) == {"let in again": 1}
    assert told(project, "data", "exclude") == {}
