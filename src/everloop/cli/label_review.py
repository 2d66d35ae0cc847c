"""`everloop label conflicts`, `resolve`, `history` and `undo`: an adjudicator's commands."""

from pathlib import Path

import click

from everloop.cli.common import by_option, common_options, emit, find_sample, show, table
from everloop.cli.program import Program
from everloop.ids import Json


@click.command("conflicts")
@common_options
@click.pass_obj
def conflicts(program: Program, path: Path, *, as_json: bool) -> None:
    """List the samples on which people disagree; no snapshot takes them until somebody decides."""
    from everloop.loop.review import disputed

    found = disputed(program.open_project(path))
    if as_json:
        emit(
            [
                {
                    "sample": each.sample,
                    "round": each.round,
                    "answers": [{"by": g.by, "label": g.label, "at": g.at.isoformat()}
                                for g in each.answers],
                }
                for each in found
            ]
        )  # fmt: skip
        return
    if not found:
        click.echo("Nobody disagrees about a label.")
        return
    table(
        ("sample", "answers"),
        [(e.sample[:12], "\n".join(f"{g.label} ({g.by})" for g in e.answers)) for e in found],
    )


@click.command("resolve")
@click.argument("sample")
@click.argument("label")
@click.option("--comment", default="", help="Why, for the record.")
@common_options
@by_option
@click.pass_obj
def resolve(
    program: Program, sample: str, label: str, comment: str, path: Path, by: str, *, as_json: bool
) -> None:
    """Decide that the label of SAMPLE (an id, or how it begins) is LABEL.

    LABEL is written as for `label answer`. It stands above what anybody said before.
    """
    from everloop.loop.review import decide

    project = program.open_project(path)
    found = find_sample(project.data, sample)
    made = decide(project, found, label, by=by, comment=comment, now=program.clock())
    noted: dict[str, Json] = {"sample": found, "label": made.label, "why": made.why}
    project.audit.append("decide a label", by, noted, made.at)
    emit(noted) if as_json else click.echo(f"Sample {found[:8]} is {made.label}, says {by}.")


@click.command("history")
@click.argument("sample")
@common_options
@click.pass_obj
def history(program: Program, sample: str, path: Path, *, as_json: bool) -> None:
    """Show everything that was ever said of SAMPLE, oldest first; what stands is marked."""
    from everloop.loop.review import history as told_of

    project = program.open_project(path)
    events = told_of(project, find_sample(project.data, sample))
    if as_json:
        emit([event.as_json() for event in events])
        return
    table(
        ("when", "label", "by", "kind", "told", ""),
        [
            (
                event.at.isoformat()[:19],
                event.label or "-",
                event.by,
                event.kind,
                event.told,
                "stands" if event.stands else "",
            )
            for event in events
        ],
    )


@click.command("undo")
@click.argument("sample")
@common_options
@by_option
@click.pass_obj
def undo(program: Program, sample: str, path: Path, by: str, *, as_json: bool) -> None:
    """Give SAMPLE the label it had before its present one; nothing leaves its history.

    Undoing once more gives the other one again.
    """
    from everloop.loop.review import undo as go_back

    project = program.open_project(path)
    found = find_sample(project.data, sample)
    made = go_back(project, found, by=by, now=program.clock())
    told: dict[str, Json] = {"sample": found, "label": made.label}
    project.audit.append("undo a label", by, told, made.at)
    emit(told) if as_json else show(told)


COMMANDS = (conflicts, resolve, history, undo)
