"""Golden inputs: real samples that travel with a bundle, with the answers they must give."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from everloop_runtime.errors import Refused

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from everloop_runtime.bundle import Bundle

_OUTPUTS = "golden/outputs.npz"


def golden_files(inputs: Sequence[bytes], probabilities: "NDArray[np.float32]") -> dict[str, bytes]:
    """The files of a bundle that hold `inputs` and their `probabilities`, `[len(inputs), K]`."""
    import numpy as np

    out = io.BytesIO()
    np.savez(out, probabilities=probabilities)
    files = {f"golden/{index:03d}": data for index, data in enumerate(inputs)}
    return {**files, _OUTPUTS: out.getvalue()}


def read_golden(bundle: "Bundle") -> "tuple[list[bytes], NDArray[np.float32]]":
    """The golden inputs of a bundle, and what they must give."""
    import numpy as np

    names = sorted(n for n in bundle.manifest.files if n.startswith("golden/") and n != _OUTPUTS)
    try:
        with np.load(io.BytesIO(bundle.read(_OUTPUTS)), allow_pickle=False) as arrays:
            expected = np.asarray(arrays["probabilities"], dtype=np.float32)
    except (ValueError, KeyError, OSError) as error:
        raise Refused(f"bundle {bundle.id[:8]} has no golden outputs: {error}") from error
    if expected.shape != (len(names), len(bundle.manifest.classes)) or not names:
        raise Refused(f"bundle {bundle.id[:8]}: golden inputs and outputs do not fit together")
    return [bundle.read(name) for name in names], expected
