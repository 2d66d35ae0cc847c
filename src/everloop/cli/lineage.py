"""`everloop lineage`: which models saw a sample, and which samples a model saw."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from everloop.cli.common import common_options, emit, find_bundle, find_sample, show, table
from everloop.cli.program import Program
from everloop.ids import BundleId, SnapshotId

if TYPE_CHECKING:
    from everloop.loop.project import Project


def snapshot_of(project: "Project", bundle: BundleId, named: str | None) -> SnapshotId:
    """The snapshot a person named, or else the one in the bundle's lineage."""
    from everloop_runtime.bundle import open_bundle

    if named is not None:
        return project.data.snapshots.find(named).id
    manifest = open_bundle(project.layout.bundles / bundle, bundle).manifest
    return SnapshotId(str(manifest.lineage["snapshot"]))


@click.group("lineage")
def command() -> None:
    """From a sample to the models that saw it, and from a model to the samples it saw."""


@command.command("sample")
@click.argument("sample")
@common_options
@click.pass_obj
def of_sample(program: Program, sample: str, path: Path, *, as_json: bool) -> None:
    """Tell what was said of SAMPLE (an id, or how it begins), and which models saw it."""
    from everloop.loop.lineage import lineage_of_sample

    project = program.open_project(path)
    told = lineage_of_sample(project, find_sample(project.data, sample))
    if as_json:
        emit(told.as_json())
        return
    show({"sample": told.sample, "side": told.side, "origin": told.origin})
    if told.labels:
        table(
            ("label", "by", "at"),
            [(a.label, a.by, a.at.isoformat()[:19]) for a in told.labels],
        )
    if told.snapshots:
        table(
            ("snapshot", "side", "label", "models"),
            [
                (seen.snapshot[:8], seen.side, seen.label, " ".join(b[:8] for b in seen.models))
                for seen in told.snapshots
            ],
        )


@command.command("model")
@click.argument("bundle")
@click.option("--side", type=click.Choice(["train", "holdout"]), default="train", show_default=True)
@common_options
@click.pass_obj
def of_model(program: Program, bundle: str, side: str, path: Path, *, as_json: bool) -> None:
    """Tell which samples BUNDLE learnt from (`train`) or was kept away from (`holdout`)."""
    from everloop.loop.lineage import samples_of_model

    project = program.open_project(path)
    found = find_bundle(project, bundle)
    told = samples_of_model(project, found, side)
    if as_json:
        emit(
            {
                "bundle": found,
                "snapshot": told.snapshot,
                "side": side,
                "samples": [list(row) for row in told.samples],
            }
        )
        return
    show({"bundle": found, "snapshot": told.snapshot, side: len(told.samples)})
    click.echo("--json lists them: sample, label, annotation, by")
