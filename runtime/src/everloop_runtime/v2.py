"""The Open Inference Protocol, version 2, over HTTP: tensors in JSON or binary.

https://github.com/kserve/open-inference-protocol, with the binary tensor data extension and the
classification extension. A request brings either `image`, BYTES `[N]`, image files (base64 in
JSON), or `pixels`, UINT8 `[N, H, W, C]`, already of the model's size.
"""

import binascii
import struct
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from everloop_runtime.head import Request
from everloop_runtime.images import ImageSpec
from everloop_runtime.inputs import MOST_IMAGES, decoded
from everloop_runtime.problems import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from everloop_runtime.predicting import Ask

EXTENSIONS = ("binary_tensor_data", "classification")
HEADER_LENGTH = b"inference-header-content-length"
_OUTPUTS = ("probabilities", "label", "prediction_id")
_SEE = "GET /v2/models/NAME tells the tensors"
_BYTES_HEAD = struct.Struct("<I")


class Tensor(msgspec.Struct):
    """An input tensor of a request."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class Wanted(msgspec.Struct):
    """An output tensor that a request asks for."""

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(msgspec.Struct):
    """The JSON part of a request."""

    inputs: list[Tensor]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[Wanted] = []


_decoder = msgspec.json.Decoder(InferRequest)


@dataclass(slots=True)
class Infer:
    """A request as this service understands it; one of `files` and `pixels` is empty."""

    id: str | None
    outputs: list[Wanted]
    files: list[bytes]
    pixels: "NDArray[np.uint8] | None"


def model_metadata(name: str, version: str, classes: Sequence[str]) -> dict[str, Any]:
    """What a client is told of the model."""
    return {
        "name": name,
        "versions": [version],
        "platform": "onnx_everloop",
        "inputs": [{"name": "image", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(classes)]},
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "prediction_id", "datatype": "BYTES", "shape": [-1]},
        ],
    }


def read_infer(request: Request, spec: ImageSpec, most_bytes: int) -> Infer:
    """What a request asks. Raises `Problem` with what is wrong."""
    head, raw = _parts(request)
    told = decoded(_decoder, head)
    if len(told.inputs) != 1:
        raise Problem(422, f"{len(told.inputs)} input tensors; one is taken", _SEE)
    tensor = told.inputs[0]
    strange = [wanted.name for wanted in told.outputs if wanted.name not in _OUTPUTS]
    if strange:
        raise Problem(422, f"no output is called {strange[0][:50]!r}", _SEE)
    binary = bool(told.parameters.get("binary_data_output"))
    outputs = told.outputs or [Wanted(name, {"binary_data": binary}) for name in _OUTPUTS]
    return _read_tensor(tensor, raw, spec, most_bytes, Infer(told.id, outputs, [], None))


def _read_tensor(
    tensor: Tensor, raw: bytes, spec: ImageSpec, most_bytes: int, infer: Infer
) -> Infer:
    size = tensor.parameters.get("binary_data_size")
    if size is not None and size != len(raw):
        raise Problem(422, f"{len(raw)} bytes of tensor follow; {size!r:.20} are announced", _SEE)
    count = tensor.shape[0] if tensor.shape else 0
    if not 0 < count <= MOST_IMAGES:
        told = f"the batch has {count:.3g} images; 1 to {MOST_IMAGES} are taken"
        raise Problem(422, told, "send several requests")
    kind = (tensor.name, tensor.datatype)
    if kind == ("image", "BYTES") and tensor.shape in ([count], [count, 1]):
        infer.files = _files(raw) if size is not None else _from_base64(tensor.data)
        if len(infer.files) != count or max(map(len, infer.files)) > most_bytes:
            told = f"{len(infer.files)} images for a shape of {count}, or one is too large"
            raise Problem(422, told, _SEE)
    elif kind == ("pixels", "UINT8"):
        wanted = [count, spec.height, spec.width, spec.channels]
        if tensor.shape != wanted:
            raise Problem(422, f"pixels of shape {tensor.shape[:8]}; {wanted} is wanted", _SEE)
        infer.pixels = _pixels(tensor, raw if size is not None else None)
    else:
        described = f"{tensor.name[:50]!r} {tensor.datatype[:20]} {tensor.shape[:8]}"
        raise Problem(422, f"the input {described} is not taken", _SEE)
    return infer


def _parts(request: Request) -> tuple[bytes, bytes]:
    declared = request.headers.get(HEADER_LENGTH)
    if declared is None:
        return request.body, b""
    if not declared.isdigit() or len(declared) > 12 or int(declared) > len(request.body):
        raise Problem(400, "the inference header is longer than the body", _SEE)
    split = int(declared)
    return request.body[:split], request.body[split:]


def _files(raw: bytes) -> list[bytes]:
    found: list[bytes] = []
    at = 0
    while at < len(raw):
        if at + 4 > len(raw) or len(found) > MOST_IMAGES:
            break
        (size,) = _BYTES_HEAD.unpack_from(raw, at)
        found.append(raw[at + 4 : at + 4 + size])
        at += 4 + size
    if at != len(raw):
        raise Problem(422, "the BYTES tensor ends in the middle of an element", _SEE)
    return found


def _from_base64(data: list[Any] | None) -> list[bytes]:
    flat = [one for item in data or [] for one in (item if isinstance(item, list) else [item])]
    try:
        return [b64decode(text, validate=True) for text in flat]
    except (binascii.Error, ValueError, TypeError) as error:
        remedy = "send image files as base64, or with the binary tensor data extension"
        raise Problem(422, f"an element is not base64: {error}", remedy) from None


def _pixels(tensor: Tensor, raw: bytes | None) -> "NDArray[np.uint8]":
    import numpy as np

    size = 1
    for side in tensor.shape:
        size *= side
    if raw is not None:
        if len(raw) != size:
            raise Problem(422, f"{len(raw)} bytes for a tensor of {size}", _SEE)
        return np.frombuffer(raw, np.uint8).reshape(tensor.shape)
    try:
        values = np.asarray(tensor.data).reshape(-1)
    except ValueError as error:
        raise Problem(422, f"the pixels are no tensor: {error}", _SEE) from None
    if values.dtype.kind not in "iu" or values.size != size or values.min() < 0:
        raise Problem(422, f"{size} whole numbers from 0 to 255 are wanted", _SEE)
    if values.max() > 255:
        raise Problem(422, f"a pixel is {values.max()}; 0 to 255 are taken", _SEE)
    return values.astype(np.uint8).reshape(tensor.shape)


def answer(infer: Infer, name: str, asks: "Sequence[Ask]") -> tuple[bytes, bytes, bytes]:
    """Body, further header lines and content type of the answer; every ask has one."""
    import numpy as np

    seat = asks[0].seat
    classes = seat.batcher.model.bundle.manifest.classes
    rows = np.stack([ask.row for ask in asks if ask.row is not None])
    told, blobs = [], []
    for wanted in infer.outputs:
        datatype, shape, values, blob = _output(wanted, rows, classes, asks)
        one: dict[str, Any] = {"name": wanted.name, "datatype": datatype, "shape": shape}
        if wanted.parameters.get("binary_data"):
            one["parameters"] = {"binary_data_size": len(blob)}
            blobs.append(blob)
        else:
            one["data"] = values
        told.append(one)
    whole = {"model_name": name, "model_version": seat.bundle, "outputs": told}
    if infer.id is not None:
        whole["id"] = infer.id
    head = msgspec.json.encode(whole)
    if not blobs:
        return head, b"", b"application/json"
    lines = b"inference-header-content-length: %d\r\n" % len(head)
    return b"".join([head, *blobs]), lines, b"application/octet-stream"


def _output(
    wanted: Wanted, rows: "NDArray[np.float32]", classes: Sequence[str], asks: "Sequence[Ask]"
) -> tuple[str, list[int], list[Any], bytes]:
    most = wanted.parameters.get("classification")
    if wanted.name == "probabilities" and most is None:
        return "FP32", list(rows.shape), rows.reshape(-1).tolist(), rows.tobytes()
    if wanted.name == "probabilities":
        most = max(1, min(int(most), len(classes))) if isinstance(most, int) else 1
        order = (-rows).argsort(axis=1, kind="stable")[:, :most]
        texts = [
            f"{rows[at][index]:f}:{index}:{classes[index]}"
            for at, best in enumerate(order.tolist())
            for index in best
        ]
        return "BYTES", [len(rows), most], texts, _packed(texts)
    if wanted.name == "label":
        texts = [classes[index] for index in rows.argmax(axis=1).tolist()]
    else:
        texts = [ask.prediction for ask in asks]
    return "BYTES", [len(rows)], texts, _packed(texts)


def _packed(texts: Sequence[str]) -> bytes:
    encoded = [text.encode() for text in texts]
    return b"".join(_BYTES_HEAD.pack(len(text)) + text for text in encoded)
