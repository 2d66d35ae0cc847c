"""How MLflow loads a bundle: `mlflow.pyfunc.load_model(FOLDER)` ends up here.

A frame with a column `image`, each cell the bytes of an image file, gives a frame of `label`,
`confidence` and `probabilities` (in the order of the classes). MLflow's scoring server takes the
bytes as base64.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop_runtime.errors import Refused
from everloop_runtime.library import Predictor

if TYPE_CHECKING:
    import pandas as pd

_AT_ONCE = 64


class _Served:
    """What MLflow calls."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def predict(
        self,
        model_input: "pd.DataFrame",
        params: dict[str, Any] | None = None,  # noqa: ARG002 - part of MLflow's call
    ) -> "pd.DataFrame":
        """One row of answers a row of images."""
        import pandas as pd

        if "image" not in model_input:
            raise Refused(f"columns {list(model_input)}; one called 'image' is wanted")
        images, answers = list(model_input["image"]), []
        for start in range(0, len(images), _AT_ONCE):
            answers += self._predictor.predict_all(images[start : start + _AT_ONCE])
        return pd.DataFrame(
            {
                "label": [answer.label for answer in answers],
                "confidence": [answer.confidence for answer in answers],
                "probabilities": [list(answer.probabilities) for answer in answers],
            },
            index=model_input.index,
        )


def _load_pyfunc(path: str) -> _Served:
    """MLflow's own name for a flavour's loader."""
    return _Served(Predictor(Path(path)))
