"""The chain behind a served answer: bundle, run, snapshot, labels and the people behind them."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from everloop.errors import Refused
from everloop.ids import ActionKey, BundleId, Json, PredictionId, SnapshotId
from everloop.loop.project import Project
from everloop_runtime.bundle import open_bundle


@dataclass(frozen=True, slots=True)
class Chain:
    """Everything known of how one answer came about."""

    prediction: Mapping[str, Json]
    bundle: Mapping[str, Json]
    run: Mapping[str, Json]
    snapshot: Mapping[str, Json]
    labels: Mapping[str, Json]

    def as_json(self) -> dict[str, Json]:
        """The chain as nested tables."""
        return {
            "prediction": self.prediction,
            "bundle": self.bundle,
            "run": self.run,
            "snapshot": self.snapshot,
            "labels": self.labels,
        }


def trace(project: Project, prediction: PredictionId) -> Chain:
    """The chain behind a captured prediction; `Refused` when none has that id."""
    found = project.data.predictions.get(prediction)
    if found is None:
        raise Refused(
            f"no captured prediction {prediction!r}; answers given in the last seconds may not "
            "be collected yet, and at level 0 none are"
        )
    bundle = BundleId(str(found["bundle"]))
    manifest = open_bundle(project.layout.bundles / bundle, bundle).manifest
    lineage: Mapping[str, Any] = manifest.lineage
    told = {name: found[name] for name in ("id", "at", "sample", "label", "confidence")}
    own = {"id": bundle, **_release(project, bundle)}
    if not {"snapshot", "run"} <= lineage.keys():
        # Made elsewhere: its chain ends with it.
        nothing = {"known": "nothing; the bundle was not made here and does not tell"}
        return Chain(told, own, nothing, nothing, nothing)
    snapshot = project.data.snapshots.open(SnapshotId(lineage["snapshot"]))
    (pinned,) = project.data.snapshots.described(snapshot)
    return Chain(
        prediction=told,
        bundle=own,
        run=_run(project, lineage),
        snapshot=pinned,
        labels=_labels(snapshot.rows.column("by").to_pylist()),
    )


def _release(project: Project, bundle: BundleId) -> dict[str, Json]:
    told: dict[str, Json] = {}
    for kind in ("gate", "register", "verify", "promote"):
        for entry in project.journal.entries((kind,)).values():
            if entry.action.inputs.get("bundle") == bundle and entry.outcome is not None:
                reasons = entry.outcome.result.get("reasons")
                told[kind] = {
                    "at": entry.intended_at.isoformat(),
                    "why": entry.reason,
                    **({"reasons": reasons} if reasons else {}),
                }
    decision = project.decisions.of(bundle)
    if decision is not None:
        told["approved by"] = decision.by
    return told


def _run(project: Project, lineage: Mapping[str, Any]) -> dict[str, Json]:
    key = ActionKey(str(lineage["run"]))
    tracked = {
        entry.action.inputs["run"]: entry for entry in project.journal.entries(("track",)).values()
    }.get(key)
    entry = project.journal.entry(key)
    told: dict[str, Json] = {
        "key": key,
        "code": lineage["code"],
        "params": lineage["params"],
        "seed": lineage["seed"],
        "environment": lineage["environment"],
        "hardware": _hardware(project, key),
    }
    if tracked is not None and tracked.outcome is not None:
        told["mlflow run"] = tracked.outcome.result.get("run")
    if entry is not None:
        told["began"] = entry.intended_at.isoformat()
    return told


def _hardware(project: Project, key: ActionKey) -> dict[str, Json]:
    told = project.layout.jobs / key / "attempt.json"
    found: dict[str, Json] = json.loads(told.read_bytes())["hardware"] if told.exists() else {}
    return found


def _labels(by: list[str]) -> dict[str, Json]:
    return {f"by {who}": n for who, n in sorted(Counter(by).items())}
