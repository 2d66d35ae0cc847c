"""`everloop data gc` and `everloop data usage`: what nothing reaches, and who holds which bytes."""

from dataclasses import asdict
from pathlib import Path

import click

from everloop.cli.common import common_options, emit, table, working
from everloop.cli.program import Program


@click.command("gc")
@click.option("--dry-run", is_flag=True, help="Say what would go, and change nothing.")
@common_options
@click.pass_obj
def gc(program: Program, path: Path, *, dry_run: bool, as_json: bool) -> None:
    """Collect what nothing reaches any more, and merge many small files into few.

    Samples, labels, snapshots and captured answers all stay. It may be stopped at any time and
    run beside everything else: what is younger than an hour is left to whoever writes it.
    """
    from everloop.data.garbage import collect, find
    from everloop.loop.scratch import collect_scratch, find_scratch

    project = program.open_project(path)
    now = program.clock()
    with working("looking for what nothing reaches"):
        told = [*find(project.data, now).told, *find_scratch(project)]
        if not dry_run:
            collect(project.data, now)
            collect_scratch(project)
    if as_json:
        emit({"collected": not dry_run, "garbage": [asdict(each) for each in told]})
        return
    if not told:
        click.echo("Nothing to collect.")
        return
    table(
        ("what", "where", "bytes", "why"),
        [(each.kind, each.where, each.bytes or "-", each.what) for each in told],
    )


@click.command("usage")
@common_options
@click.pass_obj
def usage(program: Program, path: Path, *, as_json: bool) -> None:
    """Show who holds which bytes: tables and folders, and samples by source."""
    from everloop.data.usage import holders, sources

    data = program.open_project(path).data
    held, brought = holders(data), sources(data)
    if as_json:
        emit(
            {
                "root": data.place.uri,
                "holders": [asdict(each) for each in held],
                "samples": dict(brought),
            }
        )
        return
    rows = [(each.name, each.files, f"{each.bytes:,}") for each in held]
    table(("in " + data.place.uri, "files", "bytes"), rows)
    table(("source", "samples"), brought)
