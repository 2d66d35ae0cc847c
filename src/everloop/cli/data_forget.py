"""`everloop data forget`: remove samples for good, everywhere, and prove it."""

from pathlib import Path

import click

from everloop.cli.common import by_option, common_options, emit, show, working
from everloop.cli.program import Program
from everloop.ids import Json, SampleId


@click.command("forget")
@click.option("--sample", "samples", multiple=True, help="A sample's id; may be given many times.")
@click.option("--subject", help="Everything about this person or thing.")
@click.option(
    "--alone",
    is_flag=True,
    help="Nothing else writes now: remove unfinished writes too, however young.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@common_options
@by_option
@click.pass_obj
def forget(
    program: Program,
    samples: tuple[str, ...],
    subject: str | None,
    path: Path,
    by: str,
    *,
    alone: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove samples and all that is known of them from every version, for good.

    Prints the certificate: what was removed, which models had learnt from it, and the search of
    every file of the store that found nothing. It may be stopped at any time and asked again.
    """
    from everloop.loop.forget import Wanted
    from everloop.loop.forget import forget as take_out

    if bool(samples) == (subject is not None):
        raise click.UsageError("name either samples with --sample, or one --subject")
    project = program.open_project(path)
    if not yes and not as_json:
        click.confirm("This cannot be undone. Forget?", abort=True)
    wanted = Wanted(tuple(map(SampleId, samples)), subject)
    with working("forgetting, and searching every file"):
        done = take_out(project, wanted, by=by, now=program.clock(), alone=alone)
    entry = done.certificate
    told: dict[str, Json] = {
        "certificate": entry.number,
        "seal": entry.seal,
        "at": entry.at.isoformat(),
        "by": entry.by,
        **entry.told,
        "still in your sources": list(done.in_sources),
    }
    emit(told) if as_json else show(told)
