"""`everloop snapshots`: take, list, show, compare and tag dataset versions."""

from pathlib import Path
from typing import cast

import click

from everloop.cli.common import by_option, common_options, emit, show, table
from everloop.cli.program import Program
from everloop.errors import Refused
from everloop.ids import Json

_TOLD = 20


@click.group("snapshots")
def command() -> None:
    """Take, list, show, compare and tag snapshots: the versions of the data set."""


@command.command("list")
@common_options
@click.pass_obj
def list_snapshots(program: Program, path: Path, *, as_json: bool) -> None:
    """List all snapshots, oldest first."""
    snapshots = program.open_project(path).data.snapshots
    found = snapshots.described(*snapshots.list())
    if as_json:
        emit(found)
        return
    if not found:
        click.echo("No snapshot yet; everloop train takes the first.")
        return
    table(
        ("snapshot", "taken", "training", "hold-out", "tags"),
        [
            (str(s["id"])[:8], str(s["taken_at"])[:19], s["train"], s["holdout"],
             " ".join(map(str, cast("list[str]", s["tags"]))))
            for s in found
        ],
    )  # fmt: skip


@command.command("take")
@common_options
@by_option
@click.pass_obj
def take_snapshot(program: Program, path: Path, by: str, *, as_json: bool) -> None:
    """Pin the data set as it is labelled now, without learning from it."""
    from everloop.loop import kinds
    from everloop.loop.single import run_action

    project = program.open_project(path)
    action = kinds.snapshot(project.policy, project.data.labelled_counts().version)
    outcome = run_action(project, action, by=by, clock=program.clock)
    if outcome.error:
        raise Refused(outcome.error)
    emit(outcome.result) if as_json else show(outcome.result)


@command.command("show")
@click.argument("snapshot")
@common_options
@click.pass_obj
def show_snapshot(program: Program, snapshot: str, path: Path, *, as_json: bool) -> None:
    """Show one SNAPSHOT: an id, how it begins, or a tag."""
    snapshots = program.open_project(path).data.snapshots
    found = snapshots.find(snapshot)
    (told,) = snapshots.described(found)
    if left_out := snapshots.excluded(found):
        told["left out"] = {str(name): why for name, why in left_out.items()}
    emit(told) if as_json else show(told)


@command.command("diff")
@click.argument("old")
@click.argument("new")
@common_options
@click.pass_obj
def diff(program: Program, old: str, new: str, path: Path, *, as_json: bool) -> None:
    """Show what was added, removed and relabelled from OLD to NEW, and by whom."""
    from everloop.data.snapshot_diff import diff as compare

    snapshots = program.open_project(path).data.snapshots
    change = compare(snapshots, snapshots.find(old).id, snapshots.find(new).id)
    if as_json:
        emit(
            {
                "added": list(change.added),
                "removed": list(change.removed),
                "relabelled": [list(row) for row in change.relabelled],
                "added_by": dict(change.added_by),
            }
        )
        return
    show(
        {
            "added": len(change.added),
            "labelled by": dict(change.added_by),
            "removed": len(change.removed),
            "relabelled": len(change.relabelled),
        }
    )
    if change.relabelled:
        table(
            ("sample", "was", "is", "by"),
            [(row.sample[:12], row.old, row.new, row.by) for row in change.relabelled[:_TOLD]],
        )
    if len(change.relabelled) > _TOLD:
        click.echo(f"... and {len(change.relabelled) - _TOLD} more; --json tells all")


@command.command("tag")
@click.argument("snapshot")
@click.argument("name")
@common_options
@click.pass_obj
def tag(program: Program, snapshot: str, name: str, path: Path, *, as_json: bool) -> None:
    """Give SNAPSHOT the tag NAME; a tag of that name moves to it."""
    snapshots = program.open_project(path).data.snapshots
    found = snapshots.find(snapshot).id
    snapshots.tag(name, found)
    told: dict[str, Json] = {"tag": name, "snapshot": found}
    emit(told) if as_json else show(told)
