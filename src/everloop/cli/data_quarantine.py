"""`everloop data quarantine`: look at what could not be taken in, mend it, force it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from everloop.cli.common import by_option, common_options, emit, show, table
from everloop.cli.program import Program
from everloop.errors import Refused
from everloop.ids import Json

if TYPE_CHECKING:
    from everloop.data.bad_files import Quarantined
    from everloop.data.mending import Hand
    from everloop.loop.project import Project


@click.group("quarantine")
def quarantine() -> None:
    """Look at what could not be taken in; mend it, or force it."""


@quarantine.command("list")
@click.option("--reason", help="Only files set aside for this reason.")
@common_options
@click.pass_obj
def listed(program: Program, path: Path, reason: str | None, *, as_json: bool) -> None:
    """The files that are set aside, and how many for each reason."""
    found = [
        each
        for each in program.open_project(path).data.quarantine.standing()
        if reason is None or each.reason == reason
    ]
    if as_json:
        return emit([_told(each) for each in found])
    rows = [(each.id[:8], each.reason, each.name, each.text, each.source) for each in found]
    table(("id", "reason", "file", "why", "source"), rows)
    counts: dict[str, int] = {}
    for each in found:
        counts[each.reason] = counts.get(each.reason, 0) + 1
    return table(("reason", "files"), sorted(counts.items()))


@quarantine.command("show")
@click.argument("file")
@click.option("--out", type=click.Path(path_type=Path), help="Write its bytes to this new file.")
@common_options
@click.pass_obj
def shown(program: Program, file: str, path: Path, out: Path | None, *, as_json: bool) -> None:
    """One file: why, where, and what was done about it. FILE is its id or a beginning of it.

    The bytes that --out writes are as they came. They may be made to hurt what opens them.
    """
    from everloop.data.mending import bytes_of

    store = program.open_project(path).data
    found = store.quarantine.find(file)
    told: dict[str, Json] = dict(_told(found))
    told["history"] = [
        f"{event['at'].isoformat()} {event['event']} {event['by']}".rstrip()
        for event in store.quarantine.history(found.id)
    ]
    if out is not None:
        data = bytes_of(store, found)
        if data is None:
            raise Refused(f"its bytes are neither kept nor at {found.where} any more")
        try:
            with out.open("xb") as opened:
                opened.write(data)
        except OSError as error:
            raise Refused(f"{out} cannot be written: {error}") from error
    (emit if as_json else show)(told)


@quarantine.command("mend")
@click.argument("file")
@click.argument("replacement", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--label", help="Its class; without one it goes in unlabelled.")
@common_options
@by_option
@click.pass_obj
def mended(
    program: Program, file: str, replacement: Path, label: str | None, path: Path, by: str,
    *, as_json: bool,
) -> None:  # fmt: skip
    """Take REPLACEMENT in instead of a bad FILE (its id, or a beginning of it)."""
    from everloop.data.mending import mend

    project = program.open_project(path)
    found = project.data.quarantine.find(file)
    sample = mend(project.data, found, replacement.read_bytes(), _hand(program, project, by, label))
    _say(found, "mended", sample, as_json=as_json)


@quarantine.command("force")
@click.argument("file")
@click.option("--label", help="Its class; without one it goes in unlabelled.")
@common_options
@by_option
@click.pass_obj
def forced(
    program: Program, file: str, label: str | None, path: Path, by: str, *, as_json: bool
) -> None:
    """Take a bad FILE in as it is, where its picture can be decoded."""
    from everloop.data.mending import force

    project = program.open_project(path)
    found = project.data.quarantine.find(file)
    sample = force(project.data, found, _hand(program, project, by, label))
    _say(found, "forced", sample, as_json=as_json)


def _hand(program: Program, project: "Project", by: str, label: str | None) -> "Hand":
    from everloop.data.examined import DecodingLimits
    from everloop.data.mending import Hand
    from everloop.labels import ClassLabel, encode

    classes = project.declaration.task.classes
    if label is not None and label not in classes:
        raise Refused(f"{label!r} is no class of the task; the classes are {', '.join(classes)}")
    text = None if label is None else encode(ClassLabel(label))
    limits = DecodingLimits(project.limits)
    return Hand(by, program.clock(), limits, project.split, text)


def _told(file: "Quarantined") -> Mapping[str, Json]:
    return {
        "id": file.id,
        "source": file.source,
        "name": file.name,
        "reason": file.reason,
        "why": file.text,
        "where": file.where,
        "bytes": file.size,
        "at": file.at.isoformat(),
        "can_be_forced": file.can_be_forced,
    }


def _say(file: "Quarantined", what: str, sample: str, *, as_json: bool) -> None:
    told: dict[str, Json] = {"file": file.name, "done": what, "sample": sample}
    (emit if as_json else show)(told)
