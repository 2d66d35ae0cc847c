"""Three classic mistakes of preprocessing, each planted in a live service and each stopped.

This is the example of `docs/bundle.md`. In `request` only what comes over HTTP is prepared wrongly,
so that nothing but the replay of the hold-out can find it; `everywhere` the golden inputs are
prepared wrongly too, and the service never becomes ready.
"""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from everloop.errors import Unavailable
from everloop.evaluation.evaluate import Evaluation
from everloop.ids import BundleId, SampleId, SnapshotId
from everloop.rollout.replay import ReplayVerdict, judge_replay, replay
from everloop.rollout.service import candidate_service
from everloop.tasks.image_classification import ImageClassification
from everloop_runtime.bundle import BundleDraft, InputSpec, build_bundle, open_bundle
from everloop_runtime.golden import golden_files
from everloop_runtime.images import to_array
from everloop_runtime.model import Graph, Model

SIDE, COUNT, TOLERANCE = 8, 24, 1e-3
TASK = ImageClassification(classes=["a", "b", "c"], size=(SIDE, SIDE), channels=3)


def _picture(seed: int) -> bytes:
    """A colour picture larger than the model's input: smooth shapes with some noise."""
    generator = np.random.default_rng(seed)
    coarse = Image.fromarray(generator.integers(0, 256, (4, 4, 3)).astype(np.uint8))
    smooth = np.asarray(coarse.resize((21, 17), Image.Resampling.BICUBIC)).astype(int)
    noisy = smooth + generator.integers(-20, 21, smooth.shape)
    out = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


PICTURES = [_picture(seed) for seed in range(COUNT)]


def _graph() -> bytes:
    """A linear classifier with fixed random weights, unsure enough to show every difference."""
    pixels = SIDE * SIDE * 3
    weights = np.random.default_rng(7).normal(0, 4 / np.sqrt(pixels), (pixels, 3))
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["float", "scale"], ["scaled"]),
        helper.make_node("Flatten", ["scaled"], ["embedding"], axis=1),
        helper.make_node("MatMul", ["embedding", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    constants = {"scale": np.array(255, np.float32), "weights": weights.astype(np.float32)}
    made = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 3]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", pixels]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    data: bytes = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10
    ).SerializeToString()
    return data


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BundleId]:
    """A folder with one good bundle of colour pictures."""
    folder = tmp_path_factory.mktemp("bundles")
    seen = np.stack([to_array(picture, TASK.spec()) for picture in PICTURES[:4]])
    draft = BundleDraft(
        product="colours", task=dict(TASK.declaration()), classes=TASK.classes, lineage={},
        input=InputSpec(height=SIDE, width=SIDE, channels=3),
    )  # fmt: skip
    golden = golden_files(PICTURES[:4], Graph(_graph()).run(seen).probabilities)
    return folder, build_bundle(folder, draft, {"model.onnx": _graph(), **golden})


def _evaluation(bundles: tuple[Path, BundleId]) -> Evaluation:
    """What the bundle answers through the code that everything shares."""
    folder, bundle = bundles
    model = Model.load(open_bundle(folder / bundle, bundle))
    given = model.predict(model.decode(PICTURES)).probabilities
    labels = given.argmax(axis=1)
    samples = tuple(SampleId(str(number)) for number in range(COUNT))
    return Evaluation(
        bundle, SnapshotId("s"), TASK.classes, samples, labels, ("x",) * COUNT, given,
        TASK.score(given, labels),
    )  # fmt: skip


def _verdict(
    bundles: tuple[Path, BundleId], scratch: Path, place: str, mistake: str
) -> ReplayVerdict:
    folder, bundle = bundles
    command = (sys.executable, "-m", "tests.support.wrong_service", place, mistake)
    with candidate_service(command, bundle, folder, scratch) as client:
        answers = replay(client, PICTURES, TASK.classes)
    return judge_replay(_evaluation(bundles), answers, TOLERANCE, TASK)


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
    assert verdict.max_difference > 10 * TOLERANCE


def test_the_service_as_it_is_passes(bundles: tuple[Path, BundleId], tmp_path: Path) -> None:
    verdict = _verdict(bundles, tmp_path, "request", "none")
    assert verdict.passed and verdict.max_difference < 1e-5


@pytest.mark.parametrize("mistake", ["bgr", "other-mean", "nearest"])
def test_a_mistake_in_the_shared_code_is_stopped_by_the_golden_inputs(
    bundles: tuple[Path, BundleId], tmp_path: Path, mistake: str
) -> None:
    with pytest.raises(Unavailable, match="golden"):
        _verdict(bundles, tmp_path, "everywhere", mistake)
