"""Learning stopped when it brings no more, with the weights that were best."""

import copy
import math
from typing import Any, Protocol


class Stateful(Protocol):
    """A module of PyTorch, or anything that tells its state and takes it back."""

    def state_dict(self) -> Any:
        """All that is learnt."""

    def load_state_dict(self, state: Any, /) -> Any:
        """Be as it was then."""


class EarlyStopping:
    """Watches a figure, less of which is better; keeps what `model` was when it was best.

    With a patience of 0 it never stops and keeps nothing.

    >>> class Model:
    ...     weights = 0
    ...     def state_dict(self): return {"weights": self.weights}
    ...     def load_state_dict(self, state): self.weights = state["weights"]
    >>> model = Model()
    >>> stopping = EarlyStopping(model, patience=2)
    >>> for model.weights, loss in enumerate([3.0, 1.0, 2.0, 1.5]):
    ...     done = stopping.after(loss)
    >>> done, stopping.best().weights
    (True, 1)
    """

    def __init__(self, model: Any, patience: int) -> None:
        self._model: Stateful = model
        self._patience = patience
        self._least = math.inf
        self._waited = 0
        self._best: Any = None

    def after(self, figure: float) -> bool:
        """Tell the figure of one step; whether the last `patience` of them were no better."""
        if not self._patience:
            return False
        if figure < self._least:
            self._least, self._waited = figure, 0
            self._best = copy.deepcopy(self._model.state_dict())
        else:
            self._waited += 1
        return self._waited >= self._patience

    def best(self) -> Any:
        """The model, with the weights that were best."""
        if self._best is not None:
            self._model.load_state_dict(self._best)
        return self._model

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {"least": self._least, "waited": self._waited, "best": self._best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._least, self._waited, self._best = state["least"], state["waited"], state["best"]
