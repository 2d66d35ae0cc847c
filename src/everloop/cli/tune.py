"""`everloop tune`: search for better parameters."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from everloop.cli.common import by_option, common_options, counting, emit, pin_snapshot
from everloop.cli.program import Program
from everloop.errors import Refused
from everloop.ids import Json, SnapshotId

if TYPE_CHECKING:
    from everloop.loop.project import Project
    from everloop.tuning.results import Tried

_TRIALS = 50
_SHARE = 0.2


@click.command("tune")
@click.option("--trials", type=click.IntRange(1), help=f"Trials in all; {_TRIALS} by default.")
@click.option("--time", "duration", help='Time for this call, such as "30m" or "8h".')
@click.option(
    "--core-hours", type=click.FloatRange(0, min_open=True), help="Core-hours of all trials."
)
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True,
              help="Trials at once.")  # fmt: skip
@click.option("--sampler", type=click.Choice(["tpe", "random", "grid"]), default="tpe",
              show_default=True, help="How points are chosen.")  # fmt: skip
@click.option("--pruner", type=click.Choice(["median", "hyperband", "none"]),
              help="What ends weak trials early; median where something is watched.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True,
              help="Of the choice of points.")  # fmt: skip
@click.option("--validation", type=click.FloatRange(0.01, 0.9), default=_SHARE, show_default=True,
              help="The share of the training side that trials are judged on.")  # fmt: skip
@click.option("--snapshot", help="Learn from this snapshot; by default one is taken now.")
@common_options
@by_option
@click.pass_obj
def command(
    program: Program, trials: int | None, duration: str | None, core_hours: float | None,
    workers: int, sampler: Any, pruner: Any, seed: int, validation: float, snapshot: str | None,
    path: Path, by: str, *, as_json: bool,
) -> None:  # fmt: skip
    """Search the space that product.py declares for better parameters.

    Killed, and called again, it goes on; with more --trials it goes further. The hold-out is never
    looked at: trials are judged on a part of the training side.
    """
    from datetime import timedelta

    from everloop.loop.tuning import Effort, Search, plan_of, run_study
    from everloop.policy import read_duration
    from everloop.tuning.plan import need_optuna

    need_optuna()
    limit: timedelta | None = None
    if duration is not None:
        try:
            limit = read_duration(duration)
        except ValueError as error:
            raise click.UsageError(f"--time {duration}: {error}") from error
    if trials is None and limit is None and core_hours is None and sampler != "grid":
        trials = _TRIALS
    project = program.open_project(path)
    if project.declaration.space is None:
        # Said before a snapshot is taken for it.
        plan_of(project, SnapshotId(""), Search(sampler, pruner, seed, validation))
    taken = _snapshot(program, project, snapshot, by)
    plan = plan_of(project, taken, Search(sampler, pruner, seed, validation))
    told = _teller(plan.metric, as_json=as_json)
    with counting("tuning", trials) as count:

        def watch(done: int, first: "Tried | None") -> None:
            told(first)
            count(done)

        found = run_study(project, plan, Effort(trials, core_hours, limit, workers), watch)
    emit(found) if as_json else _show(project, found)


def _snapshot(program: Program, project: "Project", named: str | None, by: str) -> SnapshotId:
    if named is not None:
        return project.data.snapshots.find(named).id
    labelled = project.data.labelled_counts()
    if not labelled.train:
        raise Refused("no training sample is labelled yet; everloop data import SOURCE takes some")
    return pin_snapshot(program, project, labelled.version, by)


def _teller(metric: str, *, as_json: bool) -> "Any":
    """Tells of each trial that is better than all before."""
    best: list[int] = []

    def tell(first: "Tried | None") -> None:
        if first is None or as_json or best == [first.number]:
            return
        best[:] = [first.number]
        values = ", ".join(f"{name} = {_short(value)}" for name, value in first.params.items())
        click.echo(f"trial {first.number}: {metric} {first.value:.4g} with {values}", err=True)

    return tell


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _show(project: "Project", found: Mapping[str, Json]) -> None:
    from everloop.cli.studies import show_study
    from everloop.tuning.plan import read_plan
    from everloop.tuning.study import Study

    folder = project.layout.studies / str(found["study"])
    show_study(Study(folder, read_plan(folder)))
    plots = found["plots"]
    if isinstance(plots, Mapping) and plots:
        click.echo(f"Plots of the search: {folder / 'plots'}")
    if found["best"] is not None:
        name = str(found["study"])[:8]
        click.echo(f"everloop studies apply {name} writes the best parameters into everloop.toml.")
