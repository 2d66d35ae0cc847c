"""Slow drift: a change too small for one window, over eight of them at once.

The panel of `everloop.monitoring.drift` on the answers and embeddings of eight windows that follow
each other and are asked about once, so its rate of false alarms is as stated for each of them.
"""

from everloop.monitoring.drift import compare
from everloop.monitoring.finding import Finding
from everloop.monitoring.sketch import Sketch
from everloop.monitoring.watch import Watch

NAME = "slow-drift"
WINDOWS = 8
"""Of one block."""


def is_due(index: int) -> bool:
    """Whether the window with this number is the last of a block.

    >>> [index for index in range(20) if is_due(index)]
    [7, 15]
    """
    return (index + 1) % WINDOWS == 0


def slow_drift(watch: Watch, block: Sketch, rate: float) -> Finding:
    """`note` where a block of windows changed."""
    drift = compare(watch, block, rate)
    if not drift.drifted:
        summary = f"{block.answers} answers are as the hold-out's (p {drift.p_value:.2g})"
        return Finding(NAME, "calm", summary, value=drift.p_value, limit=rate)
    return Finding(
        NAME,
        "note",
        f"over {block.answers} answers {drift.feature} moved by {drift.statistic:.3f} "
        f"(p {drift.p_value:.2g})",
        value=drift.p_value,
        limit=rate,
        cause="input",
        action="an audit tells whether it hurts, where no estimate does",
    )
