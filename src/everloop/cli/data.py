"""`everloop data`: import data; list, show and compare snapshots."""

from pathlib import Path

import click

from everloop.cli.common import by_option, common_options, emit, show, table, working
from everloop.cli.data_quarantine import quarantine
from everloop.cli.program import Program
from everloop.errors import Refused
from everloop.ids import Json


@click.group("data")
def command() -> None:
    """Import data; list, show and compare snapshots."""


command.add_command(quarantine)


@command.command("import")
@click.argument("source", type=click.Path(path_type=Path, file_okay=False))
@common_options
@by_option
@click.pass_obj
def take_in(program: Program, source: Path, path: Path, by: str, *, as_json: bool) -> None:
    """Take the pictures of the folder SOURCE in; its sub-folders are class names."""
    from everloop.data.ingest import scan
    from everloop.loop import kinds
    from everloop.loop.single import run_action

    if not source.is_dir():
        raise Refused(f"{source} is not a folder; name one that holds pictures or class folders")
    project = program.open_project(path)
    action = kinds.ingest(project.layout.source_name(source), scan(source).digest)
    with working("taking the pictures in"):
        outcome = run_action(project, action, by=by, clock=program.clock)
    if outcome.error:
        raise Refused(outcome.error)
    emit(outcome.result) if as_json else show(outcome.result)


@command.command("list")
@common_options
@click.pass_obj
def list_snapshots(program: Program, path: Path, *, as_json: bool) -> None:
    """List all snapshots, oldest first."""
    project = program.open_project(path)
    found = [snapshot.summary() for snapshot in project.data.snapshots.list()]
    if as_json:
        emit(found)
        return
    if not found:
        click.echo("No snapshot yet; everloop train takes the first.")
        return
    table(
        ("snapshot", "taken", "training", "hold-out"),
        [(str(s["id"])[:8], str(s["taken_at"])[:19], s["train"], s["holdout"]) for s in found],
    )


@command.command("show")
@click.argument("snapshot")
@common_options
@click.pass_obj
def show_snapshot(program: Program, snapshot: str, path: Path, *, as_json: bool) -> None:
    """Show one SNAPSHOT (an id or how it begins)."""
    project = program.open_project(path)
    told = project.data.snapshots.find(snapshot).summary()
    emit(told) if as_json else show(told)


@command.command("diff")
@click.argument("old")
@click.argument("new")
@common_options
@click.pass_obj
def diff(program: Program, old: str, new: str, path: Path, *, as_json: bool) -> None:
    """Show what was added, removed and relabelled from OLD to NEW."""
    snapshots = program.open_project(path).data.snapshots
    change = snapshots.diff(snapshots.find(old).id, snapshots.find(new).id)
    told: dict[str, list[Json]] = {
        "added": list(change.added),
        "removed": list(change.removed),
        "relabelled": [list(row) for row in change.relabelled],
    }
    if as_json:
        emit(told)
        return
    show({name: len(rows) for name, rows in told.items()})
