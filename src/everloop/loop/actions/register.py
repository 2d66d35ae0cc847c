"""Enter a bundle that passed its gates into the model registry, with its lineage."""

from everloop.action import Action, Outcome
from everloop.errors import Refused
from everloop.ids import BundleId, SnapshotId
from everloop.loop.actions.gate import evaluation_of
from everloop.loop.cards import write_card
from everloop.loop.project import Project, Turn
from everloop.packaging.keys import read_private, sign_bundle
from everloop_runtime.bundle import open_bundle


def register(project: Project, _turn: Turn, action: Action) -> Outcome:
    """One version of the product in the registry, however often this is repeated."""
    bundle = BundleId(str(action.inputs["bundle"]))
    opened = open_bundle(project.layout.bundles / bundle, bundle)
    lineage = opened.manifest.lineage
    snapshot = SnapshotId(str(lineage["snapshot"]))
    evaluation = evaluation_of(project, bundle, snapshot)
    tracked = project.journal.entry(Action("track", {"run": str(lineage["run"])}).key)
    if tracked is None or tracked.outcome is None or not tracked.outcome.succeeded:
        raise Refused(f"the run of bundle {bundle[:8]} is not in the tracker")
    if project.policy.bundle.signing_key:
        key = project.layout.project / project.policy.bundle.signing_key
        sign_bundle(opened, read_private(key))
    card = write_card(project, bundle)
    version = project.registry.register(
        bundle,
        run_id=str(tracked.outcome.result["run"]),
        tags={
            "everloop.snapshot": snapshot,
            "everloop.run": str(lineage["run"]),
            "everloop.code": str(lineage["code"]),
            **{f"everloop.{name}": f"{value:.6g}" for name, value in evaluation.metrics.items()},
        },
        files=opened.path,
        card=card,
    )
    return Outcome(final=True, result={"version": version})
