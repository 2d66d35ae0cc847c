"""`everloop runs`: list, show and compare training attempts."""

from collections import Counter
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import click

from everloop.cli.common import common_options, emit, show, table
from everloop.cli.program import Program
from everloop.cli.run_views import brief_time, cell, comparable, curve_row, curves_of
from everloop.errors import Refused

if TYPE_CHECKING:
    from everloop.registry.runs import RunRecord

_COSTS = ("training_seconds", "core_seconds", "peak_memory_mib")
_MOST_PARAMS = 4
"""Columns that fit on a screen; `--show` names others."""


@click.group("runs")
def command() -> None:
    """List, show and compare training attempts: each one, good or bad, is recorded.

    A RUN is named by its key, by how that begins, or as `last`. MLflow's page shows the same.
    """


@command.command("list")
@click.option("--where", multiple=True, help="Only such runs, as 'loss < 0.2'; may be repeated.")
@click.option("--sort", help="Order by this fact, metric or parameter; -NAME: the largest first.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="At most.")
@click.option("--show", "shown", multiple=True, help="A metric or parameter as a column.")
@common_options
@click.pass_obj
def list_runs(
    program: Program,
    where: tuple[str, ...],
    sort: str | None,
    limit: int,
    shown: tuple[str, ...],
    path: Path,
    *,
    as_json: bool,
) -> None:
    """List attempts, newest first, whether they are under way, finished, failed or killed."""
    from everloop.loop.run_choice import chosen, read_condition
    from everloop.loop.run_records import record_as_json, run_records

    conditions = [read_condition(text) for text in where]
    records = run_records(program.open_project(path), program.clock())
    found = chosen(records, conditions, sort)
    if as_json:
        emit([record_as_json(record) for record in found[:limit]])
        return
    if not found:
        click.echo("No such run." if records else "No run yet; everloop train makes one.")
        return
    _print_list(found[:limit], shown)
    if len(found) > limit:
        click.echo(f"{limit} of {len(found)} runs; --limit shows more, --where chooses.")


def _print_list(records: Sequence["RunRecord"], shown: Sequence[str]) -> None:
    from everloop.loop.run_choice import differing, fact
    from everloop.loop.run_records import short_name

    columns = list(shown) or [
        *_metrics(records),
        *(f"params.{name}" for name in differing(records)[:_MOST_PARAMS]),
    ]
    table(
        ("run", "status", "began", "took", *(c.removeprefix("params.") for c in columns),
         "snapshot", "bundle"),
        [
            (
                short_name(record.key),
                _status(record),
                f"{record.started_at.astimezone():%m-%d %H:%M}",
                brief_time(record.duration),
                *(cell(fact(record, name)) for name in columns),
                record.snapshot[:8],
                (record.bundle or "-")[:8],
            )
            for record in records
        ],
    )  # fmt: skip


def _status(record: "RunRecord") -> str:
    if record.status == "interrupted" and record.checkpoint is not None:
        return f"interrupted after step {record.checkpoint}"
    return record.status


def _metrics(records: Sequence["RunRecord"]) -> list[str]:
    """The metrics that most runs have: two of training, one of the hold-out."""
    counts = Counter(name for record in records for name in record.metrics if name not in _COSTS)
    names = [name for name, _ in counts.most_common()]
    held = [name for name in names if name.startswith("holdout/")]
    return [*[name for name in names if name not in held][:2], *held[:1]]


@command.command("show")
@click.argument("run", default="last")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False),
              help="Save its curves as a picture (.png, .svg, .pdf).")  # fmt: skip
@common_options
@click.pass_obj
def show_run(program: Program, run: str, plot: Path | None, path: Path, *, as_json: bool) -> None:
    """Show everything that is known of RUN; the newest by default."""
    from everloop.loop.run_records import find_run, full_record, record_as_json

    project = program.open_project(path)
    record = full_record(project, find_run(project, run), program.clock())
    told = record_as_json(record)
    if plot is not None:
        _save_plot([record], plot)
    if as_json:
        steps = {name: [[step, value if isfinite(value) else None] for step, value in curve]
                  for name, curve in curves_of(record).items()}  # fmt: skip
        emit({**told, "environment": dict(record.environment), "history": steps,
              "files": list(record.texts)})  # fmt: skip
        return
    metrics = {name: value for name, value in record.metrics.items() if name not in _COSTS}
    costs = {name: record.metrics[name] for name in _COSTS if name in record.metrics}
    show(
        {
            **{name: told[name] for name in ("key", "status", "error", "began")},
            "took": brief_time(record.duration),
            **{name: told[name] for name in ("snapshot", "bundle", "params")},
            "metrics": metrics,
            "cost": costs,
            **{name: told[name] for name in ("seed", "threads", "code")},
            "git": told["git"] or "no repository",
            "lives": record.lives,
            "checkpoint": "-" if record.checkpoint is None else f"step {record.checkpoint}",
            "notes": list(record.notes),
            "hardware": dict(record.hardware),
            "environment": f"{len(record.environment)} packages; --json lists them",
            "files": f"{', '.join(record.texts) or '-'}",
        }
    )
    if curves := curves_of(record):
        table(("metric", "", "first", "range", "last"), [curve_row(*c) for c in curves.items()])


@command.command("compare")
@click.argument("runs", nargs=-1, required=True)
@click.option("--all", "everything", is_flag=True, help="Also what is the same in all.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False),
              help="Save their curves, one over the other (.png, .svg, .pdf).")  # fmt: skip
@common_options
@click.pass_obj
def compare(
    program: Program,
    runs: tuple[str, ...],
    plot: Path | None,
    path: Path,
    *,
    everything: bool,
    as_json: bool,
) -> None:
    """Compare RUNS: what differs in what they were given, and what they came to."""
    from everloop.loop.run_records import find_run, full_record, record_as_json, short_name

    project = program.open_project(path)
    entries = {entry.action.key: entry for entry in (find_run(project, name) for name in runs)}
    if len(entries) < 2:
        raise Refused(f"two different runs are wanted; got {', '.join(runs)}")
    records = [full_record(project, entry, program.clock()) for entry in entries.values()]
    if plot is not None:
        _save_plot(records, plot)
    facts = {short_name(record.key): comparable(record) for record in records}
    names = list(dict.fromkeys(name for known in facts.values() for name in known))
    rows = {name: [known.get(name) for known in facts.values()] for name in names}
    kept = {name: row for name, row in rows.items() if everything or len(set(row)) > 1}
    if as_json:
        emit({"runs": [record_as_json(record) for record in records],
              "differ": {name: dict(zip(facts, row, strict=True)) for name, row in kept.items()}
              })  # fmt: skip
        return
    table(("", *facts), [(name, *map(cell, row)) for name, row in kept.items()])
    if not everything and len(kept) < len(rows):
        click.echo(f"{len(rows) - len(kept)} facts are the same in all; --all shows them.")


def _save_plot(records: Sequence["RunRecord"], file: Path) -> None:
    from everloop.cli.run_plots import save_curves
    from everloop.loop.run_records import short_name

    save_curves({short_name(record.key): curves_of(record) for record in records}, file)
    click.echo(f"Wrote {file}.", err=True)
