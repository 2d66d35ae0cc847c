"""`everloop models`: list, show, compare, approve and reject models."""

from pathlib import Path

import click

from everloop.cli.common import by_option, common_options, emit, find_bundle, show, table
from everloop.cli.program import Program


@click.group("models")
def command() -> None:
    """List, show, compare, approve and reject models."""


@command.command("list")
@common_options
@click.pass_obj
def list_models(program: Program, path: Path, *, as_json: bool) -> None:
    """List every candidate the loop judged, oldest first."""
    from everloop.loop.models import judged_models

    models = judged_models(program.open_project(path))
    if as_json:
        emit([model.as_json() for model in models])
        return
    if not models:
        click.echo("No model yet; everloop train learns one.")
        return
    table(
        ("bundle", "version", "quality", "gates", "approved", "traffic"),
        [
            (
                model.bundle[:8],
                model.version or "-",
                f"{model.quality} {model.metrics.get(model.quality, float('nan')):.4f}",
                "passed" if model.passed else "stopped",
                model.approved_by or "-",
                model.traffic,
            )
            for model in models
        ],
    )


@command.command("show")
@click.argument("bundle", required=False)
@common_options
@click.pass_obj
def show_model(program: Program, bundle: str | None, path: Path, *, as_json: bool) -> None:
    """Show what is known of BUNDLE (an id or how it begins; the newest by default)."""
    from everloop.loop.models import judged_model

    project = program.open_project(path)
    told = judged_model(project, find_bundle(project, bundle)).as_json()
    emit(told) if as_json else show(told)


@command.command("compare")
@click.argument("first")
@click.argument("second")
@common_options
@click.pass_obj
def compare(program: Program, first: str, second: str, path: Path, *, as_json: bool) -> None:
    """Compare two bundles, each on the hold-out it was judged on."""
    from everloop.loop.models import judged_model

    project = program.open_project(path)
    one = judged_model(project, find_bundle(project, first))
    two = judged_model(project, find_bundle(project, second))
    names = sorted({*one.metrics, *two.metrics})
    if as_json:
        emit({"first": one.as_json(), "second": two.as_json()})
        return
    if one.snapshot != two.snapshot:
        click.echo("Note: they were judged on hold-outs of different snapshots.")
    nothing = float("nan")
    rows = [(n, one.metrics.get(n, nothing), two.metrics.get(n, nothing)) for n in names]
    table(
        ("metric", one.bundle[:8], two.bundle[:8], "difference"),
        [(n, f"{a:.4f}", f"{b:.4f}", f"{b - a:+.4f}") for n, a, b in rows],
    )


@command.command("approve")
@click.argument("bundle")
@click.option("--comment", default="", help="Why, for the record.")
@common_options
@by_option
@click.pass_obj
def approve(
    program: Program, bundle: str, comment: str, path: Path, by: str, *, as_json: bool
) -> None:
    """Let BUNDLE go on to verification and traffic."""
    _decide(program, bundle, comment, path, by, approved=True, as_json=as_json)


@command.command("reject")
@click.argument("bundle")
@click.option("--comment", default="", help="Why, for the record.")
@common_options
@by_option
@click.pass_obj
def reject(
    program: Program, bundle: str, comment: str, path: Path, by: str, *, as_json: bool
) -> None:
    """Keep BUNDLE from traffic."""
    _decide(program, bundle, comment, path, by, approved=False, as_json=as_json)


def _decide(
    program: Program,
    bundle: str,
    comment: str,
    path: Path,
    by: str,
    *,
    approved: bool,
    as_json: bool,
) -> None:
    project = program.open_project(path)
    bundle_id = find_bundle(project, bundle)
    project.decisions.record(
        bundle_id, approved=approved, by=by, comment=comment, now=program.clock()
    )
    what = "approved" if approved else "rejected"
    emit({"bundle": bundle_id, "decision": what}) if as_json else click.echo(
        f"Bundle {bundle_id[:8]} is {what} by {by}."
    )
