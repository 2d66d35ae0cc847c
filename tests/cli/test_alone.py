"""Each command alone, without a running loop: what it prints, and its exit codes."""

import json
from pathlib import Path

import pytest
from tests.support.pictures import bar
from tests.support.projects import everloop, product_with, told, write_project

COMMANDS = ["up", "down", "status", "why", "data", "snapshots", "lineage", "train",
            "tune", "studies", "evaluate", "verify", "models", "deploy", "rollback", "label",
            "experiment", "feedback", "privacy", "predict", "serve", "trace", "init",
            "runs", "reproduce"]  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("alone") / "bars")


@pytest.fixture(scope="module")
def trained(project: Path) -> Path:
    told(project, "data", "import", project / "data" / "labelled")
    told(project, "train")
    return project


def test_help_names_every_command() -> None:
    said = everloop(None, "--help")
    assert said.code == 0
    assert all(f"\n  {name} " in said.out for name in COMMANDS)
    assert "describe" not in said.out


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(name: str) -> None:
    said = everloop(None, name, "--help")
    assert said.code == 0 and "Usage: everloop" in said.out


def test_wrong_usage_is_told_with_code_2(tmp_path: Path) -> None:
    assert everloop(None, "fly").code == 2
    assert everloop(None, "train", "--speed", "9").code == 2
    assert everloop(tmp_path, "predict").code == 2


def test_a_folder_without_a_project_is_refused(tmp_path: Path) -> None:
    said = everloop(tmp_path, "status")
    assert said.code == 3
    assert "everloop init" in said.err


def test_every_mistake_of_the_policy_is_told_at_once(tmp_path: Path) -> None:
    write_project(tmp_path, pictures=1)
    (tmp_path / "everloop.toml").write_text('level = 7\n[gates]\nsignificance = "high"\n[gatez]\n')
    said = everloop(tmp_path, "status", "--json")
    assert said.code == 3
    message = said.json()["error"]["message"]
    assert message in said.err
    for words in ("line 1", "level", "line 3", "significance", "line 4", "gatez"):
        assert words in message


def test_a_mistake_in_product_py_is_told_with_its_line(tmp_path: Path) -> None:
    write_project(tmp_path, pictures=1)
    with (tmp_path / "product.py").open("a") as file:
        file.write("\nnothing_of_that_name\n")
    line = len((tmp_path / "product.py").read_text().splitlines())
    said = everloop(tmp_path, "status")
    assert said.code == 3
    assert f"product.py:{line}" in said.err and "nothing_of_that_name" in said.err


def test_init_does_not_touch_a_folder_in_use(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    said = everloop(None, "init", tmp_path)
    assert said.code == 3
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert everloop(None, "init", tmp_path / "new", "--template", "opera").code == 3


def test_a_fresh_project_says_what_it_waits_for(project: Path) -> None:
    status = told(project, "status")
    assert status["product"] == "bars" and status["champion"] is None
    arms = {row["arm"]: row for row in told(project, "why")}
    assert "140 files" in arms["ingest"]["reason"] and "learn" in arms
    assert all(row["reason"] for row in arms.values())
    assert everloop(project, "why").code == 0


def test_nothing_can_be_learnt_from_nothing(tmp_path: Path) -> None:
    said = everloop(write_project(tmp_path / "empty", pictures=0), "train")
    assert said.code == 3 and "everloop data import" in said.err


def test_importing_twice_adds_nothing(trained: Path) -> None:
    again = told(trained, "data", "import", trained / "data" / "labelled")
    assert (again["added"], again["labelled"]) == (140, 140), "the journalled outcome"
    copy = trained.parent / "copy"
    for path in (trained / "data" / "labelled").rglob("*.png"):
        place = copy / path.parent.name
        place.mkdir(parents=True, exist_ok=True)
        (place / path.name).write_bytes(path.read_bytes())
    other = told(trained, "data", "import", copy)
    assert (other["added"], other["known"]) == (0, 140)
    said = everloop(trained, "data", "import", trained / "nowhere")
    assert said.code == 3 and "is not a folder" in said.err


def test_snapshots_are_listed_shown_and_compared(trained: Path) -> None:
    (first, *_) = told(trained, "data", "list")
    assert first["train"] + first["holdout"] == 140
    assert told(trained, "data", "show", first["id"][:8]) == first
    extra = trained.parent / "extra" / "upright"
    extra.mkdir(parents=True)
    (extra / "one.png").write_bytes(bar(upright=True, seed=999))
    told(trained, "data", "import", extra.parent)
    second = told(trained, "train")["snapshot"]
    change = told(trained, "data", "diff", first["id"], second)
    assert (len(change["added"]), change["removed"], change["relabelled"]) == (1, [], [])
    assert everloop(trained, "data", "show", "nothing").code == 3
    assert everloop(trained, "data", "list").code == 0


def test_the_same_training_gives_the_same_bundle(trained: Path, tmp_path: Path) -> None:
    snapshot = told(trained, "data", "list")[0]["id"]
    bundle = told(trained, "train", "--snapshot", snapshot)["bundle"]
    assert told(trained, "train", "--snapshot", snapshot)["bundle"] == bundle
    other = write_project(tmp_path / "again")
    told(other, "data", "import", other / "data" / "labelled")
    assert told(other, "train")["bundle"] == bundle, "another process, another project folder"


def test_a_bundle_is_evaluated_and_verified(trained: Path) -> None:
    measured = told(trained, "evaluate")
    assert measured["metrics"]["accuracy"] > 0.9
    verdict = told(trained, "verify")
    assert verdict["passed"] is True and verdict["max_difference"] < 1e-3
    assert everloop(trained, "evaluate", "ffff").code == 3


def test_what_was_not_judged_is_not_deployed(trained: Path) -> None:
    bundles = trained / ".everloop" / "bundles"
    name = next(path.name for path in bundles.iterdir() if not path.name.startswith("."))
    said = everloop(trained, "deploy", name[:8])
    assert said.code == 3 and "has not passed its gates" in said.err
    assert told(trained, "status")["champion"] is None
    assert told(trained, "models", "list") == []
    assert everloop(trained, "models", "show", name[:8]).code == 3


def test_nothing_to_label_roll_back_or_stop(trained: Path, tmp_path: Path) -> None:
    assert told(trained, "label", "next") is None
    assert everloop(trained, "label", "answer", "task", "fish").code == 3
    assert everloop(trained, "label", "answer", "task", "upright").code in {3, 5}
    said = everloop(trained, "rollback")
    assert said.code == 3 and "nothing is live" in said.err
    assert told(trained, "down")["stopped"] == []
    picture = tmp_path / "p.png"
    picture.write_bytes(bar(upright=True, seed=5))
    said = everloop(trained, "predict", picture, "--json")
    assert said.code == 4
    assert json.loads(said.out)["error"]["kind"] == "Unavailable"
    assert everloop(trained, "predict", tmp_path / "none.png").code == 3
    assert everloop(trained, "trace", "p-1").code == 3


def test_failed_training_tells_the_users_line_and_mended_code_is_tried(
    tmp_path: Path,
) -> None:
    project = write_project(tmp_path / "bars")
    text = (project / "product.py").read_text()
    (project / "product.py").write_text(product_with("    raise ValueError('no such luck')\n"))
    told(project, "data", "import", project / "data" / "labelled")
    said = everloop(project, "train")
    line = len((project / "product.py").read_text().splitlines())
    assert said.code == 3
    assert f"product.py:{line}" in said.err and "no such luck" in said.err
    (project / "product.py").write_text(text)
    assert told(project, "train")["bundle"]
