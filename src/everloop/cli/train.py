"""`everloop train`: take a snapshot and learn a model from it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from everloop.cli.common import (
    by_option,
    common_options,
    emit,
    pin_snapshot,
    show,
    watching,
    working,
)
from everloop.cli.program import Program
from everloop.errors import Refused
from everloop.ids import SnapshotId

if TYPE_CHECKING:
    from everloop.action import Action, Outcome
    from everloop.loop.project import Project


@click.command("train")
@click.option("--snapshot", help="Learn from this snapshot; by default one is taken now.")
@common_options
@by_option
@click.pass_obj
def command(program: Program, snapshot: str | None, path: Path, by: str, *, as_json: bool) -> None:
    """Learn one model now, by the running loop or, where none runs, by this command.

    Ctrl-C stops it; asked for again, it goes on from its newest checkpoint.
    """
    from everloop.loop import kinds
    from everloop.loop.run_records import short_name
    from everloop.loop.single import run_action
    from everloop.tasks.task import learnable
    from everloop.training.attempt import read_notes

    project = program.open_project(path)
    learnable(project.declaration.task)
    snapshot_id = _snapshot(program, project, snapshot, by)
    action = kinds.train(project.policy, snapshot_id, project.declaration.code)
    try:
        outcome = _watched(program, project, action, by)
    except KeyboardInterrupt:
        _interrupted(program, project)
        raise
    # What is tried by hand is recorded as the loop's own attempts are, good or bad.
    with working("recording"):
        run_action(project, kinds.track(action), by=by, clock=program.clock)
    if outcome.error:
        raise Refused(f"training failed: {outcome.error}")
    notes = read_notes(project.layout.jobs / action.key)
    told = {"run": short_name(action.key), "snapshot": snapshot_id, **outcome.result}
    told |= {"notes": notes} if notes else {}
    emit(told) if as_json else show(told)


def _snapshot(program: Program, project: "Project", named: str | None, by: str) -> SnapshotId:
    if named is not None:
        return project.data.snapshots.find(named).id
    labelled = project.data.labelled_counts()
    if not labelled.train + labelled.holdout:
        raise Refused("nothing is labelled yet; everloop data import SOURCE takes data in")
    return pin_snapshot(program, project, labelled.version, by)


def _watched(program: Program, project: "Project", action: "Action", by: str) -> "Outcome":
    from everloop.loop.single import run_action

    with watching("training") as tell:
        waiting = _figures(project, action, tell)
        return run_action(project, action, by=by, clock=program.clock, waiting=waiting)


def _figures(
    project: "Project", action: "Action", tell: Callable[[str], None]
) -> Callable[[], None]:
    """Tells the newest figures of a training that is under way, about once a second."""
    from everloop.training.figures import last_figures

    folder, told = project.layout.jobs / action.key, 0.0

    def waiting() -> None:
        nonlocal told
        if time.monotonic() - told < 1 or not (figures := last_figures(folder)):
            return
        told, step = time.monotonic(), figures[-1][0]
        newest = {name: value for at, name, value, _ in figures if at == step}
        values = "  ".join(f"{name} {value:.4g}" for name, value in newest.items())
        tell(f"training  step {step}  {values}")

    return waiting


def _interrupted(program: Program, project: "Project") -> None:
    """Stop what nobody but this command would wait for, and mark it so."""
    from everloop.loop.interrupting import interrupt_training

    if interrupt_training(project, program.clock()):
        click.echo("Interrupted; everloop train goes on from its newest checkpoint.", err=True)
    else:
        click.echo("The running loop goes on with it; everloop runs list tells.", err=True)
