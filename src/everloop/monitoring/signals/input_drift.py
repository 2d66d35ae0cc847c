"""Input drift: the panel of `everloop.monitoring.drift`, and what in a window tells most.

A window without a change is called drifted at most at the stated rate. The explanation is a
classifier two-sample test (Lopez-Paz and Oquab 2017): a ridge regression on what is watched learns
to tell the window from the hold-out, each half judged by the other; what it holds to be most unlike
the hold-out are the telling samples.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from everloop.ids import SampleId
from everloop.monitoring.drift import Drift
from everloop.monitoring.finding import Cause, Finding
from everloop.monitoring.profile import Seen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAME = "input-drift"
_TELLING = 8
_RIDGE = 1.0
_SEED = 20170214


def input_drift(
    drift: Drift, rate: float, telling: Sequence[SampleId] = (), cause: Cause = "input"
) -> Finding:
    """`note` where the input changed: whether it hurts is another signal's question."""
    moved = ", ".join(f"{name} p {value:.2g}" for name, value in drift.families.items())
    if not drift.drifted:
        summary = f"the input is as on the hold-out (p {drift.p_value:.2g})"
        return Finding(NAME, "calm", summary, value=drift.p_value, limit=rate)
    return Finding(
        NAME,
        "note",
        f"{drift.feature} moved by {drift.statistic:.2f} ({moved})",
        value=drift.p_value,
        limit=rate,
        samples=tuple(telling),
        cause=cause,
        action="an audit tells whether it hurts, where no estimate does",
    )


def most_unlike(holdout: Seen, window: Seen, most: int = _TELLING) -> tuple[list[int], float]:
    """The places in the window of what is most unlike the hold-out, and how well both are told
    apart: the area under the curve of the judgements, 0.5 where they are alike.
    """
    import numpy as np
    from scipy.stats import rankdata

    names = [name for name in (*holdout.answers, *holdout.embedding)
             if name in window.answers or name in window.embedding]  # fmt: skip
    before, now = (
        np.stack([each.all()[name] for name in names], axis=1).astype(np.float64)
        for each in (holdout, window)
    )
    both = np.concatenate([before, now])
    both = (both - both.mean(axis=0)) / (both.std(axis=0) + 1e-9)
    is_now = np.arange(len(both)) >= len(before)
    scores = np.empty(len(both))
    # Drawn, not every other one: cameras that take turns would each be a half of their own.
    first = np.random.default_rng(_SEED).permutation(len(both)) % 2 == 0
    for judged in (first, ~first):
        scores[judged] = both[judged] @ _weights(both[~judged], is_now[~judged])
    ranks = rankdata(scores)[is_now]
    area = (ranks.sum() - len(now) * (len(now) + 1) / 2) / (len(now) * len(before))
    order = np.argsort(-scores[is_now], kind="stable")
    return [int(place) for place in order[:most]], float(area)


def _weights(rows: "NDArray[np.float64]", is_now: "NDArray[np.bool_]") -> "NDArray[np.float64]":
    """Ridge regression on the two sides, each weighing the same."""
    import numpy as np

    shares = np.where(is_now, 0.5 / max(is_now.sum(), 1), 0.5 / max((~is_now).sum(), 1))
    wanted = np.where(is_now, 1.0, -1.0)
    squares = (rows * shares[:, None]).T @ rows + _RIDGE / len(rows) * np.eye(rows.shape[1])
    found: NDArray[np.float64] = np.linalg.solve(squares, rows.T @ (shares * wanted))
    return found
