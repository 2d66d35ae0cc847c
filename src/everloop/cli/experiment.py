"""`everloop experiment`: A/B tests of bundles beside the champion."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from everloop.cli.common import (
    by_option,
    common_options,
    emit,
    find_bundle,
    show,
    table,
    working,
)
from everloop.cli.program import Program
from everloop.errors import Refused
from everloop.ids import Json

if TYPE_CHECKING:
    from everloop.loop.project import Project

_MEASURES = {
    "errors": "error rate",
    "latency": "95% within ms",
    "confidence": "confidence",
    "labels": "labels wrong",
    "event": "event, mean",
}


@click.group("experiment")
def command() -> None:
    """Try bundles beside the champion (A/B tests), and see which one is better."""


@command.command("start")
@click.argument("name")
@click.option(
    "--variant",
    "variants",
    multiple=True,
    required=True,
    metavar="BUNDLE=SHARE",
    help="A bundle and its share of the traffic, such as 3fa1=0.2; may be repeated.",
)
@click.option("--event", help="The business event that decides; more of it is better.")
@click.option(
    "--event-most",
    type=click.FloatRange(0, min_open=True),
    help="The most one answer can earn of it; more counts as this.",
)
@common_options
@by_option
@click.pass_obj
def start(
    program: Program,
    name: str,
    variants: tuple[str, ...],
    event: str | None,
    event_most: float | None,
    path: Path,
    by: str,
    *,
    as_json: bool,
) -> None:
    """Begin the experiment NAME. Each variant must have passed gates, approval and replay."""
    project = program.open_project(path)
    inputs: dict[str, Json] = {"name": name, "variants": _variants(project, variants)}
    inputs.update(
        (key, value)
        for key, value in (("event", event), ("event_most", event_most))
        if value is not None
    )
    _ask(program, project, "experiment", inputs, by, as_json=as_json)


def _variants(project: "Project", said: tuple[str, ...]) -> list[Json]:
    found: dict[str, float] = {}
    for one in said:
        prefix, _, share = one.rpartition("=")
        bundle = find_bundle(project, prefix) if prefix else ""
        try:
            found[bundle] = float(share)
        except ValueError:
            bundle = ""
        if not bundle:
            raise click.UsageError(f"--variant {one}: say BUNDLE=SHARE, such as 3fa1=0.2")
    if len(found) < len(said):
        raise Refused("a bundle is named twice among the variants")
    return [{"bundle": bundle, "share": share} for bundle, share in found.items()]


def _ask(
    program: Program,
    project: "Project",
    kind: str,
    inputs: Mapping[str, Json],
    by: str,
    *,
    as_json: bool,
) -> None:
    from everloop.loop.single import ask_loop

    with working("waiting for the loop"):
        answer = ask_loop(project, kind, inputs, by=by, clock=program.clock)
    emit({**inputs, "answer": answer}) if as_json else click.echo(answer)


@command.command("stop")
@click.option("--promote", metavar="BUNDLE", help="The variant that is to be the champion.")
@common_options
@by_option
@click.pass_obj
def stop(program: Program, promote: str | None, path: Path, by: str, *, as_json: bool) -> None:
    """End the experiment that runs: all traffic to the champion, or to the variant promoted."""
    project = program.open_project(path)
    running = project.releases.current().experiment
    if running is None:
        raise Refused("no experiment runs; everloop experiment list tells of those that did")
    inputs: dict[str, Json] = {"experiment": running.name}
    if promote is not None:
        inputs["promote"] = find_bundle(project, promote)
    _ask(program, project, "end-experiment", inputs, by, as_json=as_json)


@command.command("list")
@common_options
@click.pass_obj
def list_experiments(program: Program, path: Path, *, as_json: bool) -> None:
    """List all experiments, oldest first, and how each ended."""
    from everloop.loop.experiments import described

    every = program.open_project(path).experiments.all()
    if as_json:
        emit([described(one) for one in every])
        return
    if not every:
        click.echo("There was no experiment yet; everloop experiment start begins one.")
        return
    table(
        ("name", "begun", "champion", "variants", "event", "end"),
        [
            (
                one.name,
                f"{one.since:%Y-%m-%d %H:%M}",
                one.champion[:8],
                "\n".join(
                    f"{v.name} {v.share:.0%}" + (" (out)" if v.out_at else "") for v in one.variants
                ),
                one.event or "-",
                one.reason or "runs",
            )
            for one in every
        ],
    )


@command.command("show")
@click.argument("name", required=False)
@common_options
@click.pass_obj
def show_experiment(program: Program, name: str | None, path: Path, *, as_json: bool) -> None:
    """Show each variant beside the champion: NAME's, else of that which runs or ran last."""
    from everloop.loop.experiments import compared, find_experiment

    project = program.open_project(path)
    told = compared(project, find_experiment(project, name))
    if as_json:
        emit(told)
        return
    variants: Any = told.pop("variants")
    show(told)
    table(
        ("measure", "variant", "its value", "the champion's", "it is"),
        [
            (
                _MEASURES[measure],
                one["name"],
                _bounds(found["variant"]),
                _bounds(found["champion"]),
                found["finding"] or "-",
            )
            for one in variants
            for measure, found in one["measures"].items()
        ],
    )
    for one in variants:
        out = f"; taken out: {one['out']}" if one["out"] else ""
        click.echo(
            f"{one['name']} ({one['share']:.0%}, {one['requests']} requests): "
            f"{one['finding']} by {told['decided by']}{out}"
        )
    click.echo(
        f"With a chance of {1 - float(str(told['error rate'])):.0%} every bound and finding above "
        "is right, whenever and however often you look."
    )


def _bounds(figure: Mapping[str, float | None]) -> str:
    value, low, high = (figure[name] for name in ("value", "low", "high"))
    if value is None:
        return "nothing known"
    upper = "any" if high is None else f"{high:.4g}"
    return f"{value:.4g} ({low:.4g} to {upper})"
