"""Gates: may a candidate go on, by what it showed on the hold-out?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from everloop.evaluation.comparison import Comparison, p_worse
from everloop.evaluation.evaluate import Evaluation, SliceResult


@dataclass(frozen=True, slots=True)
class Gates:
    """The limits; see `[gates]` of the policy."""

    absolute: Mapping[str, float]
    significance: float
    slice_min_samples: int
    slice_min_accuracy: float
    at_most: Mapping[str, float] = field(default_factory=dict)
    slices: Mapping[str, float] = field(default_factory=dict)
    max_loss: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """One gate, and what it found."""

    name: str
    passed: bool
    reason: str
    of_slice: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks; passed when each is."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def summary(self) -> str:
        """One line for people: what stopped it, or what it showed on the whole hold-out."""
        failed = [check.reason for check in self.checks if not check.passed]
        if failed:
            return f"STOPPED: {'; '.join(failed)}"
        told = "; ".join(check.reason for check in self.checks if not check.of_slice)
        slices = sum(check.of_slice for check in self.checks)
        return f"passed: {told}; and {slices} checks by slice"


_NOTHING: Mapping[str, float] = MappingProxyType({})


def judge(
    candidate: Evaluation,
    champion: Evaluation | None,
    gates: Gates,
    *,
    facts: Mapping[str, float] = _NOTHING,
    comparison: Comparison | None = None,
) -> Verdict:
    """Hold a candidate's evaluation to the gates; pure.

    Three kinds: a metric's or fact's least or largest value; against the champion on the same
    samples, one-sided, by the tests of `comparison.p_worse`: stopped when significantly worse, and,
    where `max_loss` says so, unless the paired bootstrap is sure that no more of a metric is lost;
    by slice, the same with Holm's correction over the slices (Holm 1979), and a least share of
    right answers. What is not a number does not pass.

    `facts`: what was measured beside the metrics, such as `latency_p95_ms`. `comparison`: of the
    two, where `max_loss` needs it.
    """
    known = {**candidate.metrics, **facts}
    checks = [_least(known, name, limit) for name, limit in gates.absolute.items()]
    checks += [_most(known, name, limit) for name, limit in gates.at_most.items()]
    every = candidate.slices()
    slices = [s for s in every if len(s.rows) >= gates.slice_min_samples]
    if candidate.right_or_wrong:
        checks += [
            _floor(result, gates.slice_min_accuracy)
            for result in slices
            if result.name not in gates.slices
        ]
    checks += [_named(every, name, limit) for name, limit in gates.slices.items()]
    if champion is not None:
        checks += _against(candidate, champion, slices, gates.significance)
        checks += [_lost(comparison, name, most) for name, most in gates.max_loss.items()]
    return Verdict(tuple(checks))


def _least(known: Mapping[str, float], name: str, limit: float) -> Check:
    value = known.get(name)
    if value is None:
        return _not_measured(known, name)
    passed = math.isfinite(value) and value >= limit
    sign = "at least" if passed else "below"
    return Check(name, passed, f"{name} {value:.4f} is {sign} {limit:g}")


def _most(known: Mapping[str, float], name: str, limit: float) -> Check:
    value = known.get(name)
    if value is None:
        return _not_measured(known, name)
    passed = math.isfinite(value) and value <= limit
    sign = "at most" if passed else "above"
    return Check(name, passed, f"{name} {value:.4g} is {sign} {limit:g}")


def _not_measured(known: Mapping[str, float], name: str) -> Check:
    told = ", ".join(sorted(known))
    hint = (
        " (set robustness in [evaluation])" if name.startswith(("corruption", "mean_corr")) else ""
    )
    return Check(name, passed=False, reason=f"{name} is not measured{hint}; measured: {told}")


def _named(slices: Sequence[SliceResult], name: str, limit: float) -> Check:
    """The limit of one slice that the policy names; it is judged however small it is."""
    for result in slices:
        if result.name == name:
            return _floor(result, limit)
    told = ", ".join(sorted(result.name for result in slices)[:20])
    why = f"the hold-out has no slice {name}; it has {told}"
    return Check(f"slice {name}", passed=False, reason=why, of_slice=True)


def _lost(comparison: Comparison | None, name: str, most: float) -> Check:
    title = f"loss of {name}"
    if comparison is None or name not in comparison.differences:
        why = f"{name} was not measured of both on the same samples"
        return Check(title, passed=False, reason=why)
    found = comparison.differences[name]
    told = f"{name} {found.candidate:.4f} beside {found.champion:.4f}"
    between = f"the difference is {found.low:+.4f} to {found.high:+.4f} (95%)"
    passed = math.isfinite(found.low) and found.low >= -most
    sign = "no more than" if passed else "not surely within"
    return Check(title, passed, f"{told}: {between}, {sign} {most:g} lost")


def _floor(result: SliceResult, limit: float) -> Check:
    passed = result.quality >= limit
    told = f"{result.name} {result.quality:.3f} of {len(result.rows)}"
    sign = "at least" if passed else "below"
    return Check(f"slice {result.name}", passed, f"{told} is {sign} {limit:g}", of_slice=True)


def _against(
    candidate: Evaluation, champion: Evaluation, slices: Sequence[SliceResult], level: float
) -> list[Check]:
    if candidate.samples != champion.samples:
        why = "the champion was measured on other samples: evaluate both on one snapshot"
        return [Check("champion", passed=False, reason=why)]
    rows = tuple(range(len(candidate.samples)))
    overall = _paired("champion", candidate, champion, rows, level)
    # Holm: the smallest p-value is held to level / m, the next to level / (m - 1), and so on.
    ordered = sorted(slices, key=lambda s: p_worse(candidate, champion, s.rows))
    checks, still = [overall], True
    for index, result in enumerate(ordered):
        name = f"champion on {result.name}"
        at = level / (len(ordered) - index) if still else 0.0
        check = replace(_paired(name, candidate, champion, result.rows, at), of_slice=True)
        still = not check.passed
        checks.append(check)
    return checks


def _paired(
    name: str, candidate: Evaluation, champion: Evaluation, rows: Sequence[int], level: float
) -> Check:
    p = p_worse(candidate, champion, rows)
    passed = p >= level
    new, old = (float(e.qualities[list(rows)].mean()) for e in (candidate, champion))
    sign = "not significantly worse than" if passed else "significantly worse than"
    return Check(name, passed, f"{name}: {new:.3f} is {sign} its {old:.3f} (p = {p:.3g})")
