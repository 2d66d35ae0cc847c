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
    from everloop.cli.timeline import describe_entry
    from everloop.loop.decide import decide
    from everloop.loop.observe import observe

    project = program.open_project(path)
    decisions = decide(project.policy, observe(project, program.clock()))
    last = {entry.arm: entry for entry in project.journal.timeline(500)}
    rows = []
    for decision in decisions:
        entry = last.get(decision.arm)
        rows.append(
            {
                "arm": decision.arm,
                "decision": decision.action.kind if decision.action else "waits",
                "reason": decision.reason,
                "last": None if entry is None else entry.action.kind,
                "last_at": None if entry is None else entry.intended_at.isoformat(),
                "last_result": None if entry is None else describe_entry(entry),
            }
        )
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
