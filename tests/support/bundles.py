"""Small real bundles, made without training."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper
from tests.support.pictures import flat, noise

from everloop.ids import BundleId
from everloop.monitoring.reference import build_reference
from everloop_runtime.bundle import BundleDraft, InputSpec, build_bundle
from everloop_runtime.golden import golden_files
from everloop_runtime.images import ImageSpec, to_array
from everloop_runtime.model import Graph

SIDE = 8
CLASSES = ("dark", "bright")


def graph(
    lean: float = 0.0,
    *,
    breaks_on_bright: bool = False,
    wrong_on_bright: bool = False,
    loops_on_bright: int = 0,
    scale: float = 255.0,
) -> bytes:
    """A graph that calls an image bright by its mean.

    `lean` is added to the logit of "bright": bundles of another lean have another id.
    `breaks_on_bright`: the answer to an image brighter than the middle is not a number.
    `wrong_on_bright`: it is called dark. `loops_on_bright`: it costs so many turns of a loop.
    """
    pixels = SIDE * SIDE
    weights = np.full((pixels, 2), 1 / pixels, np.float32) * np.array([-20, 20], np.float32)
    constants = {
        "scale": np.array(scale, np.float32),
        "weights": weights,
        "bias": np.array([10, -10 + lean], np.float32),
        "half": np.array(0.5, np.float32),
        "zero": np.array(0.0, np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["float", "scale"], ["scaled"]),
        helper.make_node("Flatten", ["scaled"], ["embedding"], axis=1),
        helper.make_node("MatMul", ["embedding", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
    ]
    last = "logits"
    if breaks_on_bright:
        nodes += [
            helper.make_node("ReduceMean", ["embedding"], ["mean"], keepdims=1),
            helper.make_node("Sub", ["half", "mean"], ["room"]),
            helper.make_node("Sqrt", ["room"], ["root"]),
            helper.make_node("Mul", ["root", "zero"], ["nothing"]),
            helper.make_node("Add", ["logits", "nothing"], ["broken"]),
        ]
        last = "broken"
    if wrong_on_bright or loops_on_bright:
        nodes += [
            helper.make_node("ReduceMean", ["embedding"], ["brightness"], keepdims=1),
            helper.make_node("Greater", ["brightness", "half"], ["is_bright"]),
        ]
    if wrong_on_bright:
        constants["minus"] = np.array(-1.0, np.float32)
        nodes += [
            helper.make_node("Mul", [last, "minus"], ["opposite"]),
            helper.make_node("Where", ["is_bright", "opposite", last], ["wrong"]),
        ]
        last = "wrong"
    if loops_on_bright:
        constants["turns"] = np.array(loops_on_bright, np.int64)
        constants["one"] = np.array(1.0, np.float32)
        nodes += [*_loop(), helper.make_node("Add", [last, "wasted"], ["late"])]
        last = "late"
    nodes.append(helper.make_node("Softmax", [last], ["probabilities"], axis=1))
    made = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", SIDE, SIDE, 1])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 2]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", pixels]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opset = helper.make_opsetid("", 18)
    data: bytes = helper.make_model(made, opset_imports=[opset], ir_version=10).SerializeToString()
    return data


def _loop() -> list[NodeProto]:
    """Nodes that waste time on a bright image and give `wasted`, which is zero."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["goes_on"]),
            helper.make_node("Add", ["count", "one"], ["counted"]),
        ],
        "waste",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("count", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("counted", TensorProto.FLOAT, []),
        ],
    )
    return [
        helper.make_node("Cast", ["is_bright"], ["bright_each"], to=TensorProto.INT64),
        helper.make_node("ReduceMax", ["bright_each"], ["bright_any"], keepdims=0),
        helper.make_node("Mul", ["bright_any", "turns"], ["trips"]),
        helper.make_node("Loop", ["trips", "", "zero"], ["counts"], body=body),
        helper.make_node("Mul", ["counts", "zero"], ["wasted"]),
    ]


def make_bundle(
    bundles: Path,
    lean: float = 0.0,
    *,
    breaks_on_bright: bool = False,
    model: bytes | None = None,
    lineage: Mapping[str, str] | None = None,
) -> BundleId:
    """A whole bundle around `graph` (or `model`), its golden answers computed by it."""
    data = model or graph(lean, breaks_on_bright=breaks_on_bright)
    golden = [flat(10), flat(60)]
    spec = ImageSpec(SIDE, SIDE, 1)
    runner = Graph(graph(lean))
    outputs = runner.run(np.stack([to_array(picture, spec) for picture in golden]))
    held = [to_array(noise(seed), spec) for seed in range(40)]
    seen = runner.run(np.stack(held))
    right = np.ones(len(held), bool)
    reference = build_reference(seen.values, seen.embeddings, right, seen.embeddings)
    draft = BundleDraft(
        product="brightness",
        task={"kind": "image-classification"},
        input=InputSpec(height=SIDE, width=SIDE, channels=1),
        classes=CLASSES,
        lineage=dict(lineage or {}),
    )
    files = {"model.onnx": data, "reference.npz": reference}
    return build_bundle(bundles, draft, {**files, **golden_files(golden, outputs.values)})
