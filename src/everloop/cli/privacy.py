"""`everloop privacy`: what the filters do, what is held back, and how well they find."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from everloop.cli.common import by_option, common_options, emit, show, table, working
from everloop.cli.program import Program
from everloop.errors import Refused
from everloop.ids import Json, PolicyVersion

if TYPE_CHECKING:
    from everloop.loop.project import Project
    from everloop.state.clearances import Clearance


@click.group("privacy")
def command() -> None:
    """See what is filtered before labellers see it; check, release, measure."""


@command.command("status")
@common_options
@click.pass_obj
def status(program: Program, path: Path, *, as_json: bool) -> None:
    """Show the rules in force, and how many samples are cleared and held back."""
    project = program.open_project(path)
    rules = project.rules
    lines = [] if rules.version is None else project.clearances.list(rules.version)
    verdicts = [line.verdict for line in lines]
    told: dict[str, Json] = {
        "open": rules.version is not None,
        "closed": rules.closed,
        "version": rules.version,
        "filters": list(rules.policy.filters),
        "not_filtered": list(rules.warnings()),
        "moderated": project.declaration.moderates or bool(rules.policy.moderators),
        **{name: verdicts.count(name) for name in ("cleared", "held", "released")},
        "waiting_tasks": len(project.queue.uncleared()),
    }
    emit(told) if as_json else show(told)


@command.command("list")
@click.option("--all", "everything", is_flag=True, help="Cleared samples too.")
@common_options
@click.pass_obj
def list_held(program: Program, path: Path, *, everything: bool, as_json: bool) -> None:
    """List what is held back or was released under the policy in force, with the reasons."""
    project = program.open_project(path)
    lines = [
        line
        for line in project.clearances.list(_version(project))
        if everything or line.verdict != "cleared"
    ]
    if as_json:
        emit([_told(line) for line in lines])
        return
    if not lines:
        click.echo("Nothing is held back.")
        return
    table(
        ("sample", "verdict", "reason", "released"),
        [
            (
                line.sample[:12],
                line.verdict,
                line.reason or "",
                f"by {line.released_by}: {line.released_because}" if line.released_by else "",
            )
            for line in lines
        ],
    )


@command.command("release")
@click.argument("sample")
@click.option("--reason", required=True, help="Why labellers may see it, for the record.")
@common_options
@by_option
@click.pass_obj
def release(
    program: Program, sample: str, reason: str, path: Path, by: str, *, as_json: bool
) -> None:
    """Let labellers see SAMPLE (an id or how it begins), which is held back."""
    project = program.open_project(path)
    version = _version(project)
    found = [line for line in project.clearances.list(version) if line.sample.startswith(sample)]
    if len(found) > 1:
        raise Refused(f"{sample!r} fits {len(found)} samples; give more of the id")
    if not found:
        raise Refused(f"no sample {sample!r} was judged; everloop privacy list names those held")
    project.clearances.release(found[0].sample, version, by=by, because=reason, now=program.clock())
    told: dict[str, Json] = {"sample": found[0].sample, "released_by": by, "because": reason}
    emit(told) if as_json else click.echo("Released.")


@command.command("clear")
@common_options
@by_option
@click.pass_obj
def clear(program: Program, path: Path, by: str, *, as_json: bool) -> None:
    """Filter the samples of waiting label tasks now, under the policy in force."""
    from everloop.loop.arms.privacy import clear_waiting
    from everloop.loop.observe import observe
    from everloop.loop.single import run_action

    project = program.open_project(path)
    version = _version(project)
    world = observe(project, program.clock())
    action = clear_waiting(project.policy, world)
    if action is None:
        none: dict[str, Json] = {"open": 0, "held": 0}
        emit(none) if as_json else click.echo("No label task waits for the filters.")
        return
    with working(f"the filters of {version[:8]}"):
        outcome = run_action(project, action, by=by, clock=program.clock)
    if outcome.error:
        raise Refused(outcome.error)
    emit(outcome.result) if as_json else show(outcome.result)


@command.command("check")
@click.argument("image", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--image", "target", type=click.Path(path_type=Path), help="Write the rendition.")
@common_options
@click.pass_obj
def check(program: Program, image: Path, target: Path | None, path: Path, *, as_json: bool) -> None:
    """Show what the filters find in IMAGE, and write the rendition that labellers would get."""
    from everloop.ids import SampleId
    from everloop.privacy.render import in_format, make_renderer
    from everloop_runtime.ids import sample_id

    project = program.open_project(path)
    version = _version(project)
    try:
        original = image.read_bytes()
    except OSError as error:
        raise Refused(f"{image} cannot be read: {error.strerror}") from error
    with working("filtering"):
        render = make_renderer(project.rules.policy, project.limits)
        made = render(SampleId(sample_id(original)), original)
    if target is not None and made.data:
        target.write_bytes(in_format(made.data, target))
    regions: list[Json] = [asdict(region) for region in made.regions]
    told: dict[str, Json] = {
        "version": version,
        "held": made.held,
        "format": made.format,
        "size": [made.width, made.height],
        "regions": regions,
        "not_filtered": list(project.rules.warnings()),
    }
    if as_json:
        emit(told)
        return
    show({**told, "regions": len(regions)})
    table(
        ("found", "left", "top", "width", "height", "score"),
        [(r.kind, r.left, r.top, r.width, r.height, f"{r.score:.2f}") for r in made.regions],
    )


@command.command("measure")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@common_options
@click.pass_obj
def measure(program: Program, folder: Path, path: Path, *, as_json: bool) -> None:
    """Measure recall and precision on the pictures of FOLDER, whose regions you have marked.

    FOLDER holds the pictures and regions.csv (file, kind, left, top, width, height) or
    regions.json (COCO).
    """
    from everloop.privacy.measure import measure as run

    project = program.open_project(path)
    _version(project)
    with working("measuring"):
        figures = run(folder, project.rules.policy, project.limits)
    kinds: dict[str, Json] = {
        name: {"marked": kind.marked, "found": kind.found, "recall": kind.recall}
        for name, kind in sorted(figures.kinds.items())
    }
    told: dict[str, Json] = {
        "pictures": figures.pictures,
        "recall": figures.recall,
        "precision": figures.precision,
        "seconds_a_picture": figures.seconds / max(figures.pictures, 1),
        "kinds": kinds,
    }
    emit(told) if as_json else show(told)


def _version(project: "Project") -> PolicyVersion:
    if project.rules.version is None:
        raise Refused(f"the privacy gate is closed: {project.rules.closed}")
    return project.rules.version


def _told(line: "Clearance") -> dict[str, Json]:
    return {
        "sample": line.sample,
        "verdict": line.verdict,
        "reason": line.reason,
        "rendition": line.rendition,
        "version": line.version,
        "at": line.at.isoformat(),
        "released_by": line.released_by,
        "released_because": line.released_because,
    }
