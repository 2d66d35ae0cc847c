"""`everloop deploy`: make a verified bundle the champion."""

from pathlib import Path

import click

from everloop.cli.common import by_option, common_options, emit, find_bundle, working
from everloop.cli.program import Program


@click.command("deploy")
@click.argument("bundle", required=False)
@common_options
@by_option
@click.pass_obj
def command(program: Program, bundle: str | None, path: Path, by: str, *, as_json: bool) -> None:
    """Deploy BUNDLE, which must have passed its gates, been approved and verified."""
    from everloop.loop.single import ask_loop

    project = program.open_project(path)
    named = {"bundle": find_bundle(project, bundle)}
    with working("waiting for the loop"):
        answer = ask_loop(project, "deploy", named, by=by, clock=program.clock)
    emit({**named, "answer": answer}) if as_json else click.echo(answer)
