"""A real bundle's card, its checklist and its comparison, by command."""

import json
import re
import shlex
from pathlib import Path

import pytest
from tests.support.clock import START
from tests.support.projects import everloop, opened, told, write_project

from everloop.errors import Refused
from everloop.evaluation.report import load_report
from everloop.ids import BundleId
from everloop.loop.cards import drop_pictures, latest
from everloop.loop.checklist import answer
from everloop.policy_file import parse_policy

PAGE = Path(__file__).parents[2] / "docs" / "evaluation.md"
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SETTINGS = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)

_MORE = """
[evaluation]
robustness = true
corruptions = ["blur", "darkness"]
severities = [1, 5]
robustness_samples = 30
examples = 3
[card]
intended_use = "Telling lying bars from upright ones."
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one bundle, evaluated."""
    folder = write_project(tmp_path_factory.mktemp("cards") / "bars")
    policy = folder / "everloop.toml"
    asked = '[approval]\nchecklist = { groups = "Were dark <b>pictures</b> looked at?" }\n'
    policy.write_text(policy.read_text().replace("[approval]\n", asked) + _MORE)
    told(folder, "data", "import", folder / "data" / "labelled")
    told(folder, "train")
    return folder


@pytest.fixture(scope="module")
def evaluated(project: Path) -> dict[str, object]:
    found: dict[str, object] = told(project, "evaluate")
    return found


def test_an_evaluation_tells_facts_and_intervals(evaluated: dict[str, object]) -> None:
    facts, intervals = evaluated["facts"], evaluated["intervals"]
    assert isinstance(facts, dict) and isinstance(intervals, dict)
    assert {"latency_p95_ms", "bundle_mib", "mean_corruption_accuracy", "corruption_loss",
            "maximum_calibration_error"} <= facts.keys()  # fmt: skip
    assert all(value == value for value in facts.values())
    low, high = intervals["macro_f1"]
    assert 0.5 < low <= high <= 1


def test_the_card_is_written_with_pictures_that_passed_the_filters(
    project: Path, evaluated: dict[str, object]
) -> None:
    places = told(project, "models", "card")
    page, text = (Path(places[kind]).read_text() for kind in ("html", "md"))
    assert page.count('src="data:image/jpeg;base64,') == 3
    for words in ("Telling lying bars", "Under damage", "darkness", "Worst answers", "accuracy"):
        assert words in page and words in text
    assert "&lt;b&gt;pictures" in page and "<b>" not in page
    out = project / "card.html"
    told(project, "models", "card", "--out", out)
    assert out.read_text() == page
    assert everloop(project, "models", "card", "--out", project / "card.pdf").code == 3
    # The names of pictures say which privacy policy they passed.
    bundle = BundleId(str(evaluated["bundle"]))
    here = opened(project)
    version = here.rules.version
    names = [path.name for path in here.layout.card_pictures(bundle).iterdir()]
    assert version is not None and all(version[:16] in name for name in names) and len(names) == 3


def test_a_checklist_is_answered_signed_and_shown(
    project: Path, evaluated: dict[str, object]
) -> None:
    bundle = str(evaluated["bundle"])
    said = everloop(project, "models", "approve", bundle)
    assert said.code == 3 and "waits for its checklist: groups" in said.err
    answers = told(project, "models", "checklist", bundle, "--answer", "groups=no", "--by", "ann")
    assert answers["questions"][0]["answer"] == "no"
    assert "says no to groups" in everloop(project, "models", "approve", bundle).err
    told(project, "models", "checklist", "--answer", "groups=yes", "--by", "bo", "--comment", "<i>")
    page = Path(told(project, "models", "card")["html"]).read_text()
    assert "<td>yes</td><td>&lt;i&gt;</td><td>bo, 2" in page
    told(project, "models", "approve", bundle)
    for wrong, why in (("age=yes", "no question 'age'"), ("groups=maybe", "answered with yes")):
        with pytest.raises(Refused, match=why):
            answer(opened(project), BundleId(bundle), [wrong], comment="", by="bo", now=START)


def test_a_forgotten_picture_leaves_the_card(project: Path, evaluated: dict[str, object]) -> None:
    here, bundle = opened(project), BundleId(str(evaluated["bundle"]))
    result = latest(here, "evaluate", bundle=bundle)
    assert result is not None
    report = load_report(here.layout.evaluations, str(result["report"]))
    assert drop_pictures(here, {report.examples[0].sample}) == 1
    page = (here.layout.cards / f"{bundle}.html").read_text()
    assert page.count('src="data:image/jpeg;base64,') == 2
    assert drop_pictures(here, {report.examples[0].sample}) == 0


def test_the_page_on_evaluation_is_followed(project: Path, evaluated: dict[str, object]) -> None:
    assert evaluated
    text = PAGE.read_text(encoding="utf-8")
    lines = [line for block in _BLOCK.findall(text) for line in block.splitlines()]
    assert len(lines) >= 4
    for line in lines:
        said = everloop(project, *shlex.split(line)[1:])
        assert said.code == 0, f"{line}: {said.err}"
    for block in _SETTINGS.findall(text):
        parse_policy(f"level = 1\n{block}")


@pytest.mark.usefixtures("evaluated")
def test_training_labels_are_looked_through_and_what_it_rests_on_is_told(project: Path) -> None:
    found = told(project, "label", "doubts", "--training")
    looked = json.loads((project / ".everloop" / "label_doubts.json").read_bytes())
    (snapshot,) = told(project, "data", "list")
    assert looked["snapshot"] == snapshot["id"] and looked["looked_at"] == snapshot["train"]
    assert looked["estimated_share_wrong"] < 0.1 and found["bundle"] == looked["bundle"]
    assert all("learnt by heart" in found["how"][d["side"]] for d in looked["rows"])
