"""Where a model is worst, without being told where to look; and without fooling oneself.

Many parts of a hold-out are tried, so the worst of them is bad by chance alone. Therefore one half
of the samples finds candidates and the other half, which had no say in it, judges them (an *honest*
split, as Athey and Imbens 2016 call it): each by a one-sided test against the rest, with Holm's
correction over all that came to be judged. What is told is measured on the judging half only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from everloop.evaluation.evaluate import Evaluation
from everloop.evaluation.slices import groups_of, quarters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_JUDGED = 10
_LEVEL = 0.05
_LEAST = 10
"""Samples that a part must have in each half."""
_SAME = 0.7
"""Two parts that share so much of their samples (intersection over union) are one finding."""
_BETTER = 0.5
"""By how much of a standard error a pair must be worse than each of its two."""
_CLUSTERS, _CLUSTERED = 8, 10_000


@dataclass(frozen=True, slots=True)
class WeakPart:
    """A part of the hold-out that is answered worse than the rest."""

    name: str
    """`camera=phone`, or two of them joined by ` and `."""
    samples: int
    """Of the judging half."""
    quality: float
    """There."""
    rest: float
    """Of the other samples of that half."""
    p: float
    """Adjusted for how many were judged."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found, and how much was looked at for it."""

    tried: int
    judged: int
    found: tuple[WeakPart, ...]


def discover(
    evaluation: Evaluation, attributes: Mapping[str, Sequence[str]], *, level: float = _LEVEL
) -> Discovery:
    """The parts that are surely worse than the rest, the worst first.

    `attributes`: for each thing that is known of the samples, the name of the part that each one is
    in, `[N]`. Labels, origins and known groups are added. Parts and pairs of parts are tried.
    """
    import numpy as np

    qualities = evaluation.qualities
    parts = _parts(evaluation, attributes)
    # Samples are sorted by their hash: every other one is a fair half.
    finding = np.arange(len(qualities)) % 2 == 0
    if not parts or len(qualities) < 4 * _LEAST or not np.isfinite(qualities).all():
        return Discovery(0, 0, ())
    names = list(parts)
    members = np.stack(list(parts.values()), axis=1)
    tried, chosen = _candidates(members[finding], qualities[finding], members[~finding])
    judged = [
        _judge(" and ".join(sorted(names[part] for part in pair)), members[~finding], pair,
               qualities[~finding], right_or_wrong=evaluation.right_or_wrong)
        for pair in chosen
    ]  # fmt: skip
    found = _holm(judged, level)
    return Discovery(tried, len(judged), tuple(sorted(found, key=lambda part: part.p)))


def _parts(
    evaluation: Evaluation, attributes: Mapping[str, Sequence[str]]
) -> "dict[str, NDArray[np.bool_]]":
    import numpy as np

    count = len(evaluation.samples)
    rows: dict[str, list[int]] = {}
    known = evaluation.groups or [()] * count
    by_label = groups_of(evaluation.labels)
    for row in range(count):
        own = [values[row] for values in attributes.values()]
        for name in (*by_label[row], f"origin={evaluation.origins[row]}", *known[row], *own):
            rows.setdefault(name, []).append(row)
    found = {}
    for name, those in rows.items():
        if 2 * _LEAST <= len(those) < count:
            found[name] = np.zeros(count, bool)
            found[name][those] = True
    return found


def _candidates(
    members: "NDArray[np.bool_]", qualities: "NDArray[np.float64]", others: "NDArray[np.bool_]"
) -> tuple[int, list[tuple[int, ...]]]:
    """How many parts and pairs were tried, and the most promising, different ones."""
    import numpy as np

    inside = members.astype(np.float64)
    counts = inside.T @ inside
    sums = inside.T @ (inside * qualities[:, None])
    elsewhere = others.astype(np.float64).T @ others.astype(np.float64)
    total, whole = len(qualities), qualities.sum()
    enough = (counts >= _LEAST) & (total - counts >= _LEAST) & (elsewhere >= _LEAST)
    spread = max(float(qualities.std()), 1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = sums / counts - (whole - sums) / (total - counts)
        scores = apart / (spread * np.sqrt(1 / counts + 1 / (total - counts)))
    scores = np.where(enough, scores, np.inf)
    single = np.diag(scores)
    # A pair is told only where it is worse than each of its two.
    least = np.minimum(single[:, None], single[None, :]) - _BETTER
    scores = np.where((scores < least) | np.eye(len(single), dtype=bool), scores, np.inf)
    upper = np.triu_indices(len(single))
    order = np.argsort(scores[upper], kind="stable")
    chosen: list[tuple[int, ...]] = []
    taken: list[NDArray[np.bool_]] = []
    for place in order:
        one, two = int(upper[0][place]), int(upper[1][place])
        if scores[one, two] >= 0 or len(chosen) == _JUDGED:
            break
        mine = members[:, one] & members[:, two]
        if all((mine & t).sum() < _SAME * (mine | t).sum() for t in taken):
            taken.append(mine)
            chosen.append((one,) if one == two else (one, two))
    return int(enough[upper].sum()), chosen


def _judge(
    name: str,
    members: "NDArray[np.bool_]",
    pair: tuple[int, ...],
    qualities: "NDArray[np.float64]",
    *,
    right_or_wrong: bool,
) -> WeakPart:
    """By Fisher's exact test where answers are right or wrong, by Mann and Whitney's elsewhere."""
    from scipy.stats import fisher_exact, mannwhitneyu

    inside = members[:, list(pair)].all(axis=1)
    own, rest = qualities[inside], qualities[~inside]
    if right_or_wrong:
        table = [[each.sum(), len(each) - each.sum()] for each in (own, rest)]
        p = float(fisher_exact(table, alternative="less").pvalue)
    else:
        p = float(mannwhitneyu(own, rest, alternative="less").pvalue)
    return WeakPart(name, len(own), float(own.mean()), float(rest.mean()), p)


def _holm(judged: Sequence[WeakPart], level: float) -> list[WeakPart]:
    """Those below `level` with their p-values adjusted (Holm 1979)."""
    kept, worst = [], 0.0
    ordered = sorted(judged, key=lambda part: part.p)
    for place, part in enumerate(ordered):
        worst = max(worst, min(1.0, part.p * (len(ordered) - place)))
        if worst <= level:
            kept.append(replace(part, p=worst))
    return kept


def picture_attributes(pixels: "NDArray[np.uint8]") -> dict[str, list[str]]:
    """Quarters of how light, how varied and how sharp pictures `[N, H, W, C]` are."""
    import numpy as np

    light, varied, sharp = (np.empty(len(pixels)) for _ in range(3))
    for row, one in enumerate(pixels):
        grey = one.mean(axis=2)
        light[row], varied[row] = grey.mean() / 255, grey.std() / 255
        if min(grey.shape) > 2:
            inner = grey[1:-1, 1:-1]
            edges = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
            sharp[row] = (edges - 4 * inner).var()
        else:
            sharp[row] = 0.0
    told = {"brightness": light, "contrast": varied, "sharpness": sharp}
    return {name: quarters(name, figures) for name, figures in told.items()}


def clusters(embeddings: "NDArray[np.float32]") -> dict[str, list[str]]:
    """Eight kinds of samples that look alike to the model (k-means of what its last layer saw)."""
    import numpy as np
    from sklearn.cluster import KMeans

    if len(embeddings) < 4 * _LEAST * _CLUSTERS // 2 or not np.isfinite(embeddings).all():
        return {}
    length = np.linalg.norm(embeddings, axis=1, keepdims=True)
    points = embeddings / np.maximum(length, 1e-12)
    means = KMeans(_CLUSTERS, n_init=1, max_iter=50, random_state=0).fit(points[:_CLUSTERED])
    return {"alike": [f"alike={number}" for number in means.predict(points)]}
