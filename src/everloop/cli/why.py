"""`everloop why`: for each arm of the loop, what it did last and what it waits for."""

from pathlib import Path

import click

from everloop.cli.common import common_options, emit, table
from everloop.cli.program import Program


@click.command("why")
@common_options
@click.pass_obj
def command(program: Program, path: Path, *, as_json: bool) -> None:
    """Print each arm's last Action and its present decision, with the figures."""
    from everloop.loop.observe import observe
    from everloop.loop.telling import arms_now

    project = program.open_project(path)
    rows = [arm.as_json() for arm in arms_now(project, observe(project, program.clock()))]
    if as_json:
        emit(rows)
        return
    table(
        ("arm", "now", "why", "did last"),
        [
            (
                row["arm"],
                row["decision"],
                row["reason"],
                f"{row['last']}: {row['last_result']}" if row["last"] else "nothing yet",
            )
            for row in rows
        ],
    )
