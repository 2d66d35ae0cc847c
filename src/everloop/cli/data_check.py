"""`everloop data check` and `check-table`: what is wrong with the data, and is there enough."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from everloop.cli.common import common_options, emit, table, working
from everloop.cli.program import Program
from everloop.errors import Refused
from everloop.ids import Json

if TYPE_CHECKING:
    from everloop.data.checks.inspect import Report, Wanted
    from everloop.loop.project import Project

_SHOWN = 8


@click.command("check")
@click.argument("snapshot", required=False)
@click.option("--source", help="Only what came from this source.")
@click.option("--per-class", default=20, show_default=True, help="Training samples of a class.")
@click.option(
    "--holdout-per-class", default=10, show_default=True, help="Hold-out samples of a class."
)
@click.option(
    "--html", "page_file", type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report, with pictures, to this file.",
)  # fmt: skip
@common_options
@click.pass_obj
def check(
    program: Program, snapshot: str | None, source: str | None, per_class: int,
    holdout_per_class: int, page_file: Path | None, path: Path, *, as_json: bool,
) -> None:  # fmt: skip
    """Check all that is in the store, or one SNAPSHOT: duplicates, labels, pictures, balance.

    SNAPSHOT is its id or a beginning of it.
    """
    from everloop.data.checks.enough import Needs
    from everloop.data.checks.inspect import Wanted, inspect
    from everloop.data.examined import DecodingLimits
    from everloop.loop.elsewhere import is_elsewhere, run_elsewhere

    project = program.open_project(path)
    pinned = None if snapshot is None else project.data.snapshots.find(snapshot).id
    wanted = Wanted(
        project.declaration.task.classes,
        Needs(project.policy.train.min_labels, per_class, holdout_per_class),
        DecodingLimits(project.limits),
        pinned,
        source,
    )
    with working("checking"):
        if is_elsewhere(project):
            # What costs is looking at each picture once, and what was seen is kept in the store.
            run_elsewhere(project, "check", _told(project, wanted))
        report = inspect(project.data, wanted)
        if page_file is not None:
            from everloop.data.checks.page import page

            _write(page_file, page(report, project.data, project.limits))
    from everloop.loop.learning_curve import outlook

    ahead = outlook(project)
    if as_json:
        told = None if ahead is None else ahead.as_json()
        return emit({**report.as_json(), "learning_curve": told})
    _print(report)
    if ahead is not None:
        click.echo(
            f"By the learning curve through {ahead.models} models: {ahead.error:.1%} errors with "
            f"{ahead.train:,} training samples, {ahead.with_twice:.1%} with twice as many, "
            f"{ahead.with_ten_times:.1%} with ten times."
        )
    return None


def _told(project: "Project", wanted: "Wanted") -> dict[str, Json]:
    return {
        "classes": list(wanted.classes),
        "needs": list(asdict(wanted.needs).values()),
        "limits": asdict(project.limits),
        "snapshot": wanted.snapshot,
        "from": wanted.source,
    }


def _print(report: "Report") -> None:
    table(
        ("weight", "found", "cases", "such as"),
        [
            (f.weight, f.title, f.count, "\n".join(
                f"{' | '.join(report.names.get(s, s[:12]) for s in item.samples)}: {item.text}"
                if item.samples else item.text
                for item in f.items[:_SHOWN]
            ))
            for f in report.findings
        ],
    )  # fmt: skip
    if report.quarantined:
        table(("set aside for", "files"), list(report.quarantined.items()))
    told = report.enough
    table(
        ("class", "training", "hold-out"),
        [(name, count, told.holdout.get(name, 0)) for name, count in told.train.items()],
    )
    click.echo(
        f"{report.samples:,} samples, {report.labelled:,} labelled. An accuracy measured on this "
        f"hold-out is sure to +-{told.holdout_margin:.1%}."
    )
    if told.missing:
        click.echo("Not enough to start yet: " + "; ".join(told.missing))
    else:
        click.echo("Enough to start, by the needs that are stated.")


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error}") from error


@click.command("check-table")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--target", help="The column that is to be learnt.")
@click.option(
    "--time", "times", multiple=True, help="Columns that together say when (twice at most)."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def check_table(file: Path, target: str | None, times: tuple[str, ...], *, as_json: bool) -> None:
    """Check a table (CSV, gzipped or not, or Parquet): sensors, gaps, leaks, rare values."""
    from everloop.data.checks.table import Columns, check_columns
    from everloop.data.checks.table_file import read_table

    with working("checking"):
        findings = check_columns(read_table(file), Columns(target, times))
    if as_json:
        return emit([finding.as_json() for finding in findings])
    return table(
        ("weight", "found", "cases", "such as", "rule"),
        [
            (f.weight, f.title, f.count, "\n".join(i.text for i in f.items[:_SHOWN]), f.why)
            for f in findings
        ],
    )
