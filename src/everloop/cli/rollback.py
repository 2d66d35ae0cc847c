"""`everloop rollback`: end the canary or the experiment, or go back to the champion before."""

from pathlib import Path

import click

from everloop.cli.common import by_option, common_options, emit, working
from everloop.cli.program import Program


@click.command("rollback")
@common_options
@by_option
@click.pass_obj
def command(program: Program, path: Path, by: str, *, as_json: bool) -> None:
    """Take back the share of the canary or of an experiment; without, return to the one before."""
    from everloop.loop.single import ask_loop

    project = program.open_project(path)
    with working("waiting for the loop"):
        answer = ask_loop(project, "rollback", {}, by=by, clock=program.clock)
    emit({"answer": answer}) if as_json else click.echo(answer)
