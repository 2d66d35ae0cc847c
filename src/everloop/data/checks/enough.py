"""Is there enough to start? Counts against needs, and what more labels would bring."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from everloop.data.checks.finding import Finding, Item, present
from everloop.data.checks.labelled import Labelled
from everloop.errors import Refused
from everloop.ids import Json
from everloop.labels import decode, names_in

_Z95 = 1.96
_RARE = 0.1
"""A class with less than this share of the largest one's samples is told."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a project says it needs before it begins."""

    train: int
    """Labelled training samples in all."""
    per_class: int = 20
    """Training samples of each class. Twenty is where fine-tuning a pretrained network begins to
    pay; it is a rule of thumb, to be set for the task."""
    holdout_per_class: int = 10


@dataclass(frozen=True, slots=True)
class Enough:
    """The answer."""

    train: Mapping[str, int]
    """Training samples in which each class occurs."""
    holdout: Mapping[str, int]
    samples: Mapping[str, int]
    """Labelled samples by side."""
    missing: tuple[str, ...]
    """What is wanting, one line each; empty: there is enough to start."""
    holdout_margin: float
    """An accuracy measured on this hold-out is sure to +- this, at worst (95%)."""
    effective_classes: float
    """exp of the entropy of the class shares: as many equally large classes would be as even."""

    def as_json(self) -> dict[str, Json]:
        """For programs."""
        return {
            "train": dict(self.train),
            "holdout": dict(self.holdout),
            "samples": dict(self.samples),
            "enough": not self.missing,
            "missing": list(self.missing),
            "holdout_margin": round(self.holdout_margin, 4),
            "effective_classes": round(self.effective_classes, 2),
        }


def enough_to_start(rows: Sequence[Labelled], classes: Sequence[str], needs: Needs) -> Enough:
    """Counts of labelled samples against what is needed."""
    counts = {"train": Counter[str](), "holdout": Counter[str]()}
    samples = Counter[str]()
    for row in rows:
        samples[row.side] += 1
        counts.setdefault(row.side, Counter()).update(set(_names(row.label)))
    missing = []
    if samples["train"] < needs.train:
        missing.append(f"{needs.train - samples['train']} more labelled training samples")
    for side, need in (("train", needs.per_class), ("holdout", needs.holdout_per_class)):
        for name in classes:
            have = counts[side][name]
            if have < need:
                missing.append(f"{need - have} more of {name!r} for {side} ({have} of {need})")
    return Enough(
        {name: counts["train"][name] for name in classes},
        {name: counts["holdout"][name] for name in classes},
        {side: samples[side] for side in ("train", "holdout")},
        tuple(missing),
        _Z95 * 0.5 / math.sqrt(samples["holdout"]) if samples["holdout"] else 1.0,
        _effective([counts["train"][name] for name in classes]),
    )


def imbalance(enough: Enough) -> Sequence[Finding]:
    """Classes with far fewer training samples than the largest has."""
    most = max(enough.train.values(), default=0)
    items = [
        Item(f"{name}: {count} of training, the largest class has {most}")
        for name, count in sorted(enough.train.items(), key=lambda pair: pair[1])
        if count < _RARE * most
    ]
    why = f"less than {_RARE:.0%} of the largest class: weigh, draw more often, or label more"
    return present(Finding("imbalance", "know", "rare classes", why, tuple(items)))


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """error(n) = scale * n^-power + floor."""

    scale: float
    power: float
    floor: float

    def at(self, samples: float) -> float:
        """The error that is expected of so many training samples."""
        return float(self.scale * samples**-self.power + self.floor)


def fit_curve(points: Sequence[tuple[int, float]]) -> LearningCurve:
    """The inverse power law through errors `(training samples, error)` of at least three sizes.

    Weighted non-linear least squares, later sizes counting more (Figueroa et al. 2012,
    "Predicting sample size required for classification performance"). Raises `Refused` for
    fewer sizes.

    >>> curve = fit_curve([(n, 2 * n**-0.5 + 0.05) for n in (50, 100, 200, 400)])
    >>> round(curve.at(1600), 3)
    0.1
    """
    import numpy as np
    from scipy.optimize import least_squares

    if len({n for n, _ in points}) < 3:
        raise Refused("a learning curve needs models learnt from three different amounts at least")
    sizes = np.array([float(n) for n, _ in points])
    errors = np.array([e for _, e in points])
    weights = np.sqrt(sizes / sizes.max())

    def off(parameters: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> object:
        scale, power, floor = parameters
        return weights * (scale * sizes**-power + floor - errors)

    found = least_squares(
        off,
        x0=[max(errors[0], 1e-3) * sizes[0] ** 0.5, 0.5, max(errors.min() * 0.5, 0.0)],
        bounds=([0.0, 0.01, 0.0], [np.inf, 2.0, 1.0]),
        x_scale=[1.0, 0.1, 0.01],
    )
    scale, power, floor = (float(value) for value in found.x)
    return LearningCurve(scale, power, floor)


def _names(text: str) -> Sequence[str]:
    try:
        return names_in(decode(text))
    except Refused:
        return ()


def _effective(counts: Sequence[int]) -> float:
    total = sum(counts)
    shares = [count / total for count in counts if count] if total else []
    return math.exp(-sum(share * math.log(share) for share in shares)) if shares else 0.0
