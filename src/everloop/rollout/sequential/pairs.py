"""Two models asked the same questions, watched without end: only where they differ tells.

A sequential form of McNemar's test (1947): of the questions that exactly one of the two got
right, the share that the challenger got wrong is at most one half while it is no worse. That
share is watched as a rate (see `rate`). What both got right or both got wrong says nothing, so
pairs need far fewer labels than two separate samples.
"""

from everloop.rollout.sequential.rate import log_evidence_above

_EVEN = 0.5


def log_evidence_worse(only_challenger_wrong: int, only_champion_wrong: int) -> float:
    """Natural logarithm of the evidence that the challenger is wrong more often.

    The chance that it ever reaches log(1 / alpha) while it is not is at most alpha.

    >>> log_evidence_worse(18, 2) > 5 > log_evidence_worse(11, 9)
    True
    """
    discordant = only_challenger_wrong + only_champion_wrong
    return float(log_evidence_above(only_challenger_wrong, discordant, _EVEN))
