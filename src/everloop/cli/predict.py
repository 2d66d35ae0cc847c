"""`everloop predict`: ask the live service about images, or answer many by a bundle itself."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from everloop.cli.common import common_options, emit, named_bundle, show, table, working
from everloop.cli.program import Program
from everloop.errors import Refused, Unavailable
from everloop.ids import Json

if TYPE_CHECKING:
    from everloop.batch.work import Runner
    from everloop.loop.project import Project
    from everloop_runtime.client import Prediction

_AT_ONCE = 32
"""Pictures of one request."""
_SHOWN = 5
"""Hits or boxes in a table's cell; --json tells all."""


@click.command("predict")
@click.argument("images", nargs=-1, type=click.Path(path_type=Path))
@click.option("--batch", "source", help="A folder, a list of files, `store` or `snapshot:ID`.")
@click.option("--out", type=click.Path(path_type=Path), help="FILE.parquet or FOLDER.lance.")
@click.option("--bundle", "named", default="champion", help="For --batch; the champion by default.")
@click.option("--workers", type=click.IntRange(1, 1024), help="Processes; one a core by default.")
@common_options
@click.pass_obj
def command(
    program: Program,
    images: tuple[Path, ...],
    source: str | None,
    out: Path | None,
    named: str,
    workers: int | None,
    path: Path,
    *,
    as_json: bool,
) -> None:
    """Ask the live service about each of IMAGES; a folder stands for all files in it.

    With --batch SOURCE --out FILE, answer every picture of SOURCE by a bundle itself, on all cores;
    killed and started again, it goes on where it was.
    """
    if source is not None and out is not None and not images:
        _batch(program, source, out, named, workers, path, as_json=as_json)
        return
    if source is not None or out is not None or not images:
        raise click.UsageError("either IMAGES, or --batch SOURCE with --out FILE")
    _ask(program, images, path, as_json=as_json)


def _ask(program: Program, images: tuple[Path, ...], path: Path, *, as_json: bool) -> None:
    from everloop.rollout.service import live_service

    missing = [str(image) for image in images if not image.exists()]
    if missing:
        raise Refused(f"no such file: {', '.join(missing)}")
    files = [file for image in images for file in _files(image)]
    address = live_service(program.open_project(path).layout)
    if address is None:
        raise Unavailable("no service runs for this project; everloop up starts it")
    answers: list[Prediction | Refused] = []
    with address.client(timeout=30.0) as client, _bar() as progress:
        for at in range(0, len(files), _AT_ONCE):
            some = [file.read_bytes() for file in files[at : at + _AT_ONCE]]
            answers += client.predict_many(some, batch=_AT_ONCE)
            progress(len(answers), len(files))
    _tell(files, answers, as_json=as_json)
    refused = sum(isinstance(answer, Refused) for answer in answers)
    if refused:
        raise Refused(f"{refused} of {len(files)} pictures were not answered; the table tells why")


def _files(image: Path) -> list[Path]:
    return sorted(p for p in image.rglob("*") if p.is_file()) if image.is_dir() else [image]


def _tell(files: "list[Path]", answers: "list[Prediction | Refused]", *, as_json: bool) -> None:
    both = list(zip(files, answers, strict=True))
    if not as_json:
        rows = [
            (str(file), "-", "-", str(answer))
            if isinstance(answer, Refused)
            else (str(file), _words(answer), f"{answer.confidence:.3f}", answer.prediction_id)
            for file, answer in both
        ]
        table(("image", "answer", "confidence", "prediction"), rows)
        return
    emit(
        [
            {"image": str(file), "error": str(answer)}
            if isinstance(answer, Refused)
            else {
                "image": str(file),
                "prediction_id": answer.prediction_id,
                **{name: told for name, told in answer.told.items() if name != "probabilities"},
            }
            for file, answer in both
        ]
    )


def _words(answer: "Prediction") -> str:
    """An answer in a cell of a table: a class, or what else it is, by its kind."""
    told = answer.told
    if "hits" in told:
        several = [f"{hit['label']} {hit['similarity']:.2f}" for hit in told["hits"][:_SHOWN]]
        return ", ".join(several)
    if "boxes" in told:
        several = [f"{box['label']} {box['score']:.2f}" for box in told["boxes"][:_SHOWN]]
        return ", ".join(several) or "no box"
    if "labels" in told:
        return ", ".join(told["labels"]) or "none"
    return f"{told['value']:.6g}" if "value" in told else answer.label


def _batch(
    program: Program,
    source: str,
    out: Path,
    named: str,
    workers: int | None,
    path: Path,
    *,
    as_json: bool,
) -> None:
    from dataclasses import asdict

    from everloop.batch.run import run_batch, usable_cores
    from everloop.batch.sources import find_source
    from everloop.loop.elsewhere import is_elsewhere, run_elsewhere

    runner, project = _runner(program, named, path)
    found = find_source(source, None if project is None else project.data)
    did: Mapping[str, Json]
    if project is not None and is_elsewhere(project):
        inputs: dict[str, Json] = {
            "path": str(runner.path.resolve()),
            "bundle": runner.bundle,
            "limits": asdict(runner.limits),
            "source": str(Path(source).resolve()) if Path(source).exists() else source,
            "out": str(out.resolve()),
            "workers": workers,
        }
        with working("answering on the cluster"):
            did = run_elsewhere(project, "batch", inputs)
    else:
        cores = workers or usable_cores()
        with _bar() as progress:
            did = asdict(run_batch(runner, found, out, workers=cores, progress=progress))
    told: dict[str, Json] = {"bundle": runner.bundle, "out": str(out), **did}
    emit(told) if as_json else show(told)


def _runner(program: Program, named: str, path: Path) -> "tuple[Runner, Project | None]":
    """What is run, and the project if one is open: a bundle's folder needs none."""
    from everloop.batch.work import Runner
    from everloop_runtime.bundle import open_bundle
    from everloop_runtime.images import DEFAULT_LIMITS

    project = program.open_project(path) if (path / "everloop.toml").is_file() else None
    if (Path(named) / "bundle.json").is_file():
        opened = open_bundle(Path(named))
        limits = DEFAULT_LIMITS if project is None else project.limits
        return Runner(opened.path, opened.id, limits), project
    project = project or program.open_project(path)
    bundle = named_bundle(project, named)
    return Runner(project.layout.bundles / bundle, bundle, project.limits), project


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _done, _of: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("pictures", total=None)
        yield lambda done, of: progress.update(bar, completed=done, total=of)
