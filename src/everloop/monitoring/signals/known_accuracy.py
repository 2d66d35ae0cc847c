"""True accuracy, from the samples drawn at random that people labelled, with its 95% interval.

Wilson's interval (1927) of `right` among `answered`; it is as wide as they are few. Labels of other
samples are no random share: those that teach most are the ones the model is least sure about.
"""

from everloop.evaluation.intervals import wilson
from everloop.monitoring.finding import Finding

NAME = "accuracy"


def known_accuracy(right: int, answered: int, expected: float, harm: float) -> Finding:
    """`alarm` where even the upper end of the interval is more than `harm` below `expected`, the
    accuracy on the hold-out."""
    limit = expected - harm
    if not answered:
        return Finding(NAME, "calm", "no audited answer yet", limit=limit)
    low, high = wilson(right, answered)
    told = f"{right} of {answered} audited answers were right ({low:.3f} to {high:.3f})"
    if high >= limit:
        return Finding(NAME, "calm", told, value=right / answered, limit=limit)
    return Finding(
        NAME,
        "alarm",
        f"{told}, {expected:.3f} on the hold-out",
        value=right / answered,
        limit=limit,
        cause="unknown",
        action="label what is new, and learn again",
    )
