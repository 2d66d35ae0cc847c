"""`everloop data`: import data; list, show and compare snapshots."""

from pathlib import Path

import click

from everloop.cli.common import common_options, emit, show, table
from everloop.cli.data_check import check, check_table
from everloop.cli.data_export import write_out
from everloop.cli.data_forget import forget
from everloop.cli.data_import import take_in
from everloop.cli.data_quarantine import quarantine
from everloop.cli.data_watch import watch
from everloop.cli.program import Program
from everloop.ids import Json


@click.group("data")
def command() -> None:
    """Import data; list, show and compare snapshots."""


command.add_command(check)
command.add_command(check_table)
command.add_command(quarantine)
command.add_command(take_in)
command.add_command(write_out)
command.add_command(forget)
command.add_command(watch)


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
    from everloop.data.snapshot_diff import diff as compare

    snapshots = program.open_project(path).data.snapshots
    change = compare(snapshots, snapshots.find(old).id, snapshots.find(new).id)
    told: dict[str, list[Json]] = {
        "added": list(change.added),
        "removed": list(change.removed),
        "relabelled": [list(row) for row in change.relabelled],
    }
    if as_json:
        emit(told)
        return
    show({name: len(rows) for name, rows in told.items()})
