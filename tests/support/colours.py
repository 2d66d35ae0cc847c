"""A small bundle for colour pictures, unsure enough to show every difference, and its pictures."""

import io
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from everloop.ids import BundleId
from everloop.tasks.image_classification import ImageClassification
from everloop_runtime.bundle import BundleDraft, InputSpec, build_bundle
from everloop_runtime.golden import golden_files
from everloop_runtime.images import to_array
from everloop_runtime.model import Graph

SIDE, COUNT = 8, 24
TASK = ImageClassification(classes=["a", "b", "c"], size=(SIDE, SIDE), channels=3)


def _image(seed: int) -> Image.Image:
    """Larger than the model's input: smooth shapes with some noise."""
    generator = np.random.default_rng(seed)
    coarse = Image.fromarray(generator.integers(0, 256, (4, 4, 3)).astype(np.uint8))
    smooth = np.asarray(coarse.resize((21, 17), Image.Resampling.BICUBIC)).astype(int)
    noisy = smooth + generator.integers(-20, 21, smooth.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _odd() -> list[bytes]:
    """Every kind of file whose conversion could differ between two ways of reading it."""
    image = _image(1000)
    turned = Image.Exif()
    turned[0x0112] = 6
    clear = image.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(image.size))
    deep = Image.fromarray(np.random.default_rng(1).integers(0, 65536, (17, 21)).astype(np.uint16))
    same_size = image.resize((SIDE, SIDE))
    return [
        _saved(image, "JPEG", quality=90, exif=turned),
        _saved(image, "JPEG", quality=80, subsampling=2, progressive=True),
        _saved(same_size, "JPEG", quality=90),
        _saved(image.convert("CMYK"), "JPEG"),
        _saved(image.convert("L"), "JPEG"),
        _saved(clear, "PNG"),
        _saved(deep, "PNG"),
        _saved(image.convert("P"), "GIF"),
        _saved(image, "WEBP", lossless=True),
        _saved(image, "BMP"),
        _saved(image, "TIFF"),
    ]


PICTURES = [_saved(_image(seed), "PNG") for seed in range(COUNT)]
ODD_PICTURES = _odd()


def colour_graph() -> bytes:
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


def make_colour_bundle(bundles: Path) -> BundleId:
    """A whole bundle; its golden inputs are the first pictures."""
    seen = np.stack([to_array(picture, TASK.input_of(list)) for picture in PICTURES[:4]])
    draft = BundleDraft(
        product="colours",
        task=dict(TASK.declaration()),
        classes=TASK.classes,
        lineage={},
        input=InputSpec(height=SIDE, width=SIDE, channels=3),
    )
    golden = golden_files(PICTURES[:4], Graph(colour_graph()).run(seen).values)
    return build_bundle(bundles, draft, {"model.onnx": colour_graph(), **golden})
