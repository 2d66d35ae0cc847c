"""`everloop deploy`: make a verified bundle the champion."""

from pathlib import Path

import click

from everloop.cli.common import by_option, common_options, emit, find_bundle, working
from everloop.cli.program import Program
from everloop.ids import Json


@click.command("deploy")
@click.argument("bundle", required=False)
@click.option(
    "--strategy",
    type=click.Choice(["at-once", "canary", "shadow-then-canary", "blue-green"]),
    default="at-once",
    show_default=True,
    help="How traffic moves to it; at-once makes it the champion now.",
)
@common_options
@by_option
@click.pass_obj
def command(
    program: Program, bundle: str | None, strategy: str, path: Path, by: str, *, as_json: bool
) -> None:
    """Deploy BUNDLE, which must have passed its gates, been approved and verified.

    With a strategy other than at-once the loop rolls it out step by step, judges each step, and
    sends it back when it breaches.
    """
    from everloop.loop.single import ask_loop

    project = program.open_project(path)
    named: dict[str, Json] = {"bundle": find_bundle(project, bundle)}
    if strategy != "at-once":
        named["strategy"] = strategy
    with working("waiting for the loop"):
        answer = ask_loop(project, "deploy", named, by=by, clock=program.clock)
    emit({**named, "answer": answer}) if as_json else click.echo(answer)
