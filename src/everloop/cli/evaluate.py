"""`everloop evaluate`: measure a bundle on the hold-out."""

from pathlib import Path

import click

from everloop.cli.common import by_option, common_options, emit, find_bundle, show, working
from everloop.cli.program import Program
from everloop.errors import Refused


@click.command("evaluate")
@click.argument("bundle", required=False)
@click.option("--snapshot", help="On this snapshot's hold-out; by default the one it learnt from.")
@common_options
@by_option
@click.pass_obj
def command(
    program: Program,
    bundle: str | None,
    snapshot: str | None,
    path: Path,
    by: str,
    *,
    as_json: bool,
) -> None:
    """Measure BUNDLE (an id or how it begins; the newest by default)."""
    from everloop.cli.lineage import snapshot_of
    from everloop.loop import kinds
    from everloop.loop.single import run_action

    project = program.open_project(path)
    bundle_id = find_bundle(project, bundle)
    action = kinds.evaluate(project.policy, bundle_id, snapshot_of(project, bundle_id, snapshot))
    with working("evaluating"):
        outcome = run_action(project, action, by=by, clock=program.clock)
    if outcome.error:
        raise Refused(outcome.error)
    told = {"bundle": bundle_id, **outcome.result}
    emit(told) if as_json else show(told)
