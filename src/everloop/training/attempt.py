"""One training attempt: the user's function called with everything fixed that can be."""

import json
import math
import os
import platform
import random
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from everloop.errors import Refused
from everloop.product import Params, Product, TrainingData
from everloop.training.project_code import user_line


class Attempt:
    """The `Run` that a training function is given; its figures go to a file line by line."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._seed = seed
        self._figures = (folder / "figures.jsonl").open("w", encoding="utf-8", buffering=1)

    @property
    def seed(self) -> int:
        """What all randomness was seeded with."""
        return self._seed

    @property
    def folder(self) -> Path:
        """A folder of the attempt's own."""
        return self._folder

    def log(self, step: int, **metrics: float) -> None:
        """Record figures of one step; they are on disk when this returns."""
        at = int(time.time() * 1000)
        for name, value in metrics.items():
            line = {"step": int(step), "name": name, "value": float(value), "at": at}
            self._figures.write(json.dumps(line) + "\n")

    def close(self) -> None:
        """No figure follows."""
        self._figures.close()


def read_figures(folder: Path) -> list[tuple[int, str, float, int]]:
    """`(step, name, value, milliseconds since 1970)` of all figures logged in `folder`."""
    path = folder / "figures.jsonl"
    if not path.exists():
        return []
    figures = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            break  # The attempt was killed inside its last line.
        figures.append((row["step"], row["name"], row["value"], row["at"]))
    return figures


def run_training(
    product: Product,
    data: TrainingData,
    params: Params,
    attempt: Attempt,
    *,
    threads: int,
    project: Path,
) -> Any:
    """What the user's training function returns, called seeded and on a fixed thread count.

    Raises `Refused` naming the user's line when the function raises, and when it logged a
    figure that is not a number.
    """
    _fix_randomness(attempt.seed, threads)
    try:
        model = product.training_function(data, params, attempt)
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
        where = user_line(error, project)
        raise Refused(f"{where}: {type(error).__name__}: {error}") from error
    finally:
        attempt.close()
    broken = [f for f in read_figures(attempt.folder) if not math.isfinite(f[2])]
    if broken:
        step, name, value, _ = broken[0]
        raise Refused(f"training diverged: {name} is {value} at step {step}")
    return model


def _fix_randomness(seed: int, threads: int) -> None:
    import numpy as np

    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        import torch

        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        # The same switch as `use_deterministic_algorithms`, which also loads the compiler: 2 s.
        torch.set_deterministic_debug_mode("warn")


def environment() -> Mapping[str, str]:
    """Python and the installed distributions, by name: what the attempt ran in."""
    found = {"python": platform.python_version()}
    for distribution in metadata.distributions():
        found[distribution.metadata["Name"].lower()] = distribution.version
    return dict(sorted(found.items()))


def hardware() -> Mapping[str, str]:
    """The machine the attempt ran on."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "cores": str(os.cpu_count() or 0),
        "memory_gib": f"{pages / 2**30:.1f}",
    }
