"""`everloop feedback`: tell what became known of answers."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from everloop.cli.common import common_options, counting, emit, table
from everloop.cli.program import Program
from everloop.errors import Refused, Unavailable
from everloop.ids import Json

if TYPE_CHECKING:
    from everloop.data.feedback_files import Line
    from everloop_runtime.client import Client

_AT_ONCE = 500
"""Statements of one request."""
_TOLD = 20


@click.command("feedback")
@click.argument("prediction", required=False)
@click.argument("value", required=False)
@click.option(
    "--kind",
    type=click.Choice(["label", "correction", "event"]),
    default="label",
    show_default=True,
    help="A true label, a person's correction, or a business event.",
)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file of JSON lines, or CSV, with prediction_id, kind and value.",
)
@common_options
@click.pass_obj
def command(
    program: Program,
    prediction: str | None,
    value: str | None,
    kind: str,
    source: Path | None,
    path: Path,
    *,
    as_json: bool,
) -> None:
    """Tell the live service VALUE, which became known of the answer PREDICTION.

    An event's VALUE is a name, or JSON with figures: '{"basket": 12.5}'. With --from FILE many
    are told; what is refused is listed with its line, and the rest is kept.
    """
    from everloop.data.feedback_files import line_of, read_lines, value_of

    if source is not None and prediction is None:
        lines: Iterator[Line] = read_lines(source)
    elif source is None and prediction is not None and value is not None:
        lines = iter([line_of(1, prediction, kind, value_of(kind, value))])
    else:
        raise click.UsageError("either PREDICTION and VALUE, or --from FILE")
    accepted, refused = _tell(program, path, lines)
    told: dict[str, Json] = {
        "accepted": accepted,
        "refused": [{"line": number, "reason": reason} for number, reason in refused],
    }
    if as_json:
        emit(told)
    else:
        _show(accepted, refused)
    if refused:
        raise Refused(f"{len(refused)} of {accepted + len(refused)} statements were refused")


def _tell(
    program: Program, path: Path, lines: "Iterator[Line]"
) -> tuple[int, list[tuple[int, str]]]:
    """How many statements the service keeps, and why it does not keep which line."""
    from everloop.rollout.service import live_service

    address = live_service(program.open_project(path).layout)
    if address is None:
        raise Unavailable("no service runs for this project; everloop up starts it")
    accepted, refused, some = 0, list[tuple[int, str]](), list["Line"]()
    with address.client(timeout=30.0) as client, counting("statements", None) as count:
        for line in lines:
            some.append(line)
            if len(some) == _AT_ONCE:
                refused += _told(client, some)
                accepted += len(some)
                count(accepted)
                some = []
        refused += _told(client, some)
        accepted += len(some)
        count(accepted)
    return accepted - len(refused), refused


def _told(client: "Client", some: "list[Line]") -> list[tuple[int, str]]:
    """Those of the lines that are refused, and why, in the order of the file."""
    refused = [(line.number, line.trouble) for line in some if line.trouble is not None]
    good = [(line.number, line.said) for line in some if line.said is not None]
    answers = client.feedback_many([said for _, said in good], batch=_AT_ONCE)
    for (number, _), error in zip(good, answers, strict=True):
        if error is not None:
            refused.append((number, str(error)))
    return sorted(refused)


def _show(accepted: int, refused: list[tuple[int, str]]) -> None:
    click.echo(f"{accepted} kept, {len(refused)} refused")
    if refused:
        table(("line", "why"), refused[:_TOLD])
    if len(refused) > _TOLD:
        click.echo(f"... and {len(refused) - _TOLD} more; --json tells all")
