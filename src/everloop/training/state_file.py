"""Nested state of a training (weights, moments, counters, random states) as one file.

No pickle is written or read: the tree is JSON, the numbers are plain arrays (`numpy.savez`), so
that nothing a file holds can run.
"""

import json
import os
import secrets
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.errors import Refused
from everloop_runtime.files import sync_directory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = list[NDArray[np.generic]]

_TREE = "tree"


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Replace `path` by `state` in one step, durably: a reader sees the old one or the new one.

    `state` nests dicts, lists and tuples of numbers, texts, bytes, None, arrays and tensors.
    Raises `Refused` naming the place of anything else.
    """
    import numpy as np

    arrays: Arrays = []
    tree = json.dumps(_coded(state, arrays, "state")).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with draft.open("xb") as file:
            named = {str(number): array for number, array in enumerate(arrays)}
            np.savez(file, **{_TREE: np.frombuffer(tree, np.uint8)}, **named)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def read_state(path: Path) -> dict[str, Any]:
    """What `write_state` was given, tensors on the CPU. Raises `Refused` for any other file."""
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as arrays:
            tree = json.loads(arrays[_TREE].tobytes())
            state = _decoded(tree, arrays)
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RuntimeError,
        zipfile.BadZipFile,
    ) as error:
        raise Refused(f"{path.name} is no checkpoint, or a damaged one: {error}") from error
    if not isinstance(state, dict):
        raise Refused(f"{path.name} is no checkpoint")
    return state


def _coded(value: Any, arrays: "Arrays", place: str) -> Any:
    """`value` as JSON; what is large goes to `arrays`."""
    import numpy as np

    if value is None or type(value) in {bool, int, float, str}:
        return value
    if isinstance(value, Mapping):
        pairs = [
            [_coded(key, arrays, place), _coded(item, arrays, f"{place}[{key!r}]")]
            for key, item in value.items()
        ]
        return {"dict": pairs}
    if isinstance(value, list | tuple):
        items = [_coded(item, arrays, f"{place}[{n}]") for n, item in enumerate(value)]
        return {"list" if isinstance(value, list) else "tuple": items}
    if isinstance(value, bytes):
        return {"bytes": _keep(np.frombuffer(value, np.uint8), arrays)}
    if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
        return {"array": _keep(np.asarray(value), arrays)}
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor) and value.layout == torch.strided:
        # By its bytes: NumPy has no bfloat16.
        plain = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        dtype = str(value.dtype).removeprefix("torch.")
        return {"tensor": _keep(plain, arrays), "dtype": dtype, "shape": list(value.shape)}
    raise Refused(f"a checkpoint cannot hold {place}, a {type(value).__name__}")


def _keep(array: "NDArray[np.generic]", arrays: "Arrays") -> int:
    arrays.append(array)
    return len(arrays) - 1


def _decoded(tree: Any, arrays: Mapping[str, Any]) -> Any:
    if isinstance(tree, list):
        raise ValueError("its tree is malformed")
    if not isinstance(tree, dict):
        return tree
    if "dict" in tree:
        return {_decoded(key, arrays): _decoded(item, arrays) for key, item in tree["dict"]}
    if "list" in tree:
        return [_decoded(item, arrays) for item in tree["list"]]
    if "tuple" in tree:
        return tuple(_decoded(item, arrays) for item in tree["tuple"])
    if "bytes" in tree:
        return arrays[str(tree["bytes"])].tobytes()
    if "array" in tree:
        return arrays[str(tree["array"])]
    import torch

    dtype = getattr(torch, tree["dtype"])
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"{tree['dtype']!r} is no type of numbers")
    numbers = arrays[str(tree["tensor"])]
    if not numbers.size:
        return torch.empty(tree["shape"], dtype=dtype)
    return torch.from_numpy(numbers).view(dtype).reshape(tree["shape"])
