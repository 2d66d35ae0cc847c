"""The one way in: what every bundle must pass before its graph is loaded here."""

from dataclasses import dataclass
from pathlib import Path

from everloop_runtime.bundle import Bundle, open_bundle
from everloop_runtime.ids import BundleId
from everloop_runtime.images import DEFAULT_LIMITS, ImageLimits
from everloop_runtime.signatures import ANYBODY, Trust, check_trust
from everloop_runtime.trial import DEFAULT_TRIAL, TrialLimits, try_bundle


@dataclass(frozen=True, slots=True)
class Admission:
    """What is asked of a bundle."""

    trust: Trust = ANYBODY
    trial: TrialLimits | None = DEFAULT_TRIAL
    """None: it is loaded where it can do no harm anyway, or its code is trusted already."""
    limits: ImageLimits = DEFAULT_LIMITS


def admit(path: Path, expected: BundleId | None, admission: Admission) -> Bundle:
    """The bundle in `path`: unchanged, vouched for where that is asked, and past its trial.

    Raises `Refused` with the first thing that is wrong, before any later one is looked at.
    """
    bundle = open_bundle(path, expected)
    check_trust(bundle, admission.trust)
    if admission.trial is not None:
        try_bundle(bundle, admission.trial, admission.limits)
    return bundle
