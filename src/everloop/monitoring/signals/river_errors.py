"""Concept drift by River's detectors on errors, instead of the e-detector of `concept`.

ADWIN (Bifet and Gavalda 2007), DDM (Gama et al. 2004), HDDM-A (Frias-Blanco et al. 2015) and
Page-Hinkley (Page 1954). ADWIN and HDDM-A are given the rate of false alarms as their confidence;
the other two have thresholds of their own and state no rate.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from everloop.errors import Refused
from everloop.monitoring.signals.concept import Detected, Detector

RIVER: tuple[str, ...] = ("adwin", "ddm", "hddm", "page-hinkley")
"""The names by which a policy asks for them."""


def river_detector(name: str) -> Detector:
    """The detector of this name, one of `RIVER`. Raises `Refused` where River is not installed."""
    try:
        from river import drift
        from river.drift import binary
    except ImportError as error:
        raise Refused(
            f"[monitor] errors = {name!r} wants River: pip install 'everloop[river]'"
        ) from error
    makers: Mapping[str, Callable[[float], Any]] = {
        "adwin": lambda rate: drift.ADWIN(delta=rate),  # type: ignore[no-untyped-call]
        "ddm": lambda _: binary.DDM(),
        "hddm": lambda rate: binary.HDDMA(drift_confidence=rate),  # type: ignore[no-untyped-call]
        "page-hinkley": lambda _: drift.PageHinkley(mode="up"),
    }
    make = makers[name]
    return lambda errors, usual, rate: _detect(make(rate), errors, usual)


def _detect(river: Any, errors: Sequence[bool], usual: float) -> Detected:
    """Run through the errors; where they became fewer, ADWIN tells that too, and it is no alarm."""
    sums, least, since = 0.0, 0.0, 0
    for place, error in enumerate(errors):
        before = getattr(river, "estimation", 0.0)
        river.update(error)
        sums += error - usual
        more = getattr(river, "estimation", 1.0) > before
        if river.drift_detected and more and since <= place:
            share = sum(errors[since : place + 1]) / (place + 1 - since)
            return Detected(share, usual, place, since)
        # As in CUSUM, a change began where the errors in excess were fewest.
        if sums <= least:
            least, since = sums, place + 1
    return Detected(0.0, usual, None, len(errors))
