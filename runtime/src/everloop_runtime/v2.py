"""The Open Inference Protocol, version 2, over HTTP: tensors in JSON or binary.

https://github.com/kserve/open-inference-protocol, with the binary tensor data extension and the
classification extension. A request brings `image`, BYTES `[N]`, image files (base64 in JSON), or
`pixels`, UINT8 `[N, H, W, C]`, already of the model's size; to a model of rows `row`, BYTES `[N]`,
each a JSON object as text.
"""

import binascii
import struct
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from everloop_runtime.answers.class_probabilities import ClassProbabilities
from everloop_runtime.answers.kind import AnswerKind
from everloop_runtime.answers.multi_label import MultiLabel
from everloop_runtime.bundle import Bundle
from everloop_runtime.head import Request
from everloop_runtime.images import ImageSpec
from everloop_runtime.inputs import MOST_IMAGES, decoded
from everloop_runtime.problems import Problem
from everloop_runtime.samples import Spec, input_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from everloop_runtime.predicting import Ask

EXTENSIONS = ("binary_tensor_data", "classification")
HEADER_LENGTH = b"inference-header-content-length"
_PREDICTION = "prediction_id"
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


def model_metadata(name: str, bundle: Bundle) -> dict[str, Any]:
    """What a client is told of the model."""
    outputs = [
        {"name": tensor.name, "datatype": tensor.datatype, "shape": [-1, *tensor.shape]}
        for tensor in bundle.answers.tensors()
    ]
    taken = input_name(bundle.manifest.spec)
    return {
        "name": name,
        "versions": [bundle.id],
        "platform": "onnx_everloop",
        "inputs": [{"name": taken, "datatype": "BYTES", "shape": [-1]}],
        "outputs": [*outputs, {"name": _PREDICTION, "datatype": "BYTES", "shape": [-1]}],
    }


def read_infer(request: Request, bundle: Bundle, most_bytes: int) -> Infer:
    """What a request asks. Raises `Problem` with what is wrong."""
    spec = bundle.manifest.spec
    given = [*(tensor.name for tensor in bundle.answers.tensors()), _PREDICTION]
    head, raw = _parts(request)
    told = decoded(_decoder, head)
    if len(told.inputs) != 1:
        raise Problem(422, f"{len(told.inputs)} input tensors; one is taken", _SEE)
    tensor = told.inputs[0]
    strange = [wanted.name for wanted in told.outputs if wanted.name not in given]
    if strange:
        raise Problem(422, f"no output is called {strange[0][:50]!r}", _SEE)
    binary = bool(told.parameters.get("binary_data_output"))
    outputs = told.outputs or [Wanted(name, {"binary_data": binary}) for name in given]
    return _read_tensor(tensor, raw, spec, most_bytes, Infer(told.id, outputs, [], None))


def _read_tensor(tensor: Tensor, raw: bytes, spec: Spec, most_bytes: int, infer: Infer) -> Infer:
    size = tensor.parameters.get("binary_data_size")
    if size is not None and size != len(raw):
        raise Problem(422, f"{len(raw)} bytes of tensor follow; {size!r:.20} are announced", _SEE)
    count = tensor.shape[0] if tensor.shape else 0
    if not 0 < count <= MOST_IMAGES:
        told = f"the batch has {count:.3g} samples; 1 to {MOST_IMAGES} are taken"
        raise Problem(422, told, "send several requests")
    kind = (tensor.name, tensor.datatype)
    if kind == (input_name(spec), "BYTES") and tensor.shape in ([count], [count, 1]):
        unpacked = _from_base64 if isinstance(spec, ImageSpec) else _from_texts
        infer.files = _files(raw) if size is not None else unpacked(tensor.data)
        if len(infer.files) != count or max(map(len, infer.files)) > most_bytes:
            told = f"{len(infer.files)} samples for a shape of {count}, or one is too large"
            raise Problem(422, told, _SEE)
    elif kind == ("pixels", "UINT8") and isinstance(spec, ImageSpec):
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


def _from_texts(data: list[Any] | None) -> list[bytes]:
    texts = _flat(data)
    if not all(isinstance(text, str) for text in texts):
        raise Problem(422, "an element is no text", "send each row as a JSON object's text")
    return [text.encode() for text in texts]


def _flat(data: list[Any] | None) -> list[Any]:
    return [one for item in data or [] for one in (item if isinstance(item, list) else [item])]


def _from_base64(data: list[Any] | None) -> list[bytes]:
    try:
        return [b64decode(text, validate=True) for text in _flat(data)]
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
    kind = seat.batcher.model.bundle.answers
    rows = np.stack([ask.row for ask in asks if ask.row is not None])
    told, blobs = [], []
    for wanted in infer.outputs:
        datatype, shape, values, blob = _output(wanted, rows, kind, asks)
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
    wanted: Wanted, rows: "NDArray[np.float32]", kind: AnswerKind, asks: "Sequence[Ask]"
) -> tuple[str, list[int], list[Any], bytes]:
    if wanted.name == _PREDICTION:
        ids = [ask.prediction for ask in asks]
        return "BYTES", [len(rows)], ids, _packed(ids)
    most = wanted.parameters.get("classification")
    if most is not None and wanted.name == "probabilities":
        assert isinstance(kind, ClassProbabilities | MultiLabel)  # noqa: S101 - only these have it
        return _best(rows, kind.classes, most)
    import numpy as np

    tensor = next(tensor for tensor in kind.tensors() if tensor.name == wanted.name)
    given = kind.tensor(tensor.name, rows)
    shape = [len(rows), *tensor.shape]
    if tensor.datatype == "BYTES":
        texts = [str(text) for text in given]
        return "BYTES", shape, texts, _packed(texts)
    numbers = np.asarray(given, "<f4")
    return "FP32", shape, numbers.reshape(-1).tolist(), numbers.tobytes()


def _best(
    rows: "NDArray[np.float32]", classes: Sequence[str], most: Any
) -> tuple[str, list[int], list[Any], bytes]:
    """The classification extension: the `most` likely classes, each as `probability:index:name`."""
    most = max(1, min(int(most), len(classes))) if isinstance(most, int) else 1
    order = (-rows).argsort(axis=1, kind="stable")[:, :most]
    texts = [
        f"{rows[at][index]:f}:{index}:{classes[index]}"
        for at, best in enumerate(order.tolist())
        for index in best
    ]
    return "BYTES", [len(rows), most], texts, _packed(texts)


def _packed(texts: Sequence[str]) -> bytes:
    encoded = [text.encode() for text in texts]
    return b"".join(_BYTES_HEAD.pack(len(text)) + text for text in encoded)
