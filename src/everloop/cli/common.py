"""What several commands share: the project option, and printing for people or programs."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from everloop.errors import Refused
from everloop.ids import BundleId, Json, SampleId, SnapshotId

if TYPE_CHECKING:
    from everloop.cli.program import Program
    from everloop.data.store import DataStore
    from everloop.loop.project import Project

_F = TypeVar("_F", bound=Callable[..., Any])


def common_options(function: _F) -> _F:
    """Add `--project` and `--json` to a command."""
    function = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(
        function
    )
    return click.option(
        "--project",
        "-C",
        "path",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path(),
        help="The project's folder; the present one by default.",
    )(function)


def by_option(function: _F) -> _F:
    """Add `--by`: who acts, for the record."""
    return click.option(
        "--by", default="operator", show_default=True, help="Who you are, for the record."
    )(function)


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show on a terminal that something is under way, and for how long; nothing elsewhere."""
    with watching(what):
        yield


def _unseen(_what: str) -> None:
    """Nobody looks."""


@contextmanager
def watching(what: str) -> Iterator[Callable[[str], None]]:
    """The same, where what is under way changes: tell it to what is yielded."""
    if not sys.stderr.isatty():
        yield _unseen
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    text = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), text, TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda now: progress.update(task, description=now)


class Count(Protocol):
    """Told how many are done, and of how many once that is known."""

    def __call__(self, done: int, of: int | None = None, /) -> None: ...


def _nothing(_done: int, _of: int | None = None, /) -> None:
    """Nobody looks."""


@contextmanager
def counting(what: str, total: int | None) -> Iterator[Count]:
    """Show on a terminal how far something is, its rate and the time left; nothing elsewhere.

    What is yielded is to be told.
    """
    if not sys.stderr.isatty():
        yield _nothing
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(show_speed=True),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)

        def count(done: int, of: int | None = None, /) -> None:
            progress.update(task, completed=done, total=of or total)

        yield count


def emit(value: Json) -> None:
    """Print JSON, indented and with keys in their order."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table for people; cell text is shown as it is, never as markup."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(show_header=any(columns), header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(_printable(cell)) for cell in row))
    Console().print(grid)


def _printable(cell: object) -> str:
    return "".join(
        c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in str(cell)
    )


def show(value: Mapping[str, Json]) -> None:
    """Print names and values, one a line."""
    table(("", ""), [(name, _plain(item)) for name, item in value.items()])


def _plain(item: Json) -> str:
    if item is None:
        return "-"
    if isinstance(item, bool):
        return "yes" if item else "no"
    if isinstance(item, float):
        return f"{item:.4g}"
    if isinstance(item, Mapping):
        return "\n".join(f"{name}: {_plain(value)}" for name, value in item.items())
    if isinstance(item, Sequence) and not isinstance(item, str):
        return "\n".join(map(_plain, item))
    return str(item)


def pin_snapshot(program: "Program", project: "Project", version: str, by: str) -> SnapshotId:
    """A snapshot of the data set with labels of `version`; `Refused` with why there is none."""
    from everloop.loop import kinds
    from everloop.loop.single import run_action

    with working("taking a snapshot"):
        pin = kinds.snapshot(project.policy, version)
        taken = run_action(project, pin, by=by, clock=program.clock)
    if taken.error:
        raise Refused(taken.error)
    return SnapshotId(str(taken.result["snapshot"]))


def find_bundle(project: "Project", prefix: str | None) -> BundleId:
    """The one bundle whose id begins with `prefix`; the newest when it is None."""
    folder = project.layout.bundles
    found = (
        sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime) if folder.is_dir() else []
    )
    names = [path.name for path in found if not path.name.startswith(".")]
    if prefix is None:
        if not names:
            raise Refused("there is no bundle yet; everloop train makes one")
        return BundleId(names[-1])
    matching = [name for name in names if name.startswith(prefix)]
    if len(matching) != 1:
        told = ", ".join(name[:8] for name in names) or "none"
        raise Refused(f"{len(matching)} bundles begin with {prefix!r}; there are: {told}")
    return BundleId(matching[0])


def named_bundle(project: "Project", named: str) -> BundleId:
    """The bundle a person named: `champion`, or an id or how it begins."""
    if named != "champion":
        return find_bundle(project, named)
    champion = project.releases.current().champion
    if champion is None:
        raise Refused("there is no champion yet; everloop models list tells what there is")
    return champion


def find_sample(data: "DataStore", prefix: str) -> SampleId:
    """The one sample whose id begins with `prefix`; `Refused` for none and for several."""
    found = data.samples.beginning(prefix) if prefix else ()
    if len(found) == 1:
        return found[0]
    if not found:
        raise Refused(f"no sample's id begins with {prefix!r}; everloop data check names samples")
    told = ", ".join(name[: len(prefix) + 8] for name in found[:3])
    raise Refused(f"{len(found)} samples begin with {prefix!r}: {told}; give more of the id")
