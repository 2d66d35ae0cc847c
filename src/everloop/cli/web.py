"""`everloop web`: the pages for people alone, in the foreground, and who may use them."""

from datetime import timedelta
from pathlib import Path

import click

from everloop.cli.common import by_option, common_options, emit, table
from everloop.cli.program import Program
from everloop.ids import Json


@click.group("web", invoke_without_command=True)
@click.option("--port", type=click.IntRange(0, 65535), help="Instead of the policy's port.")
@common_options
@click.pass_context
def command(context: click.Context, port: int | None, path: Path, *, as_json: bool) -> None:
    """Serve the pages until Ctrl-C, without the loop; `everloop up` starts them too."""
    if context.invoked_subcommand is not None:
        return
    program: Program = context.obj

    def ready(url: str) -> None:
        emit({"pages": url}) if as_json else click.echo(f"pages    {url}")

    program.serve_pages(path, port, ready)


@command.command("token")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["viewer", "labeller", "approver", "administrator"]),
    required=True,
    help="What they may do.",
)
@click.option("--days", type=click.IntRange(1, 365), default=30, show_default=True)
@common_options
@by_option
@click.pass_obj
def token(
    program: Program, name: str, role: str, days: int, path: Path, by: str, *, as_json: bool
) -> None:
    """Make a token with which NAME logs in. It is shown once; only its hash is kept."""
    from everloop.state.access import ROLES

    project = program.open_project(path)
    now = program.clock()
    chosen = next(known for known in ROLES if known == role)
    made, text = project.access.make(name, chosen, by=by, now=now, lasts=timedelta(days=days))
    told: dict[str, Json] = {"token": made.id, "name": made.name, "for_role": role, "days": days}
    project.audit.append("make a token", by, told, now)
    emit({"id": made.id, "name": made.name, "role": role, "token": text}) if as_json else (
        click.echo(text)
    )


@command.command("tokens")
@common_options
@click.pass_obj
def tokens(program: Program, path: Path, *, as_json: bool) -> None:
    """List tokens, newest first; what they are is known to their owners alone."""
    project = program.open_project(path)
    now, found = program.clock(), project.access.tokens()
    rows: list[dict[str, Json]] = [
        {
            "id": each.id,
            "name": each.name,
            "role": each.role,
            "made_by": each.made_by,
            "expires_at": each.expires_at.isoformat(),
            "good": each.is_good(now),
        }
        for each in found
    ]
    if as_json:
        emit(rows)
        return
    table(("token", "name", "role", "made by", "ends", "good"), [tuple(r.values()) for r in rows])


@command.command("revoke")
@click.argument("token")
@common_options
@by_option
@click.pass_obj
def revoke(program: Program, token: str, path: Path, by: str, *, as_json: bool) -> None:
    """Void TOKEN (its id, as `web tokens` lists it) and every session it opened."""
    project = program.open_project(path)
    now = program.clock()
    gone = project.access.revoke(token, now)
    project.audit.append("revoke a token", by, {"token": token, "name": gone.name}, now)
    emit({"revoked": token}) if as_json else click.echo(f"The token of {gone.name} is void.")
