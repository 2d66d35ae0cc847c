"""`everloop data exclude` and `everloop data include`: what snapshots leave out."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from everloop.cli.common import by_option, common_options, emit, find_sample, show, table
from everloop.cli.program import Program
from everloop.errors import Refused
from everloop.ids import Json, SampleId

if TYPE_CHECKING:
    from everloop.data.store import DataStore


@click.command("exclude")
@click.argument("samples", nargs=-1)
@click.option("--reason", default="", help="Why they are left out; it is pinned with snapshots.")
@common_options
@by_option
@click.pass_obj
def exclude(
    program: Program, samples: tuple[str, ...], reason: str, path: Path, by: str, *, as_json: bool
) -> None:
    """Leave SAMPLES (ids, or how they begin) out of every later snapshot; without any, list what
    is left out now.
    """
    data = program.open_project(path).data
    if not samples:
        current = data.exclusions.current()
        if as_json:
            emit({str(name): why for name, why in current.items()})
        else:
            table(("sample", "reason"), list(current.items()))
        return
    if not reason:
        raise Refused("a reason is wanted: everloop data exclude SAMPLE --reason 'blurred'")
    count = data.exclusions.leave_out(_found(data, samples), reason, by=by, now=program.clock())
    told: dict[str, Json] = {"left out": count}
    emit(told) if as_json else show(told)


@click.command("include")
@click.argument("samples", nargs=-1, required=True)
@common_options
@by_option
@click.pass_obj
def include(
    program: Program, samples: tuple[str, ...], path: Path, by: str, *, as_json: bool
) -> None:
    """Let SAMPLES that were left out into later snapshots again."""
    data = program.open_project(path).data
    count = data.exclusions.take_back(_found(data, samples), by=by, now=program.clock())
    told: dict[str, Json] = {"let in again": count}
    emit(told) if as_json else show(told)


def _found(data: "DataStore", samples: tuple[str, ...]) -> list[SampleId]:
    return [find_sample(data, sample) for sample in samples]
