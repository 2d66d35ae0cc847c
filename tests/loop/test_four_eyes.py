"""Who trained a model or labelled for it does not let it go live alone."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.bundles import make_bundle
from tests.support.pages import CLASSES, disagree, fill, judge, now, pages_of, things_project
from tests.support.projects import opened, told
from tests.support.simulation import Simulation

from everloop.errors import Refused
from everloop.ids import BundleId, Json, SampleId, SnapshotId
from everloop.loop import kinds
from everloop.loop.controller import acquire
from everloop.loop.four_eyes import lacking
from everloop.loop.models import judged_model
from everloop.loop.observe import observe
from everloop.loop.project import Project
from everloop.loop.review import decide
from everloop.loop.single import run_action
from everloop.policy import Policy


def _made(folder: Path) -> tuple[Project, BundleId, list[SampleId]]:
    """A product that wants four eyes, with a model that tom trained of labels by ann."""
    put = fill(things_project(folder), tasks=2)
    settings = folder / "everloop.toml"
    settings.write_text(settings.read_text().replace("[approval]", "[approval]\nfour_eyes = true"))
    project = opened(folder)
    pin = kinds.snapshot(project.policy, project.data.labelled_counts().version)
    taken = run_action(project, pin, by="tom", clock=now)
    snapshot = SnapshotId(str(taken.result["snapshot"]))
    train = kinds.train(project.policy, snapshot, "code")
    asked: dict[str, Json] = {"kind": "train", "inputs": train.inputs}
    request = project.requests.submit("act", asked, "tom", now())
    lineage = {"snapshot": snapshot, "run": train.key}
    bundle = make_bundle(project.layout.bundles, lean=0.7, lineage=lineage)
    fence = acquire(project, now())
    assert fence is not None
    project.requests.done(request, "done", fence, now())
    judge(project, bundle, 0.9, fence)
    project.leases.release(fence)
    return project, bundle, list(put.samples)


def test_who_made_it_needs_somebody_else_by_command_and_page(tmp_path: Path) -> None:
    project, bundle, samples = _made(tmp_path / "things")
    assert lacking(project, bundle) is None, "nobody has approved it"
    said = told(project.layout.project, "models", "approve", bundle, "--by", "tom")
    assert said["lacks"] == "tom trained it: somebody else must approve it too"
    world = observe(project, now())
    assert bundle not in world.decisions and "tom trained it" in world.half_approved[bundle]
    assert judged_model(project, bundle).approved_by is None
    project.decisions.record(bundle, approved=True, by="tom", comment="again", now=now())
    assert lacking(project, bundle) is not None, "the same person twice is two eyes"
    with pages_of(project) as pages, pages.client("approver") as client:
        page = client.get(f"/models/{bundle}", headers={"accept": "text/html"}).text
        assert "It waits for another person" in page
        assert ", not enough" in client.get("/models").text
        client.post(f"/models/{bundle}/approve", content=b"comment=fine")
        page = client.get(f"/models/{bundle}").text
        assert "It waits for another person" not in page
    assert observe(project, now()).decisions[bundle] == (True, "approver")
    assert judged_model(project, bundle).approved_by == "tom and approver"
    # A rejection starts it all again.
    project.decisions.record(bundle, approved=False, by="cleo", comment="", now=now())
    assert observe(project, now()).decisions[bundle] == (False, "cleo")
    project.decisions.record(bundle, approved=True, by="ann", comment="", now=now())
    assert str(lacking(project, bundle)).startswith("ann labelled 30 of its samples")
    project.decisions.record(bundle, approved=False, by="cleo", comment="", now=now())
    project.decisions.record(bundle, approved=True, by="bob", comment="", now=now())
    assert lacking(project, bundle) is None, "bob had no part in it"
    disagree(project, samples[0], {"ann": CLASSES[0], "bob": CLASSES[1]})
    with pytest.raises(Refused, match="bob is one of those who disagree"):
        decide(project, samples[0], CLASSES[1], by="bob", comment="", now=now())
    decide(project, samples[0], CLASSES[1], by="cleo", comment="", now=now())


def test_the_loop_waits_for_the_second_person() -> None:
    policy = Policy.model_validate(
        {"level": 2, "train": {"min_labels": 10}, "approval": {"by": "person", "four_eyes": True}}
    )
    simulation = Simulation(policy)
    simulation.label(20, 5)
    for _ in range(20):
        simulation.turn()
    bundle = BundleId(str(simulation.done[-1].inputs["bundle"]))
    half = {bundle: "tom trained it: somebody else must approve it too"}
    simulation.world = replace(simulation.world, half_approved=half)
    (admit,) = [d for d in simulation.turn() if d.arm == "admit"]
    assert admit.action is None
    assert "waits for another person" in admit.reason and "tom trained it" in admit.reason


def test_a_rule_has_no_eyes() -> None:
    with pytest.raises(ValueError, match="four_eyes is about people"):
        Policy.model_validate({"level": 2, "approval": {"four_eyes": True}})
