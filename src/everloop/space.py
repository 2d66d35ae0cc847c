"""A space of parameters, as a user declares it beside the training function for tuning."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from everloop.errors import Refused
from everloop.ids import Json

Value: TypeAlias = bool | int | float | str
Goal: TypeAlias = Literal["maximize", "minimize"]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")
_LESS = ("loss", "error")


@dataclass(frozen=True, slots=True)
class Float:
    """Figures from `low` to `high`, both included; on a logarithmic scale, or in steps."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def mistakes(self) -> Iterator[str]:
        """What is wrong with it."""
        return _mistakes(self.low, self.high, self.step, self.log, (int, float))

    def holds(self, value: object) -> bool:
        """Whether a value lies in it."""
        number = _number(value, (int, float))
        return number is not None and self.low <= number <= self.high

    def as_json(self) -> dict[str, Json]:
        """As `dimension` reads it."""
        return {
            "kind": "float", "low": float(self.low), "high": float(self.high), "log": self.log,
            "step": None if self.step is None else float(self.step),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Int:
    """Whole numbers from `low` to `high`, both included; on a logarithmic scale, or in steps."""

    low: int
    high: int
    log: bool = False
    step: int = 1

    def mistakes(self) -> Iterator[str]:
        """What is wrong with it."""
        step = None if self.step == 1 and self.log else self.step
        return _mistakes(self.low, self.high, step, self.log, (int,))

    def holds(self, value: object) -> bool:
        """Whether a value lies in it."""
        number = _number(value, (int,))
        if number is None:
            return False
        return self.low <= number <= self.high and (number - self.low) % self.step == 0

    def as_json(self) -> dict[str, Json]:
        """As `dimension` reads it."""
        return {
            "kind": "int", "low": self.low, "high": self.high, "log": self.log, "step": self.step
        }  # fmt: skip


@dataclass(frozen=True, slots=True, init=False)
class Choice:
    """One of several values: `Choice("adam", "sgd")`."""

    options: tuple[Value, ...]

    def __init__(self, *options: Value) -> None:
        object.__setattr__(self, "options", options)

    def mistakes(self) -> Iterator[str]:
        """What is wrong with it."""
        if not self.options:
            yield "there is nothing to choose from"
        for option in self.options:
            if not isinstance(option, bool | int | float | str):
                yield f"{option!r} is no bool, number or text"
            elif isinstance(option, float) and not math.isfinite(option):
                yield f"{option!r} is no finite number"
        if len({(type(option), repr(option)) for option in self.options}) < len(self.options):
            yield "an option is named twice"

    def holds(self, value: object) -> bool:
        """Whether a value is one of the options."""
        return any(type(value) is type(option) and value == option for option in self.options)

    def as_json(self) -> dict[str, Json]:
        """As `dimension` reads it."""
        return {"kind": "choice", "options": list(self.options)}


Dimension: TypeAlias = Float | Int | Choice
Constraint: TypeAlias = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True)
class Space:
    """What tuning varies, and by which figure it judges.

    Raises `Refused` with one message that lists every mistake.
    """

    dimensions: Mapping[str, Dimension]
    metric: str | None = None
    """A metric of the task; None: its quality, such as `accuracy`."""
    goal: Goal | None = None
    """None: told by the metric's name, see `goal_of`."""
    watch: str | None = None
    """What the training function logs each step and weak attempts are stopped early by."""
    where: Constraint | None = None
    """Whether a point is worth trying; of points for which it says no none is tried."""

    def __post_init__(self) -> None:
        found = [*self._mistakes()]
        if found:
            count = "1 mistake" if len(found) == 1 else f"{len(found)} mistakes"
            raise Refused(f"the search space has {count}: {'; '.join(found)}")

    def _mistakes(self) -> Iterator[str]:
        if not isinstance(self.dimensions, Mapping):
            yield f"a dict of names and Float, Int or Choice is wanted; got {self.dimensions!r}"
            return
        if not self.dimensions:
            yield "it names no parameter"
        for name, one in self.dimensions.items():
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                yield f"{name!r}: a name is made of letters, digits, '_' and '-'"
            if isinstance(one, Float | Int | Choice):
                yield from (f"{name}: {mistake}" for mistake in one.mistakes())
            else:
                yield f"{name}: {one!r} is none of Float, Int, Choice"
        yield from self._mistakes_of_judging()

    def _mistakes_of_judging(self) -> Iterator[str]:
        for what, said in (("metric", self.metric), ("watch", self.watch)):
            if said is not None and (not isinstance(said, str) or not said):
                yield f"{what}: the name of a figure is wanted; got {said!r}"
        if self.goal not in (None, "maximize", "minimize"):
            yield f"goal: maximize or minimize; got {self.goal!r}"
        if self.where is not None and not callable(self.where):
            yield f"where: a function of the parameters is wanted; got {self.where!r}"

    def declaration(self) -> dict[str, Json]:
        """All but the function `where`, as JSON."""
        return {
            "dimensions": {name: one.as_json() for name, one in self.dimensions.items()},
            "metric": self.metric,
            "goal": self.goal,
            "watch": self.watch,
            "constrained": self.where is not None,
        }


def dimension(told: Mapping[str, Any]) -> Dimension:
    """What `as_json` told of."""
    if told["kind"] == "choice":
        return Choice(*told["options"])
    kind = Float if told["kind"] == "float" else Int
    return kind(told["low"], told["high"], told["log"], told["step"])


def goal_of(figure: str) -> Goal:
    """Whether less or more of a figure is better, by its name.

    >>> goal_of("accuracy"), goal_of("log_loss"), goal_of("neg_mean_absolute_error")
    ('maximize', 'minimize', 'maximize')
    """
    less = any(word in figure for word in _LESS) and not figure.startswith("neg_")
    return "minimize" if less else "maximize"


def _mistakes(
    low: object, high: object, step: object, log: object, kinds: tuple[type, ...]
) -> Iterator[str]:
    named = {"low": low, "high": high} | ({} if step is None else {"step": step})
    numbers = {name: _number(value, kinds) for name, value in named.items()}
    wrong = [f"{name} is {named[name]!r}" for name, value in numbers.items() if value is None]
    if wrong:
        wanted = "whole numbers are" if kinds == (int,) else "finite numbers are"
        yield f"{wanted} wanted; {', '.join(wrong)}"
        return
    known = {name: value for name, value in numbers.items() if value is not None}
    if known["low"] > known["high"]:
        yield f"no value lies between {low} and {high}"
    if log is True and known["low"] <= 0:
        yield f"a logarithmic scale begins above 0; low is {low}"
    if log is True and step is not None:
        yield "a logarithmic scale has no steps"
    if known.get("step", 1) <= 0:
        yield f"a step is more than 0; it is {step}"
    if not isinstance(log, bool):
        yield f"log is True or False; it is {log!r}"


def _number(value: object, kinds: tuple[type[int] | type[float], ...]) -> float | None:
    """The value, if it is a finite one of these kinds."""
    if isinstance(value, bool) or not isinstance(value, kinds):
        return None
    return value if math.isfinite(value) else None
