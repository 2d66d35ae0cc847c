"""The README's commands run as written, and the pages say what is."""

import os
import re
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path

import pytest
from tests.support.pictures import png
from tests.support.projects import product_up, service_of, told, until
from tests.support.table_project import write_table_project
from tools.policy_page import PAGE, page

from everloop.cli.main import everloop as commands
from everloop.product import Product
from everloop.tasks.image_classification import ImageClassification

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)


_FIRST = tuple(
    f"everloop {name}" for name in ("data import", "data check", "train", "evaluate", "verify")
)
"""What is done before the loop runs."""
_ASKING = tuple(
    f"everloop {name}" for name in ("status", "why", "models", "runs", "label next", "privacy")
)
"""What is asked of a running loop."""


_RUNS = re.findall(
    r"^everloop runs .*$", (ROOT / "docs" / "runs.md").read_text(encoding="utf-8"), re.MULTILINE
)
"""The page on runs; what it says of `reproduce` is done in tests/cli/test_runs.py."""


def _commands() -> list[tuple[str, str]]:
    """`(language, line)` of every command of the README, comments cut; Python as one block."""
    found: list[tuple[str, str]] = []
    for language, text in _BLOCK.findall(README):
        if language == "python":
            found.append((language, text))
            continue
        found += [(language, line.partition("#")[0].strip()) for line in text.splitlines() if line]
    return found


def _run(line: str, folder: Path) -> str:
    """What a line prints to a shell that finds this environment's programs; it must succeed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=folder,
        env={**os.environ, "PATH": path},
        timeout=400,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"make ([a-z]+)", README))
    assert named >= {"demo", "test"}
    assert all(f"\n{name}:" in makefile for name in named)


def test_every_picture_and_page_that_is_linked_exists() -> None:
    for page_path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)", page_path.read_text(encoding="utf-8")):
            if not link.startswith("http"):
                assert (page_path.parent / link).exists(), f"{page_path.name}: {link}"


def test_the_policy_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run tools/policy_page.py"


def test_the_page_of_commands_names_each_and_no_other() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    named = {word.split()[0] for row in rows for word in re.findall(r"`([a-z][^`]*)`", row)}
    assert named == set(commands.list_commands(commands.make_context("everloop", ["status"])))


def _animal(cat: bool, seed: int) -> bytes:
    """A picture for the template's classes: one has a bright disc, the other a dark one."""
    import numpy as np
    from PIL import Image

    generator = np.random.default_rng(seed)
    pixels = generator.integers(90, 160, (64, 64, 3)).astype(np.uint8)
    rows, columns = np.ogrid[:64, :64]
    y, x = generator.integers(24, 40, 2)
    pixels[(rows - y) ** 2 + (columns - x) ** 2 < 200] = 230 if cat else 20
    return png(Image.fromarray(pixels))


@pytest.fixture
def followed(tmp_path: Path) -> Path:
    """A folder in which the README was followed up to its `everloop up`."""
    lines = [line for language, line in _commands() if language == "sh"]
    for line in lines:
        if line.startswith("everloop init"):
            _run(line, tmp_path)
            for name in ("cat", "dog"):
                place = tmp_path / "my-product" / "data" / "labelled" / name
                place.mkdir(parents=True, exist_ok=True)
                for seed in range(45):
                    (place / f"{seed}.png").write_bytes(
                        _animal(name == "cat", 2 * seed + (name == "cat"))
                    )
        elif line.startswith(_FIRST):
            _run(line, tmp_path)
    return tmp_path


def test_the_readme_is_followed_top_to_bottom(followed: Path) -> None:
    project = followed / "my-product"
    (followed / "picture.png").write_bytes(_animal(cat=True, seed=77_777))
    done: list[str] = []
    with product_up(project):
        service_of(project)
        prediction = ""
        for language, line in _commands():
            if language == "python":
                out = _run(f"{sys.executable} -c '{line}'", followed)
                assert out.startswith("cat ")
            elif line.startswith("everloop predict"):
                assert "cat" in _run(line, followed)
                prediction = told(project, "predict", followed / "picture.png")[0]["prediction_id"]
            elif line.startswith("everloop trace"):
                command = line.replace("PREDICTION", prediction)
                until(partial(_traced, command, followed), why="the answer's trace")
            elif line.startswith(_ASKING):
                _run(line, followed)
            else:
                continue
            done.append(line.split("\n")[0])
    for line in _RUNS:
        _run(f"{line} --project {project}", followed)
    rest = [line for _, line in _commands() if line.split("\n")[0] not in done]
    assert {line.split()[0] for line in rest} == {"make", ".", "everloop"}
    assert {line.split()[1] for line in rest if line.startswith("everloop")} == {
        *("init", "data", "train", "evaluate", "verify", "up"),  # run above
        "label",  # `label answer` needs a task; tests/test_kill.py and tests/cli have them
    }


def test_the_page_of_tuning_is_followed(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    blocks = _BLOCK.findall((ROOT / "docs" / "tuning.md").read_text(encoding="utf-8"))
    (space,) = [text for language, text in blocks if language == "python"]
    product = Product("p", task=ImageClassification("ab", (8, 8), 1))
    exec(space, {"product": product})  # noqa: S102 - it is our own page
    assert product.search_space is not None
    project = write_table_project(tmp_path / "busy")
    (told_to_run,) = [text for language, text in blocks if language == "sh"]
    for line in told_to_run.splitlines():
        _run(line, project)
    every = told(project, "studies", "show")
    assert _params(project) == every["best"]["params"]
    other = next(one for one in every["all"] if one["params"] != every["best"]["params"])
    told(project, "studies", "apply", "--trial", str(other["trial"]))
    assert _params(project) == other["params"]


def _params(project: Path) -> object:
    return tomllib.loads((project / "everloop.toml").read_text())["train"]["params"]


def _traced(command: str, folder: Path) -> bool:
    """Whether the answer is collected, so that `trace` finds it."""
    try:
        return "data/labelled: 90" in _run(command, folder)
    except AssertionError:
        return False
