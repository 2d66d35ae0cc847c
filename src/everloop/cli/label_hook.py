"""`everloop label hook`: have the labelling tool call when somebody answered there."""

from datetime import timedelta
from pathlib import Path

import click

from everloop.cli.common import by_option, common_options, emit, show
from everloop.cli.program import Program
from everloop.errors import Refused
from everloop.ids import Json


@click.command("hook")
@click.option(
    "--address", help="The pages as the labelling tool reaches them: https://HOST[:PORT]."
)
@click.option("--days", type=click.IntRange(1, 365), default=365, show_default=True)
@click.option("--off", is_flag=True, help="Have it call no more.")
@common_options
@by_option
@click.pass_obj
def hook(
    program: Program, address: str | None, days: int, path: Path, by: str, *, off: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Have the labelling tool call the pages when somebody answered there.

    It shows a token of its own, of which only the hash is kept: with it one may say that there is
    something to pull, and nothing else. Earlier ones are void. What is missed while the pages are
    down comes with the next call, or with everloop label sync.
    """
    from everloop.loop.label_hook import begin_calls, end_calls

    project = program.open_project(path)
    if program.label_backend is None:
        raise Refused("this program was put together without labelling tools")
    if off == (address is not None):
        raise Refused("name the pages' --address, or say --off")
    backend, now = program.label_backend(project), program.clock()
    if address is None:
        removed, void = end_calls(project, backend, by=by, now=now)
        told: dict[str, Json] = {"removed": removed, "void_tokens": void}
    else:
        lasts = timedelta(days=days)
        made = begin_calls(project, backend, address, lasts, by=by, now=now)
        told = {"calls": address, "token": made.id, "until": made.expires_at.isoformat()}
    emit(told) if as_json else show(told)


COMMANDS = (hook,)
