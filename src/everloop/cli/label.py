"""`everloop label`: take, answer, judge and review label tasks."""

from pathlib import Path

import click

from everloop.cli import label_hook, label_quality, label_review, label_sync
from everloop.cli.common import by_option, common_options, emit, show
from everloop.cli.program import Program
from everloop.errors import Refused
from everloop.ids import Json, LabelTaskId


@click.group("label")
def command() -> None:
    """Take and answer label tasks; judge who answers; review what people disagree about."""


_FURTHER = (label_quality, label_review, label_sync, label_hook)
for each in (named for module in _FURTHER for named in module.COMMANDS):
    command.add_command(each)


@command.command("next")
@click.option("--image", type=click.Path(path_type=Path), help="Write the picture to this file.")
@common_options
@by_option
@click.pass_obj
def take(program: Program, image: Path | None, path: Path, by: str, *, as_json: bool) -> None:
    """Take the next task; it is yours until its lease ends.

    The picture is the rendition that the privacy policy allows, never the original.
    """
    from everloop.privacy.render import in_format

    project = program.open_project(path)
    task = project.queue.next(by, program.clock(), project.policy.labelling.lease)
    if task is None:
        closed = project.rules.closed
        why = "No task waits." if closed is None else f"The privacy gate is closed: {closed}"
        emit(None) if as_json else click.echo(why)
        return
    if image is not None:
        image.write_bytes(in_format(project.data.renditions.read(task.cleared.rendition), image))
    told = {
        "task": task.id,
        "sample": task.sample,
        "rendition": task.cleared.rendition,
        "privacy": task.cleared.version,
        "suggestion": task.suggestion,
        "confidence": task.suggestion_confidence,
        "classes": list(project.declaration.task.classes),
        "widget": getattr(project.declaration.task, "widget", None),
    }
    emit(told) if as_json else show(told)


@command.command("answer")
@click.argument("task")
@click.argument("label")
@common_options
@by_option
@click.pass_obj
def answer(program: Program, task: str, label: str, path: Path, by: str, *, as_json: bool) -> None:
    """Answer TASK with LABEL; it is saved when this returns.

    LABEL is a class, or the JSON of what else is learnt: '{"classes": ["cat", "dog"]}',
    '{"value": 12.5}', '{"boxes": [["cell", 10, 20, 60, 80]]}' in pixels.
    """
    from everloop.labels import decode, encode

    project = program.open_project(path)
    given = decode(label)
    if why := project.declaration.task.accepts(given):
        raise Refused(why)
    label = encode(given)
    project.queue.answer(LabelTaskId(task), label, by, program.clock())
    emit({"task": task, "label": label}) if as_json else click.echo("Saved.")


@command.command("ask")
@click.option("--budget", type=click.IntRange(1), help="How many tasks; [labelling] budget else.")
@common_options
@by_option
@click.pass_obj
def ask(program: Program, budget: int | None, path: Path, by: str, *, as_json: bool) -> None:
    """Open a round of label tasks now, chosen as the policy says.

    Of what the live model answered; before there is one, of all that has no label.
    """
    from everloop.loop import kinds
    from everloop.loop.single import run_action

    project = program.open_project(path)
    budget, champion = (
        budget or project.policy.labelling.budget,
        project.releases.current().champion,
    )
    if champion is None:
        action = kinds.begin(project.data.labelled_counts().version, budget)
    else:
        asked = f"{by} {program.clock().isoformat()}"
        action = kinds.select_on_request(champion, budget, asked)
    outcome = run_action(project, action, by=by, clock=program.clock)
    if outcome.error:
        raise Refused(outcome.error)
    emit(dict(outcome.result)) if as_json else show(dict(outcome.result))


@command.command("status")
@common_options
@click.pass_obj
def status(program: Program, path: Path, *, as_json: bool) -> None:
    """How many tasks there are of each state, and what those drawn at random say.

    A share of every round is drawn at random ([labelling] random_share, holdout_share), so how
    often people agree with the live model there is true of all that it answers.
    """
    from everloop.evaluation.intervals import wilson
    from everloop.labelling.agreement import agreeing

    project = program.open_project(path)
    champion = project.releases.current().champion
    said = () if champion is None else project.queue.drawn_at_random(champion)
    answered, right = len(said), agreeing(said, project.policy.labelling.same_object)
    low, high = wilson(right, answered)
    told: dict[str, Json] = {
        "strategy": project.policy.labelling.strategy,
        "tasks": dict(project.queue.counts()),
        "drawn_at_random": {"answered": answered, "right": right},
        "accuracy_between": [round(low, 3), round(high, 3)] if answered else None,
    }
    emit(told) if as_json else show(told)


@command.command("export")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--most", type=click.IntRange(1), default=1000, show_default=True)
@common_options
@click.pass_obj
def export(program: Program, folder: Path, most: int, path: Path, *, as_json: bool) -> None:
    """Write the pictures of open label tasks, as their privacy policy allows, to FOLDER.

    Beside them tasks.csv names each task with its picture and the label that is offered.
    """
    from everloop.labelling.export import export_tasks

    project = program.open_project(path)
    if project.rules.version is None:
        raise Refused(f"the privacy gate is closed: {project.rules.closed}")
    tasks = project.queue.shown(most)
    export_tasks(tasks, project.data.renditions, folder)
    told: dict[str, Json] = {"folder": str(folder), "tasks": len(tasks)}
    emit(told) if as_json else click.echo(f"{len(tasks)} tasks written to {folder}.")
