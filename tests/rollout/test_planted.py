"""Three classic mistakes of preprocessing, each planted in a live service and each stopped.

This is the example of `docs/bundle.md`. In `request` only what comes over HTTP is prepared wrongly,
so that nothing but the replay of the hold-out can find it; `everywhere` the golden inputs are
prepared wrongly too, and the service never becomes ready.
"""

import sys
from pathlib import Path

import pytest
from tests.support.colours import COUNT, PICTURES, TASK, make_colour_bundle

from everloop.errors import Unavailable
from everloop.evaluation.evaluate import Evaluation
from everloop.ids import BundleId, SampleId, SnapshotId
from everloop.rollout.replay import ReplayVerdict, judge_replay, replay
from everloop.rollout.service import candidate_service
from everloop_runtime.answers.declared import answer_kind
from everloop_runtime.bundle import open_bundle
from everloop_runtime.model import Model

TOLERANCE = 1e-3
KIND = answer_kind(TASK.answer(), TASK.classes)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BundleId]:
    """A folder with one good bundle of colour pictures."""
    folder = tmp_path_factory.mktemp("bundles")
    return folder, make_colour_bundle(folder)


def _evaluation(bundles: tuple[Path, BundleId]) -> Evaluation:
    """What the bundle answers through the code that everything shares."""
    folder, bundle = bundles
    model = Model.load(open_bundle(folder / bundle, bundle))
    given = model.predict(model.decode(PICTURES)).values
    labels = given.argmax(axis=1)
    samples = tuple(SampleId(str(number)) for number in range(COUNT))
    return Evaluation(
        bundle, SnapshotId("s"), TASK.classes, samples, tuple(TASK.classes[n] for n in labels),
        ("x",) * COUNT, given, TASK.score(given, labels), TASK.quality,
        TASK.qualities(given, labels),
    )  # fmt: skip


def _verdict(
    bundles: tuple[Path, BundleId], scratch: Path, place: str, mistake: str
) -> ReplayVerdict:
    folder, bundle = bundles
    command = (sys.executable, "-m", "tests.support.wrong_service", place, mistake)
    with candidate_service(command, bundle, folder, scratch) as client:
        answers = replay(client, PICTURES, KIND)
    return judge_replay(_evaluation(bundles), answers, TOLERANCE, TASK, KIND)


@pytest.fixture(autouse=True)
def _findable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=":")


@pytest.mark.parametrize("mistake", ["bgr", "other-mean", "nearest"])
def test_a_mistake_that_only_requests_meet_is_stopped_by_the_replay(
    bundles: tuple[Path, BundleId], tmp_path: Path, mistake: str
) -> None:
    verdict = _verdict(bundles, tmp_path, "request", mistake)
    assert not verdict.passed
    assert "live answers differ from evaluation" in verdict.reasons[0]
    assert verdict.max_difference > 5 * TOLERANCE


def test_the_service_as_it_is_passes(bundles: tuple[Path, BundleId], tmp_path: Path) -> None:
    verdict = _verdict(bundles, tmp_path, "request", "none")
    assert verdict.passed and verdict.max_difference < 1e-5


@pytest.mark.parametrize("mistake", ["bgr", "other-mean", "nearest"])
def test_a_mistake_in_the_shared_code_is_stopped_by_the_golden_inputs(
    bundles: tuple[Path, BundleId], tmp_path: Path, mistake: str
) -> None:
    with pytest.raises(Unavailable, match="golden"):
        _verdict(bundles, tmp_path, "everywhere", mistake)
