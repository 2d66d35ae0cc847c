"""How MLflow loads a bundle: `mlflow.pyfunc.load_model(FOLDER)` ends up here.

A frame with a column `image`, each cell the bytes of an image file, gives a frame of `label`,
`confidence` and `probabilities` (in the order of the classes); where answers are of another kind,
`answer` holds what the service would say, as JSON, in place of the probabilities. MLflow's scoring
server takes the bytes as base64. A model of rows takes a frame of its columns.
"""

import json
import math
from collections.abc import Mapping
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
        """One row of answers a row of samples."""
        import pandas as pd

        samples, answers = self._samples(model_input), []
        for start in range(0, len(samples), _AT_ONCE):
            answers += self._predictor.predict_all(samples[start : start + _AT_ONCE])
        columns: dict[str, list[Any]] = {
            "label": [answer.label for answer in answers],
            "confidence": [answer.confidence for answer in answers],
        }
        if self._predictor.gives_classes:
            columns["probabilities"] = [list(answer.probabilities) for answer in answers]
        else:
            columns["answer"] = [json.dumps(answer.told) for answer in answers]
        return pd.DataFrame(columns, index=model_input.index)

    def _samples(self, frame: "pd.DataFrame") -> list[Any]:
        if self._predictor.takes_rows:
            return [_row(row) for row in frame.to_dict("records")]
        if "image" not in frame:
            raise Refused(f"columns {list(frame)}; one called 'image' is wanted")
        return list(frame["image"])


def _row(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A frame's row: its missing values are NaN or None, its figures of NumPy's own types."""
    plain = {str(name): v.item() if hasattr(v, "item") else v for name, v in row.items()}
    return {n: None if isinstance(v, float) and math.isnan(v) else v for n, v in plain.items()}


def _load_pyfunc(path: str) -> _Served:
    """MLflow's own name for a flavour's loader."""
    return _Served(Predictor(Path(path)))
