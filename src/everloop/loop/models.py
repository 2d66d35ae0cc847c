"""The candidates as people compare them, read from the journal."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from everloop.action import Entry
from everloop.errors import Refused
from everloop.evaluation.comparison import Comparison, compare
from everloop.evaluation.evaluate import Evaluation, load
from everloop.ids import BundleId, Json
from everloop.loop.cards import comparison_json, latest
from everloop.loop.four_eyes import lacking
from everloop.loop.project import Project
from everloop.tasks.task import learnable


@dataclass(frozen=True, slots=True)
class JudgedModel:
    """One candidate, what its gates said and where it is."""

    bundle: BundleId
    snapshot: str
    metrics: Mapping[str, float]
    quality: str
    """The metric that stands for the whole, such as `accuracy`."""
    passed: bool
    reasons: tuple[str, ...]
    version: int | None
    approved_by: str | None
    traffic: str
    """`champion`, `canary`, `variant` or `none`."""

    def as_json(self) -> dict[str, Json]:
        """All fields by name."""
        return {
            "bundle": self.bundle,
            "snapshot": self.snapshot,
            "metrics": {n: v if math.isfinite(v) else None for n, v in self.metrics.items()},
            "quality": self.quality,
            "passed": self.passed,
            "reasons": self.reasons,
            "version": self.version,
            "approved_by": self.approved_by,
            "traffic": self.traffic,
        }


def judged_models(project: Project) -> list[JudgedModel]:
    """Every bundle that came to its gates, in the order it first did."""
    first: dict[BundleId, Entry] = {}
    gates = project.journal.entries(("gate",)).values()
    for entry in sorted(gates, key=lambda entry: entry.intended_at):
        if entry.outcome is not None and entry.outcome.succeeded:
            first.setdefault(BundleId(str(entry.action.inputs["bundle"])), entry)
    evaluations = _results(project, "evaluate")
    versions = {
        key[0]: result.get("version") for key, result in _results(project, "register").items()
    }
    return [
        _model(project, bundle, entry, evaluations, versions) for bundle, entry in first.items()
    ]


def judged_model(project: Project, bundle: BundleId) -> JudgedModel:
    """One of them; `Refused` when the bundle has not come to its gates."""
    for model in judged_models(project):
        if model.bundle == bundle:
            return model
    raise Refused(f"bundle {bundle[:8]} has not been judged yet; everloop status tells where it is")


@dataclass(frozen=True, slots=True)
class Compared:
    """What the second of two bundles is beside the first, on one hold-out."""

    first: BundleId
    second: BundleId
    snapshot: str
    found: Comparison

    def as_json(self) -> dict[str, Json]:
        """All of it by name; `p_worse` is of "the second is no worse"."""
        told = comparison_json(self.first, self.found)
        del told["champion"]
        return {"snapshot": self.snapshot, **told}

    def rows(self) -> list[tuple[str, ...]]:
        """Metric, both figures, the difference, its interval and what may be said of it."""
        rows: list[tuple[str, ...]] = []
        for name, d in self.found.differences.items():
            between = "-" if math.isnan(d.low) else f"{d.low:+.4f} to {d.high:+.4f}"
            apart = f"{d.candidate - d.champion:+.4f}"
            rows.append((name, f"{d.champion:.4f}", f"{d.candidate:.4f}", apart, between, d.told))
        return rows

    @property
    def summary(self) -> str:
        """What the paired test says, in a sentence."""
        found = self.found
        return (
            f"{found.test} of {found.quality}: p = {found.p_worse:.3g} for '{self.second[:8]} is "
            f"no worse', p = {found.p_better:.3g} for 'it is no better'."
        )


def compared(project: Project, one: JudgedModel, two: JudgedModel) -> Compared | None:
    """The second beside the first on the hold-out that either was judged on; None where no hold-out
    has measured both."""
    both = evaluations_of(project, one, two)
    if both is None:
        return None
    old, new, snapshot = both
    found = compare(new, old, learnable(project.declaration.task))
    return None if found is None else Compared(one.bundle, two.bundle, snapshot, found)


def evaluations_of(
    project: Project, one: JudgedModel, two: JudgedModel
) -> tuple[Evaluation, Evaluation, str] | None:
    """What both were measured at on one hold-out, and its snapshot; None where there is none."""
    for snapshot in (two.snapshot, one.snapshot):
        results = [
            latest(project, "evaluate", bundle=model.bundle, snapshot=snapshot)
            for model in (two, one)
        ]
        digests = [str(result["evaluation"]) for result in results if result is not None]
        if len(digests) == len(results):
            new, old = (load(project.layout.evaluations, digest) for digest in digests)
            return old, new, snapshot
    return None


def _results(project: Project, kind: str) -> dict[tuple[str, str], Mapping[str, Json]]:
    return {
        (str(e.action.inputs["bundle"]), str(e.action.inputs.get("snapshot", ""))): e.outcome.result
        for e in project.journal.entries((kind,)).values()
        if e.outcome is not None and e.outcome.succeeded
    }


def _model(
    project: Project,
    bundle: BundleId,
    gate: Entry,
    evaluations: Mapping[tuple[str, str], Mapping[str, Json]],
    versions: Mapping[str, Json],
) -> JudgedModel:
    assert gate.outcome is not None  # noqa: S101 - the caller kept those that succeeded
    snapshot = str(gate.action.inputs["snapshot"])
    evaluated = evaluations.get((bundle, snapshot), {})
    metrics = evaluated.get("metrics", {})
    assert isinstance(metrics, Mapping)  # noqa: S101 - jobs.evaluate wrote it
    reasons = gate.outcome.result["reasons"]
    version = versions.get(bundle)
    return JudgedModel(
        bundle=bundle,
        snapshot=snapshot,
        metrics={n: math.nan if v is None else float(str(v)) for n, v in metrics.items()},
        quality=str(evaluated.get("quality", "accuracy")),
        passed=gate.outcome.result["passed"] is True,
        reasons=tuple(map(str, reasons)) if isinstance(reasons, list) else (),
        version=version if isinstance(version, int) else None,
        approved_by=_approved_by(project, bundle),
        traffic=_traffic(project, bundle),
    )


def _approved_by(project: Project, bundle: BundleId) -> str | None:
    """Who approved a bundle; None where nobody did, or somebody else has to as well."""
    people = [each.by for each in project.decisions.approvals(bundle)]
    if not people or lacking(project, bundle) is not None:
        return None
    return " and ".join(dict.fromkeys(people)) if project.policy.approval.four_eyes else people[-1]


def _traffic(project: Project, bundle: BundleId) -> str:
    release = project.releases.current()
    if release.champion == bundle:
        return "champion"
    if release.canary is not None and release.canary.bundle == bundle:
        return f"canary, {release.canary.share:.0%}"
    variant = release.experiment.variant(bundle) if release.experiment else None
    if variant is not None and variant.out_at is None:
        return f"variant, {variant.share:.0%}"
    return "none"
