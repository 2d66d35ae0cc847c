"""`everloop report`: what happened, what the loop did and why, what needs a person."""

from datetime import timedelta
from pathlib import Path

import click

from everloop.cli.common import common_options, emit, working
from everloop.cli.program import Program
from everloop.errors import Refused
from everloop.ids import Json


@click.command("report")
@click.option("--last", default="1d", show_default=True, help="The period up to now: 12h, 7d.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("report.html"),
              show_default=True, help="The HTML file, which needs nothing else.")  # fmt: skip
@click.option("--pdf", type=click.Path(path_type=Path), help="The same as PDF; needs Chromium.")
@common_options
@click.pass_obj
def command(
    program: Program, last: str, out: Path, pdf: Path | None, path: Path, *, as_json: bool
) -> None:
    """Write a report of the time up to now; the loop writes one each day by itself."""
    from everloop.evaluation.cards.page import page
    from everloop.loop.daily import Period, daily, words
    from everloop.policy import read_duration
    from everloop_runtime.files import write_atomic

    try:
        length: timedelta = read_duration(last)
    except ValueError as error:
        raise Refused(f"--last {last}: {error}") from error
    project, now = program.open_project(path), program.clock()
    card = daily(project, Period(now - length, now))
    write_atomic(out.absolute(), page(card).encode())
    told: dict[str, Json] = {"title": card.title, "html": str(out)}
    if pdf is not None:
        from everloop.adapters.chromium_pdf import print_pdf

        with working("printing"):
            print_pdf(out.absolute(), pdf.absolute())
        told["pdf"] = str(pdf)
    emit(told) if as_json else click.echo(f"{card.title}\n\n{words(card)}\n\nWritten: {out}")
