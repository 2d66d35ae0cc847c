"""`everloop monitor`: what the signals say of the live model."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from everloop.cli.common import common_options, emit, named_bundle, show, table
from everloop.cli.program import Program
from everloop.errors import Refused
from everloop.ids import Json

if TYPE_CHECKING:
    from everloop.monitoring.finding import Finding


@click.command("monitor")
@click.argument("bundle", default="champion")
@click.option("--period", help="Over the time until now, such as 30m, 24h or 7d, from sketches.")
@common_options
@click.pass_obj
def command(
    program: Program, bundle: str, period: str | None, path: Path, *, as_json: bool
) -> None:
    """What each signal says of the answers of BUNDLE (the champion by default).

    Without --period of the windows that the loop judged last.
    """
    from everloop.loop.signals import over, standing

    project = program.open_project(path)
    named = named_bundle(project, bundle)
    told: dict[str, Json]
    findings: Sequence[Finding]
    if period is None:
        now = standing(project, named)
        told = {
            "bundle": named,
            "window": now.window,
            "summary": now.summary,
            "since that window": now.running,
            "which show": None if now.early is None else
            f"drift after {now.early.answers}: {now.early.drift.feature}",
        }  # fmt: skip
        findings = now.findings
    else:
        seen = over(project, named, program.clock(), _length(period))
        told = {
            "bundle": named,
            "period": period,
            "answers": seen.answers,
            "first": None if seen.first is None else seen.first.isoformat(),
            "last": None if seen.last is None else seen.last.isoformat(),
            "sketches": seen.sketches,
        }
        findings = seen.findings
    if as_json:
        emit({**told, "findings": [finding.as_json() for finding in findings]})
        return
    show(told)
    columns = ("signal", "level", "since", "what", "worst in", "likely cause", "do")
    table(columns, [_row(f) for f in findings])
    for finding in findings:
        if finding.level != "calm" and finding.samples:
            shown = " ".join(sample[:12] for sample in finding.samples)
            click.echo(f"Most telling for {finding.name}: {shown}")


def _row(finding: "Finding") -> tuple[str, ...]:
    since = "" if finding.since is None else f"{finding.since:%Y-%m-%d %H:%M}"
    told = (finding.name, finding.level, since, finding.summary)
    return (*told, finding.slice or "", finding.cause or "", finding.action or "")


def _length(period: str) -> timedelta:
    from everloop.policy import read_duration

    try:
        return read_duration(period)
    except ValueError as error:
        raise Refused(f"--period {period}: {error}") from error
