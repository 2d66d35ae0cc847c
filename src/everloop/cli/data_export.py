"""`everloop data export`: write a snapshot in the layout another tool reads."""

from pathlib import Path

import click

from everloop.cli.common import common_options, counting, emit, show
from everloop.cli.program import Program


@click.command("export")
@click.argument("snapshot")
@click.option(
    "--format",
    "format_name",
    required=True,
    help="coco, yolo, voc, class-folders, parquet or csv.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="A folder that is not there yet."
)
@common_options
@click.pass_obj
def write_out(
    program: Program, snapshot: str, format_name: str, out: Path, path: Path, *, as_json: bool
) -> None:
    """Write SNAPSHOT (an id or how it begins) to a folder, which appears whole or not at all.

    The original bytes go out as they are; importing the folder gives the same samples, labels and
    sides again.
    """
    from everloop.data.export.exporter import export

    project = program.open_project(path)
    found = project.data.snapshots.find(snapshot)
    with counting("writing", found.rows.num_rows) as count:
        report = export(
            project.data, found, project.declaration.task, format_name, out, watch=count
        )
    told = {"snapshot": found.id, "format": format_name, "out": str(out), **report.as_json()}
    emit(told) if as_json else show(told)
