"""`everloop reproduce`: do a run again from its record, and compare."""

from pathlib import Path

import click

from everloop.cli.common import by_option, common_options, emit, table, working
from everloop.cli.program import Program

_DIFFERS = 3


@click.command("reproduce")
@click.argument("run")
@common_options
@by_option
@click.pass_obj
def command(program: Program, run: str, path: Path, by: str, *, as_json: bool) -> int:
    """Do RUN again from its record (data, code, parameters, seed) and compare what it gives.

    RUN is a key, how it begins, or `last`. The exit code is 0 when the model is the same bit for
    bit and every figure is, 3 when not. Nothing of it is recorded as a new run.
    """
    from everloop.loop.interrupting import interrupt_training
    from everloop.loop.reproduction import reproduce
    from everloop.loop.run_records import find_run

    project = program.open_project(path)
    entry = find_run(project, run)
    try:
        with working("training again"):
            found = reproduce(project, entry, by=by, clock=program.clock)
    except KeyboardInterrupt:
        interrupt_training(project, program.clock())
        raise
    if as_json:
        emit(found.as_json())
        return 0 if found.same else _DIFFERS
    rows = [*found.results, *found.surroundings]
    table(
        ("what", "recorded", "again", ""),
        [(row.what, row.recorded, row.again, "same" if row.same else "differs") for row in rows],
    )
    if found.same:
        click.echo(f"Run {found.run} is reproduced, bit for bit.")
        return 0
    changed = "see what changed around it above" if found.surroundings else "nothing else changed"
    click.echo(f"Run {found.run} came out differently; {changed}.")
    return _DIFFERS
