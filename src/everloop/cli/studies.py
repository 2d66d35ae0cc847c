"""`everloop studies`: what searches for parameters have found, and taking it over."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from everloop.cli.common import common_options, emit, table
from everloop.cli.program import Program
from everloop.errors import Refused
from everloop.ids import Json

if TYPE_CHECKING:
    from everloop.layout import Layout
    from everloop.tuning.study import Study

_SHOWN = 10


@click.group("studies")
def command() -> None:
    """List and show studies of `everloop tune`, and take over the best parameters of one."""


@command.command("list")
@common_options
@click.pass_obj
def list_studies(program: Program, path: Path, *, as_json: bool) -> None:
    """List all studies, the newest first."""
    from everloop.tuning.results import summary

    project = program.open_project(path)
    found = [summary(_open(project.layout, name)) for name in _names(project.layout)]
    if as_json:
        emit(found)
        return
    if not found:
        click.echo("There is no study yet; everloop tune begins one.")
        return
    rows = [
        (
            str(one["study"])[:8],
            str(one["snapshot"])[:8],
            one["metric"],
            one["trials"],
            one["failed"],
            _best(one["best"]),
        )
        for one in found
    ]
    table(("study", "snapshot", "metric", "trials", "failed", "best"), rows)


@command.command("show")
@click.argument("study", required=False)
@click.option("--all", "whole", is_flag=True, help=f"All trials, not the best {_SHOWN} alone.")
@common_options
@click.pass_obj
def show(program: Program, study: str | None, path: Path, *, whole: bool, as_json: bool) -> None:
    """Show the best trials of STUDY (an id or how it begins; the newest by default)."""
    from everloop.tuning.results import summary, tried

    opened = _open(*_find(program, path, study))
    if as_json:
        emit({**summary(opened), "all": [one.as_json() for one in tried(opened)]})
    else:
        show_study(opened, whole=whole)


@command.command("apply")
@click.argument("study", required=False)
@click.option("--trial", type=click.IntRange(0), help="This trial's; by default the best one's.")
@common_options
@click.pass_obj
def apply(
    program: Program, study: str | None, trial: int | None, path: Path, *, as_json: bool
) -> None:
    """Write a study's best parameters into [train.params] of everloop.toml.

    From then on everloop train and the loop learn with them.
    """
    from everloop.tuning.applying import with_params
    from everloop.tuning.results import best, tried
    from everloop_runtime.files import write_atomic

    layout, name = _find(program, path, study)
    opened = _open(layout, name)
    every = tried(opened)
    found = best(every, opened.plan.goal)
    chosen = [one for one in every if one.number == trial] if trial is not None else found[:1]
    if not chosen:
        what = f"has no trial {trial}" if trial is not None else "has no trial that came to its end"
        raise Refused(f"study {name[:8]} {what}; everloop studies show {name[:8]} tells")
    settings = layout.project / "everloop.toml"
    params = dict(chosen[0].params)
    text = settings.read_text(encoding="utf-8")
    write_atomic(settings, with_params(text, params).encode())
    told: dict[str, Json] = {
        "study": name,
        "trial": chosen[0].number,
        "params": params,
        "file": str(settings),
    }
    if as_json:
        emit(told)
        return
    table(("parameter", "value"), list(params.items()))
    click.echo(f"[train.params] of {settings} has them now; everloop train learns with them.")


def show_study(study: "Study", *, whole: bool = False) -> None:
    """Print a study's trials, the best first, and how many failed and why."""
    from everloop.tuning.results import best, tried

    plan, every = study.plan, tried(study)
    found = best(every, plan.goal)
    names = tuple(plan.dimensions)
    rows = [
        (one.number, f"{one.value:.4g}", f"{one.seconds:.1f}", *map(_short, _values(one, names)))
        for one in (found if whole else found[:_SHOWN])
    ]
    table(("trial", plan.metric, "seconds", *names), rows)
    failed = [one for one in every if one.state == "failed"]
    pruned = len(every) - len(found) - len(failed)
    click.echo(
        f"Study {plan.id[:8]} on snapshot {plan.snapshot[:8]}: {len(every)} trials, {len(found)} "
        f"to their end, {pruned} ended early, {len(failed)} failed; "
        f"{sum(one.core_seconds for one in every):.0f} core-seconds."
    )
    for one in failed if whole else failed[-3:]:
        click.echo(f"  trial {one.number} failed: {one.error}")


def _values(one: object, names: tuple[str, ...]) -> list[object]:
    params = getattr(one, "params", {})
    return [params.get(name) for name in names]


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _best(found: object) -> str:
    return "-" if not isinstance(found, dict) else f"{found['value']:.4g} (trial {found['trial']})"


def _names(layout: "Layout") -> list[str]:
    folder = layout.studies
    kept = [p for p in folder.iterdir() if (p / "plan.json").is_file()] if folder.is_dir() else []
    return [p.name for p in sorted(kept, key=lambda p: -(p / "plan.json").stat().st_mtime)]


def _find(program: Program, path: Path, prefix: str | None) -> "tuple[Layout, str]":
    from everloop.tuning.plan import need_optuna

    need_optuna()
    layout = program.open_project(path).layout
    names = _names(layout)
    if not names:
        raise Refused("there is no study yet; everloop tune begins one")
    if prefix is None:
        return layout, names[0]
    matching = [name for name in names if name.startswith(prefix)]
    if len(matching) != 1:
        told = ", ".join(name[:8] for name in names)
        raise Refused(f"{len(matching)} studies begin with {prefix!r}; there are: {told}")
    return layout, matching[0]


def _open(layout: "Layout", name: str) -> "Study":
    from everloop.tuning.plan import need_optuna, read_plan
    from everloop.tuning.study import Study

    need_optuna()
    folder = layout.studies / name
    return Study(folder, read_plan(folder))
