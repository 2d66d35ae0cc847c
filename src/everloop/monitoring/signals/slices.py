"""Slices: one camera of several that drifts, or is harmed, where the whole hardly shows it.

A request may carry a key that names where it came from (`X-Everloop-Key`: a camera, a shop). The
answers of a window that share a key are a slice; the panel of `everloop.monitoring.drift` and the
estimates of accuracy are run on each slice as on the whole. The stated rate is shared by the slices
(Bonferroni), so that a window without a change has a slice told at most at that rate. Which keys
are looked at is chosen by how many answers they have, before anything is compared.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from everloop.monitoring.finding import Finding
from everloop.monitoring.period import Limits, Weighed, weigh
from everloop.monitoring.profile import Seen
from everloop.monitoring.signals.input_drift import most_unlike
from everloop.monitoring.watch import Watch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from everloop.data.predictions import Window

NAME = "slices"
_LEAST = 20
"""Answers from which on a slice is judged: the panel sees what is harmful from so many on."""
_MOST = 16
"""Slices that are judged: those with the most answers."""


def slice_drift(watch: Watch, window: "Window", found: Seen, limits: Limits) -> Finding:
    """`alarm` where a slice is harmed, `note` where one drifted; `found` are the window's figures.

    A slice that has only other classes than the whole is a note, every time. The worst slice is
    told with its telling samples, others by name.
    """
    slices = _slices(window.keys)
    if not slices:
        return Finding(NAME, "calm", "no two keys have 20 answers each in this window")
    shared = replace(limits, false_alarm_rate=limits.false_alarm_rate / len(slices))
    values = watch.shaped(window.values)
    weighed = {
        key: weigh(watch, watch.sketch(found.part(rows)), shared, values[rows])
        for key, rows in slices.items()
    }
    moved = {key: told for key, told in weighed.items() if told.drift.drifted}
    if not moved:
        return Finding(NAME, "calm", f"each of {len(slices)} slices is as on the hold-out",
                       limit=limits.harm)  # fmt: skip
    worst = max(moved, key=lambda key: (_is_harmed(moved[key], limits), _loss(moved[key])))
    told, rows = moved[worst], slices[worst]
    accuracy, others = told.accuracy, [key for key in moved if key != worst]
    places, _ = most_unlike(watch.holdout, found.part(rows))
    return Finding(
        NAME,
        "alarm" if _is_harmed(told, limits) else "note",
        f"{told.drift.feature} moved by {told.drift.statistic:.2f} in {len(rows)} of "
        f"{len(window.keys)} answers; estimated accuracy {accuracy.value:.3f}, "
        f"{accuracy.reference:.3f} on the hold-out" + _and_others(others, len(slices)),
        value=_loss(told),
        limit=limits.harm,
        slice=f"key={worst}",
        samples=tuple(dict.fromkeys(window.samples[int(rows[place])] for place in places)),
        # Whether its inputs moved or only its classes, which may be others at each camera.
        cause="unknown" if told.cause == "prior" else told.cause,
        action="look at what sends these",
    )


def _slices(keys: Sequence[str]) -> "Mapping[str, NDArray[np.intp]]":
    """The rows of each key that is judged; none where one key has all of them."""
    import numpy as np

    common = [key for key, count in Counter(keys).most_common(_MOST) if count >= _LEAST]
    if len(common) < 2:
        return {}
    told = np.array(keys)
    return {key: np.flatnonzero(told == key) for key in common}


def _is_harmed(told: Weighed, limits: Limits) -> bool:
    return told.accuracy.sure_drop > limits.harm


def _loss(told: Weighed) -> float:
    return told.accuracy.reference - told.accuracy.value


def _and_others(moved: Sequence[str], judged: int) -> str:
    if not moved:
        return f"; the other {judged - 1} did not move" if judged > 2 else ""
    return f"; so did {', '.join(f'key={key[:40]}' for key in moved[:3])}" + (
        f" and {len(moved) - 3} more" if len(moved) > 3 else ""
    )
