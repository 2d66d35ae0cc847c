"""The files that make a bundle's folder an MLflow model too.

MLflow loads it through `everloop_runtime.mlflow_model`, which decodes, resizes and checks as
every other runtime does; nothing is pickled. The text belongs to the format `everloop-bundle/2`
and never changes within it: bundles whose files differ from it are refused, because MLflow would
import whatever module they name.
"""

import json
from collections.abc import Mapping

_INPUTS = [{"type": "binary", "name": "image", "required": True}]
_OUTPUTS = [
    {"type": "string", "name": "label", "required": True},
    {"type": "double", "name": "confidence", "required": True},
    {"type": "array", "items": {"type": "double"}, "name": "probabilities", "required": True},
]
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
    "signature": {"inputs": json.dumps(_INPUTS), "outputs": json.dumps(_OUTPUTS), "params": None},
}
_REQUIREMENTS = "everloop-runtime>=0.1\npandas>=2\n"
_ENVIRONMENT = {"dependencies": ["-r requirements.txt"]}


def mlflow_files() -> Mapping[str, bytes]:
    """Name and bytes of each. They are written as JSON, which is YAML."""
    return {
        "MLmodel": _text(_MODEL),
        "python_env.yaml": _text(_ENVIRONMENT),
        "requirements.txt": _REQUIREMENTS.encode(),
    }


def _text(value: object) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
