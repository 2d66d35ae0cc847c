"""`everloop serve`: the prediction service alone, in the foreground, and who may ask it."""

from datetime import UTC, datetime
from pathlib import Path

import click

from everloop.cli.common import common_options, emit, table
from everloop.cli.program import Program


@click.group("serve", invoke_without_command=True)
@click.option("--port", type=click.IntRange(0, 65535), help="Instead of the policy's port.")
@click.option("--workers", default="1", help="Processes that serve; `auto`: one a processor.")
@click.option("--open", "is_open", is_flag=True, help="Ask for no API keys, though there are some.")
@common_options
@click.pass_context
def command(
    context: click.Context,
    port: int | None,
    workers: str,
    path: Path,
    *,
    is_open: bool,
    as_json: bool,  # noqa: ARG001
) -> int | None:
    """Serve what the routes document names, without the loop.

    Once there are API keys (`serve keys add`), every request needs one.
    """
    if context.invoked_subcommand is not None:
        return None
    from everloop.errors import Conflict
    from everloop.rollout.service import address_file, live_service
    from everloop_runtime.main import main

    program: Program = context.obj
    project = program.open_project(path)
    layout, policy = project.layout, project.policy.serve
    running = live_service(layout)
    if running is not None:
        raise Conflict(f"a service for this project already answers at {running.url}")
    layout.processes.mkdir(parents=True, exist_ok=True)
    options = [
        *("--routes", str(layout.routes), "--bundles", str(layout.bundles)),
        *("--capture", str(layout.capture), "--address-file", str(address_file(layout))),
        *("--host", policy.host, "--port", str(policy.port if port is None else port)),
        *("--workers", workers),
    ]
    if layout.api_keys.is_file() and not is_open:
        options += ["--keys", str(layout.api_keys)]
    return main(options)


@command.group("keys")
def keys() -> None:
    """API keys: who may ask the service."""


@keys.command("add")
@click.argument("client")
@common_options
@click.pass_obj
def add(program: Program, client: str, path: Path, *, as_json: bool) -> None:
    """Make a key for CLIENT. It is shown once; only its hash is kept.

    A service that was started before there were keys asks for them from its next start on.
    """
    from everloop.rollout.service import keep_own_key
    from everloop_runtime.keys import add_key

    layout = program.open_project(path).layout
    now = program.clock().timestamp()
    key = add_key(layout.api_keys, client, now)
    keep_own_key(layout, now)
    if as_json:
        emit({"client": client, "key": key})
        return
    click.echo(key)
    click.echo("It is not shown again. Clients send it as `Authorization: Bearer KEY`.", err=True)


@keys.command("list")
@common_options
@click.pass_obj
def show(program: Program, path: Path, *, as_json: bool) -> None:
    """List whose keys there are."""
    from everloop_runtime.keys import read_keys

    found = read_keys(program.open_project(path).layout.api_keys)
    if as_json:
        emit([{"client": k.client, "made_at": k.made_at, "revoked_at": k.revoked_at}
              for k in found])  # fmt: skip
        return
    rows = [(k.client, _told(k.made_at), _told(k.revoked_at), k.sha256[:8]) for k in found]
    table(("client", "made", "revoked", "hash"), rows)


def _told(moment: float | None) -> str:
    return "-" if moment is None else f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M}"


@keys.command("revoke")
@click.argument("client")
@common_options
@click.pass_obj
def revoke(program: Program, client: str, path: Path, *, as_json: bool) -> None:
    """Revoke all keys of CLIENT; a running service takes it up at once."""
    from everloop_runtime.keys import revoke_key

    layout = program.open_project(path).layout
    number = revoke_key(layout.api_keys, client, program.clock().timestamp())
    emit({"client": client, "revoked": number}) if as_json else click.echo(f"{number} revoked")
