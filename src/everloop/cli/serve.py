"""`everloop serve`: the prediction service alone, in the foreground."""

from pathlib import Path

import click

from everloop.cli.common import common_options
from everloop.cli.program import Program


@click.command("serve")
@click.option("--port", type=click.IntRange(0, 65535), help="Instead of the policy's port.")
@common_options
@click.pass_obj
def command(program: Program, port: int | None, path: Path, *, as_json: bool) -> int:  # noqa: ARG001
    """Serve what the routes document names, without the loop."""
    from everloop.errors import Conflict
    from everloop.rollout.service import address_file, live_service, trust_options
    from everloop_runtime.main import main

    project = program.open_project(path)
    layout, policy = project.layout, project.policy.serve
    running = live_service(layout)
    if running is not None:
        raise Conflict(f"a service for this project already answers at {running.url}")
    layout.processes.mkdir(parents=True, exist_ok=True)
    return main(
        [
            *("--routes", str(layout.routes), "--bundles", str(layout.bundles)),
            *("--capture", str(layout.capture), "--address-file", str(address_file(layout))),
            *trust_options(project.policy.bundle),
            *("--host", policy.host, "--port", str(policy.port if port is None else port)),
        ]
    )
