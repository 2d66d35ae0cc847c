"""`everloop up`: the service, the tracker's page and the loop, until told to stop."""

import signal
from pathlib import Path
from types import FrameType

import click

from everloop.cli.common import common_options
from everloop.cli.program import Program


@click.command("up")
@common_options
@click.pass_obj
def command(program: Program, path: Path, *, as_json: bool) -> None:
    """Run the product until Ctrl-C."""
    from everloop.loop.controller import Step
    from everloop.loop.run import Addresses, run
    from everloop.loop.telling import describe_step, step_as_json
    from everloop_runtime.ids import canonical_json

    project = program.open_project(path)
    stopping = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)

    def started(addresses: Addresses) -> None:
        if as_json:
            told = {"service": addresses.service, "tracker": addresses.tracker}
            told |= {"pages": addresses.pages, "log_in": addresses.log_in}
            click.echo(canonical_json(told).decode())
            return
        click.echo(f"service  {addresses.service}")
        click.echo(f"tracker  {addresses.tracker or 'off ([tracking] ui = false)'}")
        click.echo(f"pages    {addresses.pages or 'off ([web] on = false)'}")
        if addresses.log_in:
            click.echo(f"log in   {addresses.log_in}  (once, as administrator)")
        click.echo("loop     running; Ctrl-C stops everything")

    def acted(step: Step) -> None:
        now = program.clock()
        line = (
            canonical_json(step_as_json(step, now)).decode()
            if as_json
            else describe_step(step, now)
        )
        click.echo(line)

    run(project, program.clock, stop=lambda: stopping, started=started, acted=acted)
