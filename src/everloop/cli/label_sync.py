"""`everloop label sync`: tasks to a labelling tool of the team's own, answers back."""

import time
from pathlib import Path

import click

from everloop.cli.common import common_options, emit, show
from everloop.cli.program import Program
from everloop.errors import Refused, Unavailable


@click.command("sync")
@click.option(
    "--most",
    type=click.IntRange(1),
    default=200,
    show_default=True,
    help="So many tasks wait there at once.",
)
@click.option("--every", type=click.IntRange(5), help="Go on, with so many seconds in between.")
@common_options
@click.pass_obj
def sync(program: Program, most: int, every: int | None, path: Path, *, as_json: bool) -> None:
    """Carry answers from the labelling tool that the policy names, and tasks to it.

    Label Studio is one; its access token comes from the environment (LABEL_STUDIO_API_KEY).
    """
    from everloop.loop.label_sync import sync as carry

    project = program.open_project(path)
    if program.label_backend is None:
        raise Refused("this program was put together without labelling tools")
    backend = program.label_backend(project)
    while True:
        try:
            told = carry(project, backend, most=most, now=program.clock()).as_json()
        except Unavailable as error:
            if every is None:
                raise
            click.echo(f"unavailable: {error}; it is tried again", err=True)
        else:
            emit(told) if as_json else show(told)
        if every is None:
            return
        time.sleep(every)


COMMANDS = (sync,)
