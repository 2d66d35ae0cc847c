"""`everloop evaluate`: measure a bundle on the hold-out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from everloop.cli.common import by_option, common_options, emit, find_bundle, show, table, working
from everloop.cli.program import Program
from everloop.errors import Refused


@click.command("evaluate")
@click.argument("bundle", required=False)
@click.option("--snapshot", help="On this snapshot's hold-out; by default the one it learnt from.")
@common_options
@by_option
@click.pass_obj
def command(
    program: Program,
    bundle: str | None,
    snapshot: str | None,
    path: Path,
    by: str,
    *,
    as_json: bool,
) -> None:
    """Measure BUNDLE (an id or how it begins; the newest by default)."""
    from everloop.cli.lineage import snapshot_of
    from everloop.loop import kinds
    from everloop.loop.single import run_action

    project = program.open_project(path)
    bundle_id = find_bundle(project, bundle)
    action = kinds.evaluate(project.policy, bundle_id, snapshot_of(project, bundle_id, snapshot))
    with working("evaluating"):
        outcome = run_action(project, action, by=by, clock=program.clock)
    if outcome.error:
        raise Refused(outcome.error)
    told = {"bundle": bundle_id, **outcome.result}
    if as_json:
        emit(told)
        return
    named = ("bundle", "evaluation", "samples", "report")
    show({name: told[name] for name in named if name in told})
    table(("metric", "value", "95% interval"), measured_rows(outcome.result))


def measured_rows(result: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Metrics with their intervals, then what else was measured, as a table has them."""
    intervals = result.get("intervals", {})
    rows = [(n, _figure(v), _between(intervals.get(n))) for n, v in result["metrics"].items()]
    return rows + [(n, f"{v:.4g}", "") for n, v in sorted(result.get("facts", {}).items())]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _between(bounds: Sequence[float | None] | None) -> str:
    if not bounds or None in bounds:
        return ""
    return " to ".join(map(_figure, bounds))
