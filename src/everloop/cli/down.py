"""`everloop down`: stop the servers that an `up` that was killed left running."""

from pathlib import Path

import click

from everloop.cli.common import common_options, emit
from everloop.cli.program import Program
from everloop.errors import Conflict


@click.command("down")
@common_options
@click.pass_obj
def command(program: Program, path: Path, *, as_json: bool) -> None:
    """Stop the service, the tracker's page and the pages of this project."""
    from everloop.loop.run import stop_servers

    project = program.open_project(path)
    holder = project.leases.holder("controller")
    if holder is not None:
        raise Conflict(f"a controller is running ({holder}); end it first, it stops them itself")
    stopped = stop_servers(project)
    emit({"stopped": list(stopped)}) if as_json else click.echo(
        f"Stopped: {', '.join(stopped) or 'nothing was running'}."
    )
