"""Damage rehearsed: how far known damage moved what is watched, and what it cost.

When a bundle is made, samples of its hold-out are damaged in known ways and answered again, and the
truth about them is known. Of each damage two things are kept: by how much the mean of each watched
figure moved, and by how much the mean calibrated confidence was off then. A live period that moved
the figures in a like way is corrected by what confidence was off in the rehearsal: regression over
distributions by a kernel on their means (a Gaussian process with the exponential kernel; Rasmussen
and Williams 2006, ch. 2; learnt from damaged sets: Deng and Zheng 2021, "Are Labels Always
Necessary for Classifier Accuracy Evaluation?"). How much of a period the rehearsal explains, 0 to
1, is the share of the prior's variance that it takes away; for the rest the lowest stands.

Everything is read from sums, so it works on the sketch of any period.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from everloop.errors import Refused
from everloop.monitoring.accuracy import EstimatedAccuracy, estimate_from_sketch
from everloop.monitoring.profile import ANSWER
from everloop.monitoring.sketch import Sketch
from everloop.monitoring.watch import Watch
from everloop_runtime.arrays import read_arrays

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WIDTH = 2.0
"""Of the kernel, in median lengths of what the damages moved."""
_NOISE = 0.05
"""Variance of what is rehearsed, of the prior's."""
_NAMES = ("rehearsal_spread", "rehearsal_moved", "rehearsal_off")


@dataclass(frozen=True, slots=True)
class Tried:
    """Answers to some samples of the hold-out, as they are or damaged."""

    values: "NDArray[np.float32]"
    """`[n, ...]`"""
    embeddings: "NDArray[np.float32]"
    """`[n, D]`"""
    inputs: "Mapping[str, NDArray[np.float32]]"
    """See `everloop.monitoring.inputs`."""
    correct: "NDArray[np.bool_]"
    """Which answers are right, `[n]`."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a bundle knows of damage."""

    spread: "NDArray[np.float64]"
    """Standard deviation of each figure over the samples as they are, `[F]`."""
    moved: "NDArray[np.float64]"
    """The means of the figures under each damage, less those without, in spreads, `[D, F]`."""
    off: "NDArray[np.float64]"
    """Accuracy less mean calibrated confidence under each, beyond what it is without, `[D]`."""

    def added_to(self, reference: bytes) -> bytes:
        """The file `reference.npz` of a bundle with the rehearsal in it.

        Who does not know of rehearsals reads the rest as before. The same inputs give the same
        bytes.
        """
        import numpy as np

        out = io.BytesIO(reference)
        with zipfile.ZipFile(out, "a") as archive:
            for name, array in zip(_NAMES, (self.spread, self.moved, self.off), strict=True):
                member = io.BytesIO()
                np.lib.format.write_array(member, array, allow_pickle=False)
                # Without a time of its own it is of 1980, and is not compressed.
                archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())
        return out.getvalue()

    def corrected(
        self, watch: Watch, sketch: Sketch, accuracy: EstimatedAccuracy
    ) -> EstimatedAccuracy:
        """The estimate for a period of at least one answer, corrected by what is like it here."""
        import numpy as np

        with np.errstate(invalid="ignore"):
            now = (sketch.means - watch.profile.holdout.means) / self.spread
        # What was not looked at, then or now, cannot be compared.
        both = np.isfinite(now) & np.isfinite(self.moved).all(axis=0)
        if not both.any() or not len(self.moved):
            return accuracy
        places = np.vstack([np.zeros(both.sum()), self.moved[:, both]])
        width = _WIDTH * float(np.median(np.linalg.norm(places[1:], axis=1)))
        if not width > 0:
            return accuracy
        off = np.append(0.0, self.off)
        among = np.linalg.norm(places[:, None] - places[None], axis=2)
        like = np.exp(-np.linalg.norm(places - now[both], axis=1) / width)
        weights = np.linalg.solve(np.exp(-among / width) + _NOISE * np.eye(len(places)), like)
        known = float(np.clip(weights @ like, 0, 1))
        value = accuracy.calibrated + float(weights @ off)
        value -= (1 - known) * (accuracy.calibrated - accuracy.value)
        return replace(accuracy, value=float(np.clip(value, 0, 1)), rehearsed=known)


def rehearse(watch: Watch, plain: Tried, damaged: Sequence[Tried]) -> Rehearsal:
    """The rehearsal of some samples, `plain` as they are, and of the same under each damage."""
    import numpy as np

    figures = watch.see(plain.values, plain.embeddings, plain.inputs).all()
    names = watch.profile.grid.names
    spread = np.array([_spread(figures.get(name)) for name in names])
    # The number of a class has no mean that says anything.
    spread[[name == ANSWER for name in names]] = np.nan
    before, usual = _looked(watch, plain)
    found = [_looked(watch, each) for each in damaged]
    return Rehearsal(
        spread,
        np.array([(means - before) / spread for means, _ in found]).reshape(-1, len(names)),
        np.array([off - usual for _, off in found]),
    )


def read_rehearsal(reference: bytes) -> Rehearsal | None:
    """The rehearsal in a bundle's `reference.npz`; None in one of an older version.

    Nothing is unpickled. `Refused` when it is broken.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(reference)) as archive:
            known = f"{_NAMES[0]}.npy" in archive.namelist()
    except zipfile.BadZipFile as error:
        raise Refused(f"the drift reference cannot be read: {error}") from error
    if not known:
        return None
    told = read_arrays(reference, _NAMES)
    spread, moved, off = (told[name] for name in _NAMES)
    if moved.shape != (len(off), len(spread)):
        raise Refused(f"a rehearsal of {len(off)} damages has not the shape {moved.shape}")
    return Rehearsal(spread, moved, off)


def _looked(watch: Watch, tried: Tried) -> "tuple[NDArray[np.float64], float]":
    """The means of the figures, and by how much confidence is off."""
    sketch = watch.sketch(watch.see(tried.values, tried.embeddings, tried.inputs))
    calibrated = estimate_from_sketch(watch, sketch).calibrated
    return sketch.means, float(tried.correct.mean()) - calibrated


def _spread(values: "NDArray[np.float32] | None") -> float:
    import numpy as np

    finite = values[np.isfinite(values)] if values is not None else np.zeros(0)
    if not len(finite):
        return float("nan")
    # A figure that hardly varies as it is would drown all others.
    return float(finite.std() + 1e-3 * np.abs(finite).max() + 1e-9)
