"""`everloop label quality`, `doubts` and `campaign`: how good labels are, and asking again."""

import math
from pathlib import Path

import click

from everloop.cli.common import by_option, common_options, emit, show, table, working
from everloop.cli.program import Program
from everloop.errors import Refused
from everloop.ids import Json


@click.command("quality")
@click.option("--round", "round_name", help="Answers of this round alone.")
@common_options
@click.pass_obj
def quality(program: Program, round_name: str | None, path: Path, *, as_json: bool) -> None:
    """Show how far labellers agree, how they do on gold questions, and each one's score."""
    from everloop.loop.label_quality import quality_of

    project = program.open_project(path)
    found = quality_of(project, round_name)
    if as_json:
        emit(found.as_json())
        return
    if not found.answers:
        click.echo("Nobody has answered a label task yet; everloop label next gives one.")
        return
    asked = found.gold_asked
    show(
        {
            "answers": found.answers,
            "samples answered by several": found.overlapped,
            "of those disputed": found.disputed,
            "mean likeness": _plain(found.likeness),
            "Fleiss' kappa": f"{_plain(found.fleiss)} ({found.raters} people a sample)"
            if found.raters
            else "-",
            "gold questions right": f"{found.gold_right} of {asked}" if asked else "-",
        }
    )
    if found.pairs:
        table(
            ("pair", "samples", "agreed", "likeness", "Cohen's kappa"),
            [
                (f"{p.first}, {p.second}", p.samples, p.agreed, _plain(p.likeness), _plain(p.kappa))
                for p in found.pairs
            ],
        )
    table(
        (
            "labeller",
            "answers",
            "skipped",
            "right of checked",
            "score",
            "95%",
            "agrees with others",
        ),
        [
            (
                one.name,
                one.answers,
                one.skipped,
                f"{one.right} of {one.checked}" if one.checked else "-",
                _plain(one.score),
                f"{one.interval[0]:.2f} to {one.interval[1]:.2f}" if one.checked else "-",
                f"{one.agreed} of {one.shared}" if one.shared else "-",
            )
            for one in found.people
        ],
    )


def _plain(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"


@click.command("doubts")
@click.option("--training", is_flag=True, help="Look through the training samples first.")
@click.option("--most", type=click.IntRange(1), default=50, show_default=True, help="Show so many.")
@common_options
@click.pass_obj
def doubts(program: Program, path: Path, most: int, *, training: bool, as_json: bool) -> None:
    """List labels that are likely wrong, by confident learning, the likeliest first.

    Of the hold-out by the champion's answers, which never saw it; of training samples after
    --training, by folds over what the champion sees in them, which finds fewer.
    """
    from everloop.loop.label_doubts import look_through_training, suspected

    project = program.open_project(path)
    if training:
        with working("looking through the training samples"):
            look_through_training(project, program.clock())
    found = suspected(project)
    if as_json:
        told = found.as_json()
        emit({**told, "doubts": [doubt.as_json() for doubt in found.rows[:most]]})
        return
    if not found.rows:
        click.echo(
            "No label is in doubt."
            if found.bundle
            else "No bundle was evaluated yet, so nothing speaks against a label."
        )
        return
    for side, how in found.how.items():
        click.echo(f"{side}: {how}.")
    if found.share is not None:
        click.echo(f"About {found.share:.1%} of the hold-out's labels are wrong, by its estimate.")
    table(
        ("sample", "side", "label", "looks like", "margin"),
        [
            (
                d.sample[:12],
                d.side,
                d.given or "boxes",
                d.likely or "other boxes",
                f"{d.margin:.3f}",
            )
            for d in found.rows[:most]
        ],
    )


@click.command("campaign")
@click.argument("name", required=False)
@click.option("--snapshot", help="Begin one about samples of this snapshot (an id or a tag).")
@click.option("--label", "label", help="Only samples that had this label there.")
@click.option("--labelled-by", "said_by", help="Only those that this one had labelled.")
@click.option("--side", type=click.Choice(["train", "holdout"]), help="Only this side.")
@click.option("--most", type=click.IntRange(1), default=500, show_default=True)
@common_options
@by_option
@click.pass_obj
def campaign(
    program: Program,
    name: str | None,
    snapshot: str | None,
    label: str | None,
    said_by: str | None,
    side: str | None,
    most: int,
    path: Path,
    by: str,
    *,
    as_json: bool,
) -> None:
    """Ask people again about samples of an older snapshot; without --snapshot, tell how campaigns
    (or the one called NAME) are doing.

    Nothing is offered to them. What they answer stands from then on; the snapshot stays as it is.
    """
    from everloop.loop import kinds
    from everloop.loop.campaigns import campaigns, check_new
    from everloop.loop.single import run_action

    project = program.open_project(path)
    if snapshot is None:
        rows = [each for each in campaigns(project) if name in (None, each.campaign)]
        if name is not None and not rows:
            raise Refused(f"there is no campaign {name!r}; --snapshot begins one")
        emit([row.as_json() for row in rows]) if as_json else table(
            ("campaign", "snapshot", "open", "answered", "changed", "kappa with before"),
            [
                (r.campaign, r.snapshot[:8], r.tasks.get("open", 0), r.answered, r.changed,
                 _plain(r.kappa))
                for r in rows
            ],
        )  # fmt: skip
        return
    if not name or not name.isprintable() or len(name) > 60:
        raise Refused("give the campaign a name: everloop label campaign NAME --snapshot ID")
    which: dict[str, Json] = {
        column: value
        for column, value in (("label", label), ("by", said_by), ("side", side))
        if value is not None
    }
    taken = project.data.snapshots.find(snapshot)
    action = kinds.relabel(name, taken.id, which, most)
    check_new(project, action)
    with working("making the tasks"):
        done = run_action(project, action, by=by, clock=program.clock)
    if done.error:
        raise Refused(done.error)
    told: dict[str, Json] = {"campaign": name, "snapshot": taken.id, **done.result}
    emit(told) if as_json else show(told)


COMMANDS = (quality, doubts, campaign)
