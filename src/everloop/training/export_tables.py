"""A model of rows (scikit-learn, LightGBM, XGBoost) as an ONNX graph of the contract."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from everloop.errors import Refused
from everloop_runtime.answers.kind import AnswerKind

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from numpy.typing import NDArray

_ML = "ai.onnx.ml"
_OPSETS = {"": 18, _ML: 3}
_OPSET = 15
"""The newest that the converters for boosted trees take."""
_ADVICE = "pip install 'everloop[tabular]'"
_SMALLEST = 1e-6


def is_table_model(model: Any) -> bool:
    """Whether it is of one of the libraries that are taken."""
    return hasattr(model, "predict") and _library(model) in {"sklearn", "lightgbm", "xgboost"}


def _library(model: Any) -> str:
    names = [kind.__module__.partition(".")[0] for kind in type(model).__mro__]
    # LightGBM's and XGBoost's own classes derive from scikit-learn's.
    return next((n for n in ("lightgbm", "xgboost", "sklearn") if n in names), names[0])


def export_table(
    model: Any, inputs: "NDArray[np.float32]", kind: AnswerKind
) -> "tuple[bytes, NDArray[np.float32]]":
    """The graph, and what the framework answers to `inputs`, `[N, features]`.

    Raises `Refused` when the model gives answers of another kind or cannot be converted.
    """
    import numpy as np

    expected = np.asarray(table_answers(model, inputs, kind), np.float32).reshape(len(inputs), -1)
    if expected.shape[1:] != kind.shape:
        raise Refused(
            f"the model gives {expected.shape[1:]} for a sample, where {kind.shape} is wanted: "
            "learn from data.labels() as they are"
        )
    try:
        graph = _converted(model, inputs)
    except ImportError as error:
        raise Refused(f"a {type(model).__name__} needs its converter: {_ADVICE}") from error
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError) as error:
        name = type(model).__name__
        raise Refused(f"a {name} cannot be converted to ONNX: {str(error)[:300]}") from error
    # Converters name it at random; the bundle's id must not be.
    graph.graph.name = "rows"
    _name_output(graph, kind)
    _add_embedding(graph, inputs)
    data: bytes = graph.SerializeToString()
    return data, expected


def table_answers(model: Any, inputs: "NDArray[np.float32]", kind: AnswerKind) -> Any:
    """What the framework itself answers to rows `[N, features]`: figures or probabilities.

    Raises `Refused` for a model without probabilities where they are wanted.
    """
    if kind.output != "probabilities":
        return model.predict(inputs)
    if not hasattr(model, "predict_proba"):
        raise Refused(f"a {type(model).__name__} gives no probabilities; a classifier is wanted")
    return model.predict_proba(inputs)


def _converted(model: Any, inputs: "NDArray[np.float32]") -> "onnx.ModelProto":
    made: onnx.ModelProto
    library, columns = _library(model), inputs.shape[1]
    if library == "sklearn":
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType

        types = [("row", FloatTensorType([None, columns]))]
        options = {id(model): {"zipmap": False}} if hasattr(model, "predict_proba") else None
        with _plain_numbers():
            made = to_onnx(model, initial_types=types, options=options, target_opset=_OPSETS)
        return made
    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType as Floats

    types = [("row", Floats([None, columns]))]
    settings: dict[str, Any] = {"initial_types": types, "target_opset": _OPSET}
    if library == "lightgbm":
        made = onnxmltools.convert_lightgbm(model, zipmap=False, **settings)
    else:
        made = onnxmltools.convert_xgboost(model, **settings)
    return made


@contextmanager
def _plain_numbers() -> Iterator[None]:
    """skl2onnx 1.20 hands truth values on as attributes, where onnx 1.23 takes integers alone."""
    import numpy as np
    from skl2onnx.common import _container

    make = _container.make_node

    def made(*parts: Any, **attributes: Any) -> Any:
        plain = {
            name: [int(v) if isinstance(v, bool | np.bool_ | np.integer) else v for v in value]
            if isinstance(value, list)
            else value
            for name, value in attributes.items()
        }
        return make(*parts, **plain)

    _container.make_node = made
    try:
        yield
    finally:
        _container.make_node = make


def _name_output(model: "onnx.ModelProto", kind: AnswerKind) -> None:
    """Make the converter's numbers the one output that the contract names."""
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    floats = [
        told.name for told in graph.output if told.type.tensor_type.elem_type == TensorProto.FLOAT
    ]
    if not floats:
        raise Refused("the converted model gives no numbers")
    inside = "everloop_numbers"
    for node in graph.node:
        node.output[:] = [inside if name == floats[-1] else name for name in node.output]
        node.input[:] = [inside if name == floats[-1] else name for name in node.input]
    shape = _ints("everloop_shape", [-1, *kind.shape])
    graph.initializer.append(numpy_helper.from_array(shape[1], shape[0]))
    graph.node.append(helper.make_node("Reshape", [inside, shape[0]], [kind.output]))
    del graph.output[:]
    sizes: list[str | int | None] = ["batch", *kind.shape]
    graph.output.append(helper.make_tensor_value_info(kind.output, TensorProto.FLOAT, sizes))


def _ints(name: str, values: list[int]) -> "tuple[str, NDArray[np.int64]]":
    import numpy as np

    return name, np.array(values, np.int64)


def _add_embedding(model: "onnx.ModelProto", inputs: "NDArray[np.float32]") -> None:
    """What stands for a row in monitoring: its columns, each at mean 0 and deviation 1.

    By the rows that the graph is compared on; what is missing is the mean.
    """
    import numpy as np
    from onnx import TensorProto, helper

    seen = np.isfinite(inputs).any(axis=0)
    mean, spread = np.zeros(inputs.shape[1]), np.ones(inputs.shape[1])
    mean[seen], spread[seen] = np.nanmean(inputs[:, seen], 0), np.nanstd(inputs[:, seen], 0)
    graph = model.graph
    # Operators that every version of the standard has: converters state the oldest that will do.
    filled = helper.make_node(
        "Imputer",
        ["row"],
        ["everloop_filled"],
        domain=_ML,
        imputed_value_floats=mean.tolist(),
        replaced_value_float=float("nan"),
    )
    scaled = helper.make_node(
        "Scaler",
        ["everloop_filled"],
        ["embedding"],
        domain=_ML,
        offset=mean.tolist(),
        scale=(1 / np.maximum(spread, _SMALLEST)).tolist(),
    )
    graph.node.extend([filled, scaled])
    if _ML not in {opset.domain for opset in model.opset_import}:
        model.opset_import.append(helper.make_opsetid(_ML, 1))
    sizes = ["batch", inputs.shape[1]]
    graph.output.append(helper.make_tensor_value_info("embedding", TensorProto.FLOAT, sizes))
