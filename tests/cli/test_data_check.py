"""`everloop data check`, `check-table` and `quarantine` as people and programs call them."""

from pathlib import Path

import pytest
from tests.support.projects import everloop, told, write_project
from tests.support.scenes import jpeg, scene


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_project(tmp_path_factory.mktemp("checked") / "bars", pictures=6)
    labelled = folder / "data" / "labelled"
    for seed in range(20):
        (labelled / "lying" / f"s{seed}.jpg").write_bytes(jpeg(scene(seed)))
    (labelled / "upright" / "copy.jpg").write_bytes(jpeg(scene(3), 40))
    (labelled / "lying" / "page.png").write_bytes(b"<html>")
    (labelled / "lying" / "cut.jpg").write_bytes(jpeg(scene(50))[:800])
    told(folder, "data", "import", labelled)
    return folder


def test_check_tells_people_and_programs_what_is_wrong(project: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    report = told(project, "data", "check", "--html", page)
    found = {finding["code"]: finding["count"] for finding in report["findings"]}
    assert found["contradiction"] == 1
    assert found.keys() & {"near-duplicates", "near-duplicates-across-sides"}
    assert report["quarantined"] == {"broken": 1, "not-an-image": 1}
    assert report["enough"]["enough"] is False and report["learning_curve"] is None
    assert "one picture, two labels" in page.read_text()
    said = everloop(project, "data", "check")
    assert said.code == 0
    assert "Not enough to start yet" in said.out and "one picture, two labels" in said.out


def test_a_quarantined_file_is_looked_at_and_mended(project: Path, tmp_path: Path) -> None:
    [cut] = told(project, "data", "quarantine", "list", "--reason", "broken")
    copy = tmp_path / "cut.jpg"
    shown = told(project, "data", "quarantine", "show", cut["id"][:8], "--out", copy)
    assert copy.read_bytes() == jpeg(scene(50))[:800] and len(shown["history"]) == 1
    assert everloop(project, "data", "quarantine", "force", cut["id"][:8]).code == 3
    whole = tmp_path / "whole.jpg"
    whole.write_bytes(jpeg(scene(50)))
    done = told(project, "data", "quarantine", "mend", cut["id"][:8], whole, "--label", "lying")
    assert done["done"] == "mended"
    assert everloop(project, "data", "quarantine", "mend", cut["id"][:8], whole).code == 3
    left = told(project, "data", "quarantine", "list")
    assert [file["reason"] for file in left] == ["not-an-image"]


def test_a_table_is_checked_without_a_project(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    rows = [f"{n},{n % 7},{n % 5},{n % 7 + n % 5}" for n in range(400)]
    table.write_text("\n".join(["id,a,b,sum", *rows]))
    said = everloop(None, "data", "check-table", str(table), "--target", "sum", "--json")
    assert said.code == 0
    codes = {finding["code"] for finding in said.json()}
    assert {"target-follows", "identifier"} <= codes
    assert everloop(None, "data", "check-table", str(table), "--target", "none").code == 3
