"""All randomness of a training: fixed at its beginning, kept and put back with a checkpoint."""

import random
import sys
from collections.abc import Mapping
from typing import Any


def fix_randomness(seed: int, threads: int) -> None:
    """Seed Python, NumPy and PyTorch, and fix how many threads PyTorch adds up with."""
    import numpy as np

    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        import torch

        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        # The same switch as `use_deterministic_algorithms`, which also loads the compiler: 2 s.
        torch.set_deterministic_debug_mode("warn")


def random_state() -> dict[str, Any]:
    """Where the generators of Python, NumPy and PyTorch (also on its GPUs) are now."""
    import numpy as np

    state: dict[str, Any] = {"python": random.getstate(), "numpy": np.random.get_state(legacy=True)}
    if "torch" in sys.modules:
        import torch

        state["torch"] = torch.get_rng_state()
        if torch.cuda.is_available():
            state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def set_random_state(state: Mapping[str, Any]) -> None:
    """Put all generators back to where `random_state` found them."""
    import numpy as np

    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    if "torch" in state:
        import torch

        torch.set_rng_state(state["torch"])
        if "cuda" in state and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["cuda"])
