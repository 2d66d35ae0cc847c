"""`everloop releases`: what serves which share, what did before, and why."""

from pathlib import Path

import click

from everloop.cli.common import common_options, emit, show, table
from everloop.cli.program import Program


@click.group("releases")
def command() -> None:
    """What serves which share, what did before, and why."""


@command.command("list")
@common_options
@click.pass_obj
def list_releases(program: Program, path: Path, *, as_json: bool) -> None:
    """List every change of the release, oldest first, each with its reason."""
    from everloop.loop.releases import change_as_json

    changes = program.open_project(path).releases.history()
    if as_json:
        emit([change_as_json(change) for change in changes])
        return
    if not changes:
        click.echo("Nothing has been released yet.")
        return
    table(
        ("generation", "at", "what", "bundle", "why"),
        [
            (
                change.generation,
                f"{change.at:%Y-%m-%d %H:%M:%S}",
                change.what,
                (change.bundle or "-")[:8],
                change.reason,
            )
            for change in changes
        ],
    )


@command.command("show")
@common_options
@click.pass_obj
def show_release(program: Program, path: Path, *, as_json: bool) -> None:
    """Show what serves now, and how what is being tried does beside the champion."""
    from everloop.loop.observe import observe
    from everloop.loop.releases import released

    project = program.open_project(path)
    told = released(project, observe(project, program.clock()))
    emit(told) if as_json else show(told)
