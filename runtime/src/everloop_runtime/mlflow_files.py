"""The files that make a bundle's folder an MLflow model too.

MLflow loads it through `everloop_runtime.mlflow_model`, which decodes, resizes and checks as
every other runtime does; nothing is pickled. The text belongs to the bundle's format, its kind of
answer and what it takes, and never changes within them: bundles whose files differ from it are
refused, because MLflow would import whatever module they name.
"""

import json
from collections.abc import Mapping
from typing import Any

from everloop_runtime.answers.declared import CLASSES
from everloop_runtime.manifest import BundleDraft, RowInput

_IMAGE: list[dict[str, Any]] = [{"type": "binary", "name": "image", "required": True}]
_OUTPUTS: list[dict[str, Any]] = [
    {"type": "string", "name": "label", "required": True},
    {"type": "double", "name": "confidence", "required": True},
]
_PROBABILITIES: dict[str, Any] = {
    "type": "array",
    "items": {"type": "double"},
    "name": "probabilities",
    "required": True,
}
_ANSWER: dict[str, Any] = {"type": "string", "name": "answer", "required": True}
_MODEL = {
    "flavors": {
        "onnx": {
            "code": "",
            "data": "model.onnx",
            "onnx_session_options": None,
            "providers": ["CPUExecutionProvider"],
        },
        "python_function": {
            "env": {"virtualenv": "python_env.yaml"},
            "loader_module": "everloop_runtime.mlflow_model",
        },
    },
}
_REQUIREMENTS = "everloop-runtime>=0.1\npandas>=2\n"
_ENVIRONMENT = {"dependencies": ["-r requirements.txt"]}


def mlflow_files(draft: BundleDraft) -> Mapping[str, bytes]:
    """Name and bytes of each. They are written as JSON, which is YAML."""
    last = _PROBABILITIES if draft.answer == CLASSES else _ANSWER
    signature = {
        "inputs": json.dumps(_inputs(draft)),
        "outputs": json.dumps([*_OUTPUTS, last]),
        "params": None,
    }
    return {
        "MLmodel": _text({**_MODEL, "signature": signature}),
        "python_env.yaml": _text(_ENVIRONMENT),
        "requirements.txt": _REQUIREMENTS.encode(),
    }


def _inputs(draft: BundleDraft) -> list[dict[str, Any]]:
    if not isinstance(draft.input, RowInput):
        return _IMAGE
    return [
        {
            "type": "double" if feature.categories is None else "string",
            "name": feature.name,
            "required": not feature.may_miss,
        }
        for feature in draft.input.features
    ]


def _text(value: object) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
