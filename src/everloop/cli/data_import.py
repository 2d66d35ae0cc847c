"""`everloop data import`: take a source in, whatever tool laid it out."""

from dataclasses import replace
from pathlib import Path

import click

from everloop.cli.common import by_option, common_options, counting, emit, show
from everloop.cli.program import Program
from everloop.errors import Refused


@click.command("import")
@click.argument("source")
@click.option("--format", "format_name", help="How it is laid out; found out by default.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="WHAT=NAME",
    help="Which column of a table says what, such as label=fine_label; may be repeated.",
)
@common_options
@by_option
@click.pass_obj
def take_in(
    program: Program,
    source: str,
    format_name: str | None,
    columns: tuple[str, ...],
    path: Path,
    by: str,
    *,
    as_json: bool,
) -> None:
    """Take SOURCE in: a folder, a file, a zip or tar archive, or an s3:// prefix.

    Class folders, COCO, Pascal VOC, YOLO, CSV and Parquet tables, Label Studio exports and plain
    pictures are told apart by themselves. What is in already is passed over; what is bad is set
    aside with a reason.
    """
    from everloop.data.listing import list_now
    from everloop.data.sources.opened import is_uri
    from everloop.loop import kinds
    from everloop.loop.single import run_action

    project = program.open_project(path)
    name = source if is_uri(source) else project.layout.source_name(Path(source))
    now = list_now(project.place(name))
    action = kinds.ingest(name, now.digest, format_name=format_name, columns=_columns(columns))
    with counting("taking it in", None) as count:
        watched = replace(project, progress=lambda seen: count(seen.done, seen.total))
        outcome = run_action(watched, action, by=by, clock=program.clock)
    if outcome.error:
        raise Refused(outcome.error)
    emit(outcome.result) if as_json else show(outcome.result)


def _columns(told: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for one in told:
        what, equals, name = one.partition("=")
        if not what or not equals or not name:
            raise click.UsageError(f"--column takes WHAT=NAME, such as label=fine_label; not {one}")
        found[what] = name
    return found
