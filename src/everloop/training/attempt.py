"""One training attempt: the user's function called with everything fixed that can be."""

import ast
import inspect
import math
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from everloop.errors import Refused
from everloop.product import Params, Product, TrainFunction, TrainingData
from everloop.training.figures import Figure, FigureFile, read_figures
from everloop.training.project_code import shown_line, user_line
from everloop.training.random_state import fix_randomness, random_state, set_random_state
from everloop.training.state_file import read_state, write_state

CHECKPOINT = "checkpoint.npz"
ARTIFACTS, NOTES = "artifacts", "notes.txt"


class Diverged(Refused):
    """A figure that is logged is not a number."""


def _nobody(_step: int) -> None:
    """Nobody is told of checkpoints."""


class Attempt:
    """The `Run` that a training function is given; its figures go to a file line by line.

    In a folder that holds a checkpoint it goes on from there, if the function asks for that.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        every: float = 0.0,
        kept: Callable[[int], None] = _nobody,
    ) -> None:
        """`every`: seconds at least between two checkpoints. `kept` is told the step of each."""
        self._folder = folder
        self._seed = seed
        self._every = every
        self._kept = kept
        self._figures = FigureFile(folder, fresh=not (folder / CHECKPOINT).exists())
        self._parts: Mapping[str, Any] = {}
        self._saved = time.monotonic()
        self.resumed_from: int | None = None
        """The step of the checkpoint that was gone on from; None where there was none."""

    @property
    def seed(self) -> int:
        """What all randomness was seeded with."""
        return self._seed

    @property
    def folder(self) -> Path:
        """A folder of the attempt's own; what lies in it is kept with the run."""
        folder = self._folder / ARTIFACTS
        folder.mkdir(exist_ok=True)
        return folder

    def log(self, step: int, **metrics: float) -> None:
        """Record figures of one step; a kill does not lose them.

        Raises `Diverged` for what is not a number, once that is recorded too.
        """
        told = {name: float(value) for name, value in metrics.items()}
        self._figures.write(int(step), told, int(time.time() * 1000))
        for name, value in told.items():
            if not math.isfinite(value):
                raise Diverged(f"training diverged: {name} is {value} at step {step}")

    def note(self, text: str) -> None:
        """Keep a line for people with the run; the same line once."""
        line = " ".join(text.split())
        if line not in read_notes(self._folder):
            with (self._folder / NOTES).open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")

    def resume(self, **parts: Any) -> int:
        """See `everloop.product.Run`. A checkpoint that cannot be read is none."""
        self._parts = parts
        path = self._folder / CHECKPOINT
        if not path.exists():
            return 0
        try:
            state = read_state(path)
        except Refused as error:
            self.note(f"{error}; training began again at the first step")
            return 0
        if state["parts"].keys() != parts.keys():
            there, named = ", ".join(state["parts"]), ", ".join(parts)
            raise Refused(f"the checkpoint holds {there}; run.resume names {named}")
        for name, part in parts.items():
            _restore(part, state["parts"][name])
        set_random_state(state["random"])
        self._figures.go_on_from(state["figures"])
        self.resumed_from = int(state["step"])
        self.note(f"went on from the checkpoint of step {self.resumed_from}")
        return self.resumed_from + 1

    def checkpoint(self, step: int) -> None:
        """See `everloop.product.Run`."""
        if not self._parts:
            raise Refused("run.resume(model=model, ...) first names what a checkpoint is to hold")
        if time.monotonic() - self._saved < self._every:
            return
        state = {
            "step": int(step),
            "parts": {name: _state_of(name, part) for name, part in self._parts.items()},
            "random": random_state(),
            "figures": self._figures.length(),
        }
        write_state(self._folder / CHECKPOINT, state)
        self._saved = time.monotonic()
        self._kept(int(step))

    def close(self) -> None:
        """No figure follows."""
        self._figures.close()

    def logged(self) -> list[Figure]:
        """All figures so far."""
        return read_figures(self._folder)


def read_notes(folder: Path) -> list[str]:
    """What the attempt in `folder` noted, in its order."""
    path = folder / NOTES
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _state_of(name: str, part: Any) -> Any:
    if hasattr(part, "state_dict"):
        return part.state_dict()
    if hasattr(part, "bit_generator"):
        return part.bit_generator.state
    if hasattr(part, "get_state"):
        return part.get_state()
    raise Refused(
        f"a checkpoint cannot hold {name}, a {type(part).__name__}: it has no state_dict()"
    )


def _restore(part: Any, state: Any) -> None:
    if hasattr(part, "load_state_dict"):
        part.load_state_dict(state)
    elif hasattr(part, "bit_generator"):
        part.bit_generator.state = state
    else:
        part.set_state(state)


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

    Raises `Refused` naming the user's line when the function raises, runs out of memory, logs a
    figure that is not a number, or returns a model whose weights are none.
    """
    function = product.training_function
    fix_randomness(attempt.seed, threads)
    try:
        model = function(data, params, attempt)
    except Diverged as error:
        raise Refused(f"{user_line(error, project)}: {error}") from error
    except Exception as error:
        where = user_line(error, project)
        told = f"{where}: {type(error).__name__}: {error}"
        if _lacks_memory(error):
            told = f"{where}: out of memory: take smaller batches or pictures, or raise [train] "
            told += f"memory if the machine has more ({error})"
        raise Refused(told) from error
    finally:
        attempt.close()
    broken = [f for f in attempt.logged() if not math.isfinite(f[2])]
    if broken:
        step, name, value, _ = broken[0]
        raise Refused(f"training diverged: {name} is {value} at step {step}")
    if bad := _broken_weights(model):
        raise Refused(f"{return_line(function, project)}: the model's weights {bad} are no numbers")
    return model


def _lacks_memory(error: Exception) -> bool:
    """Whether there was not enough memory, as Python, NumPy and PyTorch tell it."""
    words = "can't allocate memory" in str(error) or "out of memory" in str(error)
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and words)


def _broken_weights(model: Any) -> str | None:
    """The name of weights of a module that hold NaN or infinity; None: all are numbers."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(model, torch.nn.Module):
        return None
    for name, weights in model.named_parameters():
        if not bool(torch.isfinite(weights).all()):
            return str(name)
    return None


def return_line(function: TrainFunction, project: Path) -> str:
    """`file:line` where a function returns its value; where it begins, if that is not one line."""
    code = inspect.unwrap(function).__code__
    line = code.co_firstlineno
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):
        tree = ast.Module([], [])
    returns = [node for node in ast.walk(tree) if isinstance(node, ast.Return)]
    if len(returns) == 1:
        line += returns[0].lineno - 1
    return shown_line(code.co_filename, line, project)
