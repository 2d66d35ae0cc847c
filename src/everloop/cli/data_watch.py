"""`everloop data watch`: take in what is new in a source, as it comes."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from everloop.cli.common import by_option, common_options, emit, show
from everloop.cli.program import Program
from everloop.errors import Refused, Unavailable
from everloop.ids import Json

if TYPE_CHECKING:
    from everloop.action import Outcome


@click.command("watch")
@click.argument("source")
@click.option("--format", "format_name", help="How it is laid out; found out by default.")
@click.option(
    "--every", default=2.0, show_default=True, type=click.FloatRange(0.1), help="Seconds between."
)
@click.option("--once", is_flag=True, help="Look once, and end.")
@common_options
@by_option
@click.pass_obj
def watch(
    program: Program,
    source: str,
    format_name: str | None,
    every: float,
    path: Path,
    by: str,
    *,
    once: bool,
    as_json: bool,
) -> None:
    """Take in what is new in SOURCE since last time, until Ctrl-C.

    A folder is listed again only where it changed, and no file is opened that is known. The
    running loop does the same for the sources that the policy names.
    """
    from everloop.data.sources.opened import is_uri
    from everloop.loop import kinds
    from everloop.loop.single import run_action

    project = program.open_project(path)
    name = source if is_uri(source) else project.layout.source_name(Path(source))
    seen = None
    while True:
        try:
            now = project.listings.look(project.place(name))
            if now is None:
                raise Refused(f"{source} is not a folder, nor a file")
            if now.digest != seen:
                action = kinds.ingest(name, now.digest, format_name=format_name)
                _tell(run_action(project, action, by=by, clock=program.clock), as_json=as_json)
                seen = now.digest
        except Unavailable as error:
            # A bucket that does not answer now may at the next look.
            if once:
                raise
            click.echo(f"{error}; again in {every:g} s", err=True)
        if once:
            return
        time.sleep(every)


def _tell(outcome: "Outcome", *, as_json: bool) -> None:
    if outcome.error:
        raise Refused(outcome.error)
    told: dict[str, Json] = dict(outcome.result)
    emit(told) if as_json else show(told)
