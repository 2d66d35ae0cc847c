"""Is the canary as healthy as the champion? A pure analysis of what both served."""

from dataclasses import dataclass
from typing import Literal

from everloop.data.predictions import ServedFigures


@dataclass(frozen=True, slots=True)
class CanaryLimits:
    """See `[rollout]` of the policy."""

    min_requests: int
    max_error_rate: float
    max_latency_ratio: float
    max_confidence_drop: float
    significance: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """What the figures say."""

    verdict: Literal["wait", "healthy", "breached"]
    reasons: tuple[str, ...]


def analyse(
    canary: ServedFigures | None, champion: ServedFigures | None, limits: CanaryLimits
) -> Analysis:
    """Judge the canary's figures beside the champion's, both of the same time.

    Errors breach as soon as they are significantly above the limit (exact one-sided binomial
    test), also before `min_requests`; the rest is judged once both have enough requests.
    """
    if canary is None or not canary.requests:
        return Analysis("wait", ("it has served nothing yet",))
    if why := _errors(canary, limits):
        return Analysis("breached", (why,))
    if canary.requests < limits.min_requests:
        told = f"{canary.requests} of {limits.min_requests} requests served"
        return Analysis("wait", (told,))
    breaches = _beside(canary, champion, limits)
    if breaches:
        return Analysis("breached", breaches)
    told = (
        f"{canary.requests} requests, {canary.errors} errors, "
        f"95% within {canary.latency_p95_ms:.1f} ms, confidence {canary.mean_confidence:.3f}"
    )
    return Analysis("healthy", (told,))


def _errors(canary: ServedFigures, limits: CanaryLimits) -> str | None:
    from scipy.stats import binomtest

    if not canary.errors:
        return None
    test = binomtest(canary.errors, canary.requests, limits.max_error_rate, "greater")
    if test.pvalue >= limits.significance:
        return None
    return (
        f"{canary.errors} of {canary.requests} requests failed, significantly more than "
        f"{limits.max_error_rate:.1%} (p = {test.pvalue:.2g})"
    )


def _beside(
    canary: ServedFigures, champion: ServedFigures | None, limits: CanaryLimits
) -> tuple[str, ...]:
    if champion is None or champion.requests < limits.min_requests:
        return ()
    found = []
    ratio = canary.latency_p95_ms / max(champion.latency_p95_ms, _SHORTEST_MS)
    if ratio > limits.max_latency_ratio and canary.latency_p95_ms > _SHORTEST_MS:
        found.append(
            f"95% within {canary.latency_p95_ms:.1f} ms, the champion's within "
            f"{champion.latency_p95_ms:.1f} ms: {ratio:.1f} times, "
            f"at most {limits.max_latency_ratio:g} are allowed"
        )
    drop = champion.mean_confidence - canary.mean_confidence
    if drop > limits.max_confidence_drop:
        found.append(
            f"mean confidence {canary.mean_confidence:.3f}, the champion's "
            f"{champion.mean_confidence:.3f}: {drop:.3f} lower, "
            f"at most {limits.max_confidence_drop:g} are allowed"
        )
    return tuple(found)


_SHORTEST_MS = 20.0
"""Below this a latency is noise of the machine, not a property of the model."""
