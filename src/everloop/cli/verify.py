"""`everloop verify`: replay the hold-out through a bundle's own live service."""

from pathlib import Path

import click

from everloop.cli.common import by_option, common_options, emit, find_bundle, show, working
from everloop.cli.program import Program
from everloop.errors import Refused


@click.command("verify")
@click.argument("bundle", required=False)
@common_options
@by_option
@click.pass_obj
def command(program: Program, bundle: str | None, path: Path, by: str, *, as_json: bool) -> None:
    """Verify BUNDLE (an id or how it begins; the newest by default)."""
    from everloop.cli.lineage import snapshot_of
    from everloop.loop import kinds
    from everloop.loop.single import run_action

    project = program.open_project(path)
    bundle_id = find_bundle(project, bundle)
    snapshot = snapshot_of(project, bundle_id, None)
    measure = kinds.evaluate(project.policy, bundle_id, snapshot)
    with working("evaluating"):
        evaluation = run_action(project, measure, by=by, clock=program.clock)
    if evaluation.error:
        raise Refused(evaluation.error)
    action = kinds.verify(project.policy, bundle_id, snapshot, str(evaluation.result["evaluation"]))
    with working("replaying the hold-out"):
        outcome = run_action(project, action, by=by, clock=program.clock)
    if outcome.error:
        raise Refused(outcome.error)
    told = {"bundle": bundle_id, **outcome.result}
    emit(told) if as_json else show(told)
    if not outcome.result["passed"]:
        raise Refused(f"bundle {bundle_id[:8]} does not answer live as it did in evaluation")
