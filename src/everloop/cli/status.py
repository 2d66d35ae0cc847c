"""`everloop status`: the loop at a glance."""

from pathlib import Path

import click

from everloop.cli.common import common_options, emit, show
from everloop.cli.program import Program
from everloop.ids import Json


@click.command("status")
@common_options
@click.pass_obj
def command(program: Program, path: Path, *, as_json: bool) -> None:
    """What is live, what is on its way, what waits for people."""
    from everloop.loop.experiments import shares_of
    from everloop.loop.observe import observe
    from everloop.loop.pursuit import pursue
    from everloop.rollout.service import live_service

    project = program.open_project(path)
    world = observe(project, program.clock())
    pursuit = pursue(project.policy, world)
    release, address = world.release, live_service(project.layout)
    canary = release.canary
    signal = world.latest("monitor")
    told: dict[str, Json] = {
        "product": project.declaration.product,
        "level": project.policy.level,
        "controller": project.leases.holder("controller"),
        "service": address.url if address else None,
        "champion": release.champion,
        "canary": None if canary is None else {"bundle": canary.bundle, "share": canary.share}
        if canary.mode == "canary"
        else {"bundle": canary.bundle, "share": canary.share, "mode": canary.mode},
        "experiment": None if release.experiment is None
        else {"name": release.experiment.name, "shares": shares_of(release.experiment)},
        "labels": {"train": world.labels.train, "holdout": world.labels.holdout},
        "answers": world.answers,
        "feedback": dict(project.data.feedback.counts()),
        "label_tasks": world.queue.open,
        "candidate": None if pursuit is None else f"{pursuit.name}: {pursuit.reason}",
        "signal": None if signal is None or signal.outcome is None
        else signal.outcome.result.get("summary"),
    }  # fmt: skip
    emit(told) if as_json else show(told)
