"""Gates: may a candidate go on, by what it showed on the hold-out?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from everloop.evaluation.evaluate import Evaluation, SliceResult


@dataclass(frozen=True, slots=True)
class Gates:
    """The limits; see `[gates]` of the policy."""

    absolute: Mapping[str, float]
    significance: float
    slice_min_samples: int
    slice_min_accuracy: float


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


def judge(candidate: Evaluation, champion: Evaluation | None, gates: Gates) -> Verdict:
    """Hold a candidate's evaluation to the gates; pure.

    Three kinds: a metric's least value; against the champion on the same samples, one-sided, by
    McNemar's exact test where answers are right or wrong (McNemar 1947) and by Wilcoxon's
    signed-rank test elsewhere (Wilcoxon 1945): stopped when significantly worse; by slice, the
    same with Holm's correction over the slices (Holm 1979), and a least share of right answers.
    What is not a number does not pass.
    """
    checks = [_absolute(candidate, name, limit) for name, limit in gates.absolute.items()]
    slices = [s for s in candidate.slices() if len(s.rows) >= gates.slice_min_samples]
    if candidate.right_or_wrong:
        checks += [_floor(result, gates.slice_min_accuracy) for result in slices]
    if champion is not None:
        checks += _against(candidate, champion, slices, gates.significance)
    return Verdict(tuple(checks))


def _absolute(candidate: Evaluation, name: str, limit: float) -> Check:
    value = candidate.metrics.get(name)
    if value is None:
        told = ", ".join(sorted(candidate.metrics))
        return Check(name, passed=False, reason=f"{name} is not measured; measured: {told}")
    passed = math.isfinite(value) and value >= limit
    sign = "at least" if passed else "below"
    return Check(name, passed, f"{name} {value:.4f} is {sign} {limit:g}")


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
    ordered = sorted(slices, key=lambda s: _p_worse(candidate, champion, s.rows))
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
    p = _p_worse(candidate, champion, rows)
    passed = p >= level
    new, old = (float(e.qualities[list(rows)].mean()) for e in (candidate, champion))
    sign = "not significantly worse than" if passed else "significantly worse than"
    return Check(name, passed, f"{name}: {new:.3f} is {sign} its {old:.3f} (p = {p:.3g})")


def _p_worse(candidate: Evaluation, champion: Evaluation, rows: Sequence[int]) -> float:
    """P-value of "no worse": under it, the rows on which one alone is right are fair coins, and
    differences of qualities lie about zero.
    """
    from scipy.stats import binomtest, wilcoxon

    apart = candidate.qualities[list(rows)] - champion.qualities[list(rows)]
    lost, won = int((apart < 0).sum()), int((apart > 0).sum())
    if lost + won == 0:
        # Not a number is no proof of anything, least of all of being no worse.
        return 1.0 if bool((apart == 0).all()) else 0.0
    if not (candidate.right_or_wrong and champion.right_or_wrong):
        return float(wilcoxon(apart, alternative="less").pvalue)
    return float(binomtest(lost, lost + won, 0.5, alternative="greater").pvalue)
