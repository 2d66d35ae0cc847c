"""`everloop models`: list, show, compare and approve models, their cards and checklists."""

from collections.abc import Mapping
from pathlib import Path

import click

from everloop.cli.common import by_option, common_options, emit, find_bundle, show, table
from everloop.cli.program import Program
from everloop.errors import Refused


@click.group("models")
def command() -> None:
    """List, show, compare and approve models; their cards and checklists."""


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
    """Compare SECOND with FIRST: what differs, and what chance would do too.

    Where both were measured on one hold-out (everloop evaluate does that), each difference comes
    with its 95% interval, by the paired bootstrap.
    """
    from everloop.loop.models import compared, judged_model

    project = program.open_project(path)
    one = judged_model(project, find_bundle(project, first))
    two = judged_model(project, find_bundle(project, second))
    found = compared(project, one, two)
    if as_json:
        told = {"first": one.as_json(), "second": two.as_json()}
        emit({**told, "comparison": None if found is None else found.as_json()})
        return
    if found is None:
        click.echo(
            "Note: they were measured on hold-outs of different snapshots, so chance cannot be "
            f"told apart; everloop evaluate {one.bundle[:8]} --snapshot {two.snapshot[:8]} "
            "mends that."
        )
    table(
        ("metric", one.bundle[:8], two.bundle[:8], "difference", "95% interval", "told"),
        found.rows() if found is not None else _plainly(one.metrics, two.metrics),
    )
    if found is not None:
        click.echo(found.summary)


def _plainly(one: Mapping[str, float], two: Mapping[str, float]) -> list[tuple[str, ...]]:
    nothing = float("nan")
    rows = [(n, one.get(n, nothing), two.get(n, nothing)) for n in sorted({*one, *two})]
    return [(n, f"{a:.4f}", f"{b:.4f}", f"{b - a:+.4f}", "-", "-") for n, a, b in rows]


@command.command("card")
@click.argument("bundle", required=False)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="To this file (.md or .html)."
)
@common_options
@click.pass_obj
def card(
    program: Program, bundle: str | None, out: Path | None, path: Path, *, as_json: bool
) -> None:
    """Write the card of BUNDLE (the newest by default) as it is now, and say where it lies."""
    from everloop.loop.cards import write_card

    project = program.open_project(path)
    found = find_bundle(project, bundle)
    write_card(project, found)
    places = {kind: project.layout.cards / f"{found}.{kind}" for kind in ("md", "html")}
    if out is not None:
        kind = out.suffix.lstrip(".").lower()
        if kind not in places:
            raise Refused(f"a card is written as .md or .html; got {out.name}")
        out.write_bytes(places[kind].read_bytes())
        places = {kind: out}
    if as_json:
        emit({"bundle": found, **{kind: str(place) for kind, place in places.items()}})
        return
    for place in places.values():
        click.echo(str(place))


@command.command("checklist")
@click.argument("bundle", required=False)
@click.option(
    "--answer",
    "answers",
    multiple=True,
    metavar="NAME=yes|no|not-applicable",
    help="Answer a question; may be repeated.",
)
@click.option("--comment", default="", help="What there is to say of these answers.")
@common_options
@by_option
@click.pass_obj
def checklist(
    program: Program,
    bundle: str | None,
    answers: tuple[str, ...],
    comment: str,
    path: Path,
    by: str,
    *,
    as_json: bool,
) -> None:
    """Show the questions to be answered of BUNDLE before it is approved, or answer some.

    Answers are signed with --by and kept; the latest to a question stands.
    """
    from everloop.loop.checklist import answer, asked

    project = program.open_project(path)
    found = find_bundle(project, bundle)
    if answers:
        answer(project, found, answers, comment=comment, by=by, now=program.clock())
    lines = asked(project, found)
    if as_json:
        emit({"bundle": found, "questions": [line.as_json() for line in lines]})
        return
    if not lines:
        click.echo("The policy asks nothing; [approval] checklist in everloop.toml does.")
        return
    table(
        ("name", "question", "answer", "comment", "by"),
        [(line.name, line.question, line.answer or "-", line.comment, line.by) for line in lines],
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
    from everloop.loop.checklist import check_answered
    from everloop.loop.four_eyes import lacking

    project = program.open_project(path)
    bundle_id = find_bundle(project, bundle)
    if approved:
        check_answered(project, bundle_id)
    project.decisions.record(
        bundle_id, approved=approved, by=by, comment=comment, now=program.clock()
    )
    what = "approved" if approved else "rejected"
    lacks = lacking(project, bundle_id)
    if as_json:
        emit({"bundle": bundle_id, "decision": what, "lacks": lacks})
        return
    click.echo(f"Bundle {bundle_id[:8]} is {what} by {by}.")
    if lacks is not None:
        click.echo(f"That is not enough: {lacks}.")
