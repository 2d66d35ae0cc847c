"""Features that know the target."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

NEARLY = 0.9
"""Share of the target that one feature must explain to be told."""
_MOST_FEATURES = 5
_EXACT = 1e-6
_BINS = 50
_MOST_VALUES = 20


def exact_leak(
    features: Mapping[str, "NDArray[np.float64]"], target: "NDArray[np.float64]"
) -> str | None:
    """A weighted sum of a few features that is the target, as text; None where there is none.

    Features are taken one at a time, always the one that is nearest to what is left
    (orthogonal matching pursuit: Pati, Rezaiifar and Krishnaprasad 1993), up to five.
    """
    import numpy as np

    whole = {n: v for n, v in features.items() if np.isfinite(v).all() and v.std() > 0}
    spread = float(target.std())
    if not whole or not np.isfinite(target).all() or spread == 0:
        return None
    scaled = {name: (v - v.mean()) / v.std() for name, v in whole.items()}
    left, chosen = target - target.mean(), list[str]()
    for _ in range(min(_MOST_FEATURES, len(whole))):
        rest = [name for name in whole if name not in chosen]
        chosen.append(max(rest, key=lambda name: abs(float(scaled[name] @ left))))
        design = np.stack([*(whole[name] for name in chosen), np.ones_like(target)], axis=1)
        weights, *_ = np.linalg.lstsq(design, target, rcond=None)
        left = target - design @ weights
        if float(np.abs(left).max()) < _EXACT * spread:
            return _sum(chosen, weights, spread)
    return None


def _sum(names: Sequence[str], weights: "NDArray[np.floating[Any]]", spread: float) -> str:
    terms = [
        name if abs(weight - 1) < _EXACT else f"{weight:.6g} {name}"
        for name, weight in zip(names, weights[:-1].tolist(), strict=True)
    ]
    if abs(weights[-1]) > _EXACT * spread:
        terms.append(f"{weights[-1]:.6g}")
    return " + ".join(terms)


def near_leaks(
    features: Mapping[str, "NDArray[np.float64]"],
    categories: Mapping[str, "pa.ChunkedArray"],
    target: "pa.ChunkedArray",
) -> Sequence[tuple[str, float]]:
    """Features that alone explain `NEARLY` of the target or more, and how much, most first.

    A feature is cut into up to 50 bins of equal size (a category is its own bin), and each bin
    answers with what it saw in the even rows; the odd rows are predicted. Of a figure it is the
    share of variance that is told, of classes the share of the errors of always answering the
    most frequent one that is saved.
    """
    answers, is_class = _answers(target)
    told = []
    for name, values in features.items():
        told.append((name, _explained(_bins(values), answers, is_class=is_class)))
    for name, column in categories.items():
        codes = column.combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy() + 1
        told.append((name, _explained(codes, answers, is_class=is_class)))
    return sorted(
        ((name, share) for name, share in told if share >= NEARLY), key=lambda pair: -pair[1]
    )


def _answers(target: "pa.ChunkedArray") -> "tuple[NDArray[np.float64], bool]":
    import numpy as np
    import pyarrow as pa

    codes = target.combine_chunks().dictionary_encode()
    number = pa.types.is_integer(target.type) or pa.types.is_floating(target.type)
    if number and len(codes.dictionary) > _MOST_VALUES:
        values = target.to_numpy(zero_copy_only=False).astype(np.float64)
        return np.where(np.isfinite(values), values, np.nanmean(values)), False
    return codes.indices.fill_null(-1).to_numpy().astype(np.float64) + 1, True


def _bins(values: "NDArray[np.float64]") -> "NDArray[np.int64]":
    import numpy as np

    filled = np.where(np.isfinite(values), values, np.inf)
    edges = np.unique(np.quantile(filled, np.linspace(0, 1, _BINS + 1)[1:-1], method="nearest"))
    return np.searchsorted(edges, filled, side="right")


def _explained(
    bins: "NDArray[np.int64]", answers: "NDArray[np.float64]", *, is_class: bool
) -> float:
    import numpy as np

    seen, asked = slice(0, None, 2), slice(1, None, 2)
    if is_class:
        table = np.zeros((int(bins.max(initial=0)) + 1, int(answers.max(initial=0)) + 1))
        np.add.at(table, (bins[seen], answers[seen].astype(np.int64)), 1)
        usual = table.sum(axis=0).argmax()
        predicted = np.where(table.sum(axis=1) > 0, table.argmax(axis=1), usual)[bins[asked]]
        errors, base = predicted != answers[asked], answers[asked] != usual
        return float(1 - errors.mean() / base.mean()) if base.any() else 0.0
    count = np.bincount(bins[seen], minlength=int(bins.max(initial=0)) + 1)
    total = np.bincount(bins[seen], answers[seen], len(count))
    means = np.where(count > 0, total / np.maximum(count, 1), answers[seen].mean())
    variance = float(answers[asked].var())
    off = float(((answers[asked] - means[bins[asked]]) ** 2).mean())
    return 1 - off / variance if variance > 0 else 0.0
