"""`everloop train`: take a snapshot and learn a model from it."""

from pathlib import Path

import click

from everloop.cli.common import by_option, common_options, emit, show, working
from everloop.cli.program import Program
from everloop.errors import Refused
from everloop.ids import SnapshotId


@click.command("train")
@click.option("--snapshot", help="Learn from this snapshot; by default one is taken now.")
@common_options
@by_option
@click.pass_obj
def command(program: Program, snapshot: str | None, path: Path, by: str, *, as_json: bool) -> None:
    """Learn one model now, by the running loop or, where none runs, by this command."""
    from everloop.loop import kinds
    from everloop.loop.single import run_action
    from everloop.tasks.task import learnable

    project = program.open_project(path)
    learnable(project.declaration.task)
    if snapshot is None:
        labelled = project.data.labelled_counts()
        if not labelled.train + labelled.holdout:
            raise Refused("nothing is labelled yet; everloop data import SOURCE takes data in")
        with working("taking a snapshot"):
            pin = kinds.snapshot(project.policy, labelled.version)
            taken = run_action(project, pin, by=by, clock=program.clock)
        if taken.error:
            raise Refused(taken.error)
        snapshot_id = SnapshotId(str(taken.result["snapshot"]))
    else:
        snapshot_id = project.data.snapshots.find(snapshot).id
    action = kinds.train(project.policy, snapshot_id, project.declaration.code)
    with working("training"):
        outcome = run_action(project, action, by=by, clock=program.clock)
    if outcome.error:
        raise Refused(f"training failed: {outcome.error}")
    told = {"snapshot": snapshot_id, **outcome.result}
    emit(told) if as_json else show(told)
