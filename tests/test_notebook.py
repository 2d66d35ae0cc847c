"""The page's notebook, run as written."""

import re
import subprocess
import sys
from pathlib import Path

from tests.support.here import Here
from tests.support.projects import write_project

PAGE = Path(__file__).parents[1] / "docs" / "runs.md"


def test_a_notebook_calls_the_functions_of_the_project(tmp_path: Path) -> None:
    project = write_project(tmp_path / "my-product", steps=1)
    Here(project).run("data", "import", project / "data" / "labelled")
    Here(project).run("snapshots", "take")
    (cell,) = re.findall(
        r"^```python\n(from everloop\.notebook.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    cell = cell.replace("epochs=2", "steps=40")
    more = "from product import train\nassert work.product.training_function is train\n"
    more += "assert len(data) + len(work.data('holdout')) == 140 and work.params == {'steps': 1}\n"
    done = subprocess.run(
        [sys.executable, "-c", cell + more],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "'accuracy': " in done.stdout
    assert not list((project / ".everloop").glob("jobs/train-*")), "nothing is recorded"
