"""What each process of a batch does: load the bundle once, answer pictures, write a part."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.batch.rows import Row, write_part
from everloop_runtime.admission import Admission
from everloop_runtime.errors import Refused
from everloop_runtime.ids import BundleId, sample_id
from everloop_runtime.images import ImageLimits
from everloop_runtime.library import Predictor, read_picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Runner:
    """The bundle that a process runs."""

    path: Path
    bundle: BundleId
    limits: ImageLimits


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a batch."""

    name: str
    content: Path | bytes


_loaded: list[Predictor] = []


def load(runner: Runner) -> None:
    """Load the bundle; the batch as a whole tried it before."""
    admission = Admission(trial=None, limits=runner.limits)
    _loaded[:] = [Predictor(runner.path, runner.bundle, admission=admission)]


def do_part(pictures: Sequence[Picture], place: Path) -> int:
    """Answer the pictures and write the part at `place`; how many could not be answered."""
    rows = answer(pictures)
    write_part(place, rows)
    return sum(row.error is not None for row in rows)


def answer(pictures: Sequence[Picture]) -> list[Row]:
    """One row a picture, in their order; a picture that cannot be taken has its reason."""
    predictor = _loaded[0]
    rows: list[Row] = []
    for start in range(0, len(pictures), _AT_ONCE):
        rows += _answer(predictor, pictures[start : start + _AT_ONCE])
    return rows


def _answer(predictor: Predictor, pictures: Sequence[Picture]) -> list[Row]:
    import numpy as np

    rows: list[Row | None] = []
    pixels: list[NDArray[Any]] = []
    begun: list[Row] = []
    for picture in pictures:
        row, seen = _seen(predictor, picture)
        rows.append(None if seen is not None else row)
        if seen is not None:
            begun.append(row)
            pixels.append(seen)
    given = iter(_answered(predictor, begun, np.stack(pixels)) if pixels else ())
    return [row if row is not None else next(given) for row in rows]


def _seen(predictor: Predictor, picture: Picture) -> "tuple[Row, NDArray[Any] | None]":
    data: bytes | None = None
    try:
        data = (
            picture.content
            if isinstance(picture.content, bytes)
            else read_picture(picture.content, predictor.limits)
        )
        return Row(picture.name, sample_id(data)), predictor.seen(data)
    except Refused as error:
        return Row(picture.name, None if data is None else sample_id(data), error=str(error)), None


def _answered(predictor: Predictor, rows: Sequence[Row], pixels: "NDArray[Any]") -> list[Row]:
    try:
        answers = predictor.answers(pixels)
    except Refused as error:
        if len(rows) == 1:
            return [rows[0].failed(str(error))]
        # One of them made the model fail: each is asked alone.
        return [
            row
            for at in range(len(rows))
            for row in _answered(predictor, rows[at : at + 1], pixels[at : at + 1])
        ]
    return [row.answered(answer) for row, answer in zip(rows, answers, strict=True)]
