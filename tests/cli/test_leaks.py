"""A snapshot that was refused for a leak is taken once a person did what the message says."""

from pathlib import Path

import pytest
from tests.support.projects import everloop, told, write_project
from tests.support.scenes import jpeg, scene

from everloop.data.splits import side_of
from everloop_runtime.ids import sample_id

SHARE = 0.4


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Scenes of two classes, one of which is on the other side again, saved a little worse."""
    project = write_project(tmp_path / "scenes", pictures=0)
    settings = (project / "everloop.toml").read_text()
    assert f"holdout_share = {SHARE}" in settings
    (project / "everloop.toml").write_text(settings.replace('leaks = "allow"\n', ""))
    place = project / "data" / "labelled"
    for seed in range(20):
        kind = ("lying", "upright")[seed % 2]
        (place / kind / f"{seed}.jpg").write_bytes(jpeg(scene(seed)))
    first = jpeg(scene(0))
    worse = (jpeg(scene(0), quality) for quality in range(85, 40, -1))
    other = next(data for data in worse if _side(data) != _side(first))
    (place / "lying" / "again.jpg").write_bytes(other)
    told(project, "data", "import", place)
    return project


def _side(data: bytes) -> str:
    return side_of(sample_id(data), SHARE)


def test_leaving_one_out_by_the_id_that_was_told_makes_way(project: Path) -> None:
    refused = everloop(project, "snapshots", "take")
    assert refused.code == 3
    assert "1 pairs of samples leak" in refused.err
    named = refused.err.partition("hold-out: ")[2].split()[0]
    assert everloop(project, "snapshots", "take").code == 3
    assert told(project, "data", "exclude", named, "--reason", "twice") == {"left out": 1}
    assert told(project, "snapshots", "take")["samples"] == 20
    assert told(project, "data", "include", named) == {"let in again": 1}
    assert everloop(project, "snapshots", "take").code == 3


def test_allowing_leaks_makes_way(project: Path) -> None:
    assert everloop(project, "snapshots", "take").code == 3
    settings = (project / "everloop.toml").read_text()
    allowed = settings.replace("[data]\n", '[data]\nleaks = "allow"\n')
    assert allowed != settings
    (project / "everloop.toml").write_text(allowed)
    assert told(project, "snapshots", "take")["samples"] == 21
