"""Golden inputs: real samples that travel with a bundle, with the answers they must give."""

import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from everloop_runtime.arrays import read_arrays
from everloop_runtime.errors import Refused

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from everloop_runtime.bundle import Bundle

_OUTPUTS = "golden/outputs.npz"


def golden_files(
    inputs: Sequence[bytes], values: "NDArray[np.float32]", output: str = "probabilities"
) -> dict[str, bytes]:
    """The files of a bundle that hold `inputs` and their answers, `[len(inputs), ...]`.

    `output`: what the kind of answer calls its numbers.
    """
    import numpy as np

    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **{output: values})
    files = {f"golden/{index:03d}": data for index, data in enumerate(inputs)}
    return {**files, _OUTPUTS: out.getvalue()}


def golden_names(files: Iterable[str]) -> list[str]:
    """Which of a bundle's files are golden inputs, in the order of their outputs."""
    return sorted(name for name in files if name.startswith("golden/") and name != _OUTPUTS)


def golden_outputs(data: bytes, output: str) -> "NDArray[np.float32]":
    """The answers in `golden/outputs.npz`, `[N, ...]`; `Refused` when there are none."""
    import numpy as np

    return np.asarray(read_arrays(data, (output,))[output], dtype=np.float32)


def read_golden(bundle: "Bundle") -> "tuple[list[bytes], NDArray[np.float32]]":
    """The golden inputs of a bundle, and what they must give."""
    names = golden_names(bundle.manifest.files)
    try:
        expected = golden_outputs(bundle.read(_OUTPUTS), bundle.answers.output)
    except Refused as error:
        raise Refused(f"bundle {bundle.id[:8]} has no golden outputs: {error}") from error
    if expected.shape != (len(names), *bundle.answers.shape) or not names:
        raise Refused(f"bundle {bundle.id[:8]}: golden inputs and outputs do not fit together")
    return [bundle.read(name) for name in names], expected
