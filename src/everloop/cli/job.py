"""`everloop job`: run one job's folder; the engine calls this."""

from pathlib import Path

import click

from everloop.cli.program import Program


@click.command("job", hidden=True)
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.pass_obj
def command(program: Program, folder: Path) -> int:
    """Run the job in FOLDER."""
    from everloop.loop.jobs.run import run_job

    return run_job(folder, program.open_data)
