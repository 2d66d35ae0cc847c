"""Harm: whether the estimated loss of accuracy is more than the limit, and how sure that is."""

from collections.abc import Sequence

from everloop.ids import SampleId
from everloop.monitoring.accuracy import EstimatedAccuracy
from everloop.monitoring.finding import Cause, Finding

NAME = "harm"


def estimated_harm(
    accuracy: EstimatedAccuracy,
    limit: float,
    *,
    drifted: bool,
    telling: Sequence[SampleId] = (),
    cause: Cause = "input",
) -> Finding:
    """`alarm` where the input changed and more than chance is lost; `note` where it may be chance.

    The estimates' disagreement is told as what is not known.
    """
    estimates = (accuracy.thresholded, accuracy.calibrated, accuracy.moved)
    apart = max(estimates) - min(estimates)
    told = (
        f"estimated accuracy {accuracy.value:.3f} (estimates apart by {apart:.3f}), "
        f"{accuracy.reference:.3f} on the hold-out"
    )
    if not drifted or accuracy.drop <= limit:
        return Finding(NAME, "calm", told, value=accuracy.drop, limit=limit)
    return Finding(
        NAME,
        "alarm" if accuracy.sure_drop > limit else "note",
        told,
        value=accuracy.drop,
        limit=limit,
        samples=tuple(telling),
        cause=cause,
        action="label what is new, and learn again",
    )
