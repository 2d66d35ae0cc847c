"""The Actions the loop knows, each made from exactly the inputs that name it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from everloop.action import Action
from everloop.ids import ActionKey, BundleId, Json, PolicyVersion, SampleId, SnapshotId
from everloop.policy import Policy, Strategy
from everloop.state.releases import Mode
from everloop_runtime.ids import digest_json


def ingest(
    source: str,
    listing: str,
    *,
    format_name: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Action:
    """Take what is new in a source into the store.

    `format_name` and `columns`, where given, stand instead of what the policy says.
    """
    inputs: dict[str, Json] = {"source": source, "listing": listing}
    if format_name is not None:
        inputs["format"] = format_name
    if columns:
        inputs["columns"] = dict(columns)
    return Action("ingest", inputs)


def collect(segment: str) -> Action:
    """Move one sealed segment of captured answers into the store."""
    return Action("collect", {"segment": segment})


def record_answers(tasks: str) -> Action:
    """Turn answered label tasks into annotations; `tasks` is the digest of their ids."""
    return Action("record-answers", {"tasks": tasks})


def snapshot(policy: Policy, labels_version: str) -> Action:
    """Pin the data set as it is labelled now."""
    inputs: dict[str, Json] = {"labels": labels_version}
    # What the policy does not change is left out, as for `train`.
    return Action("snapshot", inputs | ({"leaks": "allow"} if policy.data.leaks == "allow" else {}))


def train(policy: Policy, snapshot_id: SnapshotId, code: str) -> Action:
    """Learn a bundle from a snapshot."""
    return Action(
        "train",
        {
            "snapshot": snapshot_id,
            "code": code,
            "params": dict(policy.train.params),
            "seed": policy.train.seed,
            "threads": policy.train.threads,
            **_unusual(policy),
        },
    )


def _unusual(policy: Policy) -> dict[str, Json]:
    """What a bundle's making takes from the policy, where it is not the default.

    Defaults are left out, so that a training that was done before they existed keeps its key.
    """
    told: dict[str, Json] = {}
    if policy.bundle.calibration != "temperature":
        told["calibration"] = policy.bundle.calibration
    if policy.bundle.precision:
        told["precision"] = policy.bundle.precision
    return told


def track(run: Action) -> Action:
    """Record a training attempt, good or bad, in the tracker."""
    return Action("track", {"run": run.key})


def reproduce(run: ActionKey, request: str) -> Action:
    """Do a training again from its record, once for each request."""
    return Action("reproduce", {"run": run, "request": request})


def evaluate(policy: Policy, bundle: BundleId, snapshot_id: SnapshotId) -> Action:
    """Measure a bundle on a snapshot's hold-out."""
    inputs: dict[str, Json] = {"bundle": bundle, "snapshot": snapshot_id}
    # What the policy does not change is left out, as for `train`.
    study = policy.evaluation.model_dump(mode="json", exclude_defaults=True)
    return Action("evaluate", inputs | ({"study": study} if study else {}))


def gate(
    policy: Policy, bundle: BundleId, snapshot_id: SnapshotId, champion: BundleId | None
) -> Action:
    """Judge a candidate's evaluation, beside the champion's."""
    return Action(
        "gate",
        {
            "bundle": bundle,
            "snapshot": snapshot_id,
            "champion": champion,
            "gates": digest_json(_limits(policy)),
        },
    )


def _limits(policy: Policy) -> dict[str, Json]:
    """The gates; kinds of limit that were added later are left out where there is none."""
    told: dict[str, Json] = policy.gates.model_dump(mode="json")
    return {name: value for name, value in told.items() if value != {} or name == "absolute"}


def register(bundle: BundleId) -> Action:
    """Enter a bundle that passed its gates into the model registry."""
    return Action("register", {"bundle": bundle})


def approve(bundle: BundleId) -> Action:
    """Approve a candidate by rule."""
    return Action("approve", {"bundle": bundle})


def verify(policy: Policy, bundle: BundleId, snapshot_id: SnapshotId, evaluation: str) -> Action:
    """Replay the hold-out through the candidate's own live service."""
    return Action(
        "verify",
        {
            "bundle": bundle,
            "snapshot": snapshot_id,
            "evaluation": evaluation,
            "tolerance": policy.verify.tolerance,
        },
    )


def canary(
    bundle: BundleId, champion: BundleId, step: int, share: float, mode: Mode = "canary"
) -> Action:
    """Give a verified candidate a share of the traffic, or of copies of it."""
    inputs: dict[str, Json] = {
        "bundle": bundle, "champion": champion, "step": step, "share": share
    }  # fmt: skip
    # A canary is named as it was before there were other modes.
    return Action("canary", inputs if mode == "canary" else {**inputs, "mode": mode})


def promote(bundle: BundleId, over: BundleId | None) -> Action:
    """Make a candidate the champion."""
    return Action("promote", {"bundle": bundle, "over": over})


def roll_back_canary(bundle: BundleId, champion: BundleId, step: int) -> Action:
    """Take a canary's share back."""
    return Action("rollback", {"bundle": bundle, "to": champion, "step": step})


def roll_back_promotion(bundle: BundleId, to: BundleId, since: datetime) -> Action:
    """Return from a new champion that breached to the one before."""
    return Action("rollback", {"bundle": bundle, "to": to, "promoted": since.isoformat()})


def roll_out_on_request(bundle: BundleId, strategy: Strategy, request: str) -> Action:
    """Note that a person asked for a verified bundle's rollout by a strategy."""
    return Action("roll-out", {"bundle": bundle, "strategy": strategy, "request": request})


def deploy_on_request(bundle: BundleId, request: str) -> Action:
    """Make a verified bundle the champion because a person asked."""
    return Action("deploy", {"bundle": bundle, "request": request})


def roll_back_on_request(bundle: BundleId, to: BundleId, request: str) -> Action:
    """Go back from a bundle to another because a person asked."""
    return Action("rollback", {"bundle": bundle, "to": to, "request": request})


def experiment(
    name: str,
    champion: BundleId,
    variants: Sequence[Mapping[str, Json]],
    event: Mapping[str, Json],
    request: str,
) -> Action:
    """Give verified bundles shares beside the champion because a person asked.

    Each of `variants` has `bundle` and `share`; `event` has the `name` and the `most` of what is
    compared.
    """
    inputs: dict[str, Json] = {"experiment": name, "champion": champion, "request": request}
    return Action("experiment", {**inputs, "variants": list(variants), "event": dict(event)})


def take_out(experiment: str, bundle: BundleId, champion: BundleId) -> Action:
    """Take a variant's share back."""
    return Action("take-out", {"experiment": experiment, "bundle": bundle, "to": champion})


def end_experiment(experiment: str, request: str) -> Action:
    """End an experiment because a person asked."""
    return Action("end-experiment", {"experiment": experiment, "request": request})


def monitor(bundle: BundleId, window: int, size: int) -> Action:
    """Compare one window of the champion's answers with its reference."""
    return Action("monitor", {"bundle": bundle, "window": window, "size": size})


def inspect(since: datetime, until: datetime) -> Action:
    """Look at what was served over some time."""
    return Action("inspect", {"since": since.isoformat(), "until": until.isoformat()})


def report(since: datetime, until: datetime) -> Action:
    """Write the report of some time."""
    return Action("report", {"since": since.isoformat(), "until": until.isoformat()})


def select(bundle: BundleId, window: int, budget: int, purpose: str) -> Action:
    """Choose samples and make label tasks of them.

    `purpose`: `teach` takes those worth most for the next model, `audit` takes them at random,
    to measure the live one.
    """
    return Action(
        "select", {"bundle": bundle, "window": window, "budget": budget, "purpose": purpose}
    )


def relabel(campaign: str, snapshot_id: SnapshotId, which: Mapping[str, Json], most: int) -> Action:
    """Ask people again about samples of a snapshot.

    `which`: the `label` they had there, who had said so (`by`), their `side`; each may be missing.
    """
    inputs: dict[str, Json] = {"campaign": campaign, "snapshot": snapshot_id, "most": most}
    return Action("relabel", {**inputs, "which": dict(which)})


def begin(labels_version: str, budget: int) -> Action:
    """Choose the first samples to label, before there is a model."""
    return Action("select", {"labels": labels_version, "budget": budget, "purpose": "begin"})


def select_on_request(bundle: BundleId, budget: int, request: str) -> Action:
    """Open a round of labelling because a person asked."""
    inputs: dict[str, Json] = {"bundle": bundle, "budget": budget, "purpose": "asked"}
    return Action("select", {**inputs, "request": request})


def select_chosen(bundle: BundleId, samples: Sequence[SampleId], request: str) -> Action:
    """Ask people about the samples that somebody chose."""
    inputs: dict[str, Json] = {"bundle": bundle, "budget": len(samples), "purpose": "chosen"}
    return Action("select", {**inputs, "samples": list(samples), "request": request})


def calibrate_prelabels(bundle: BundleId, evaluation: str, precision: float) -> Action:
    """Find from which confidence on a bundle's answers may be taken for labels."""
    inputs: dict[str, Json] = {"bundle": bundle, "evaluation": evaluation}
    return Action("prelabel-rule", {**inputs, "precision": precision})


def accept_prelabels(bundle: BundleId, threshold: float, audit_share: float, tasks: str) -> Action:
    """Take a bundle's sure answers for labels; `tasks` is the digest of the open tasks' ids."""
    inputs: dict[str, Json] = {"bundle": bundle, "threshold": threshold, "tasks": tasks}
    return Action("accept", {**inputs, "audit_share": audit_share})


def withdraw_prelabels(bundle: BundleId, precision: float) -> Action:
    """End taking a bundle's answers for labels, for good, and ask people about those taken."""
    return Action("withdraw-prelabels", {"bundle": bundle, "precision": precision})


def clear(policy: Policy, version: PolicyVersion, tasks: str, after: int) -> Action:
    """Clear label tasks anew under a privacy policy; `tasks` is the digest of their ids.

    `after`: how many such Actions succeeded before, so that a policy that is put back is
    followed again. More patience or time is worth another attempt too.
    """
    bounds = policy.privacy.model_dump(mode="json", include={"workers", "patience", "timeout"})
    return Action("clear", {"version": version, "tasks": tasks, "after": after, "bounds": bounds})
