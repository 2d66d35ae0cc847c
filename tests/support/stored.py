"""A project whose store, on any storage, holds samples in every table there is."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from unittest.mock import patch

from tests.support.buckets import KEY, SECRET, ObjectStore
from tests.support.captures import answer
from tests.support.clock import at
from tests.support.pictures import noise
from tests.support.projects import write_project

from everloop.app.assemble import assemble
from everloop.data.annotations import Annotation, annotation_id
from everloop.data.blobs import open_blobs
from everloop.data.collect import collect
from everloop.data.renditions import NewRendition
from everloop.data.samples import NewSample
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.data.take import take
from everloop.ids import BundleId, LabelTaskId, PolicyVersion, RenditionId, SampleId
from everloop.loop.project import Project
from everloop.state.clearances import Judged
from everloop.state.label_queue import LabelTask
from everloop.state.lease import Fence
from everloop_runtime.capture import CaptureWriter, read_segment, sealed_segments
from everloop_runtime.ids import digest_bytes, sample_id

CLASSES = ("lying", "upright")
BUNDLE = BundleId("b" * 64)
ANNA, COUNT, SIDE = (3, 14, 25), 40, 32
"""The numbers of the pictures about the subject `anna`, among so many, of so many pixels a side."""


def picture(number: int) -> bytes:
    """Picture number `number` of the store."""
    return noise(number, SIDE)


def anna() -> list[SampleId]:
    """The samples about `anna`."""
    return sorted(sample_id(picture(number)) for number in ANNA)


def on_store(
    folder: Path, store: ObjectStore | None, *, pictures: int = 1, patience: str = "20s"
) -> tuple[Path, Mapping[str, str]]:
    """A project's folder with its data on an object store or in itself, and the environment."""
    write_project(folder, pictures=pictures)
    if store is None:
        return folder, {}
    uri = store.bucket().uri
    told = f'[storage]\nroot = "{uri}"\nendpoint = "{store.endpoint}"\npatience = "{patience}"\n'
    with (folder / "everloop.toml").open("a") as file:
        file.write(told)
    return folder, {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}


def filled(folder: Path, store: ObjectStore | None = None, *, patience: str = "20s") -> Project:
    """A project with data in every table, snapshots, captures, label tasks and a bundle."""
    place, environment = on_store(folder, store, patience=patience)
    project = assembled(place, environment)
    fill(project)
    return project


def assembled(folder: Path, environment: Mapping[str, str]) -> Project:
    """The project of a folder, as a process with more in its environment opens it."""
    with patch.dict(os.environ, environment):
        return assemble(folder)


def files_of(project: Project) -> Iterator[tuple[str, bytes]]:
    """Every file of the store and of the project's own folder, read plainly."""
    for path in project.layout.root.rglob("*"):
        if path.is_file():
            yield str(path), path.read_bytes()
    if project.data.place.folder is None:
        blobs = open_blobs(project.data.place)
        for blob in blobs.list():
            yield blob.key, blobs.get(blob.key) or b""


def holding(project: Project, number: int) -> list[str]:
    """Files that hold a picture, or a good part of its second half."""
    data = picture(number)
    parts = [data[at : at + 48] for at in range(len(data) // 2, len(data) - 48, 48)]
    return [name for name, text in files_of(project) if any(part in text for part in parts)]


def check_all_but_anna(project: Project) -> None:
    """Raise unless everything that is not about `anna` is there as it was."""
    others = [n for n in range(COUNT) if n not in ANNA]
    ids = [sample_id(picture(n)) for n in others]
    for store in (project.data, DataStore(project.data.place)):
        assert store.samples.read(ids) == [picture(n) for n in others]
        assert store.samples.count() == len(others)
        assert set(store.annotations.current()) == set(ids)
        first, second = store.snapshots.list()
        assert (first.rows.num_rows, second.rows.num_rows) == (18, 37)
        assert first.forgotten == 2
        window = store.predictions.window(BUNDLE, 0, 100)
        assert window.samples == tuple(
            sample_id(picture(n)) for n in range(10, 30) if n not in ANNA
        )
    (segment,) = sealed_segments(project.layout.capture)
    assert [r.image for r in read_segment(segment)] == [picture(n) for n in range(10) if n != 3]


def fill(project: Project) -> None:
    """Put samples into the project's store, as imports, people, services and training would."""
    data = project.data
    numbers = range(COUNT)
    for part in (numbers[:20], numbers[20:]):
        data.samples.add(
            [
                NewSample(
                    picture(n), f"{n}.png", "s", "s", subject="anna" if n in ANNA else f"p{n}"
                )
                for n in part
            ],
            at(0),
            split=SplitRule(0.3),
        )
        data.annotations.append([annotation(n) for n in part])
        take(data, classes=CLASSES, now=at(part[0]))
    collect(data, _segment(project, range(10, 30)), now=at(60), split=SplitRule(0.3))
    sealed_segments(project.layout.capture)[0].unlink()
    _segment(project, range(10))
    golden = project.layout.bundles / BUNDLE / "golden"
    copy = project.layout.tracking_artifacts / "1" / "run" / "artifacts" / "bundle" / "golden"
    for place in (golden, copy):
        place.mkdir(parents=True)
        for index, number in enumerate((1, 3, 5)):
            (place / f"{index:03d}").write_bytes(picture(number))
    fence = project.leases.acquire("controller", "the test", at(0), at(600) - at(0))
    assert fence is not None
    _clear(project, (2, 3, 4), fence)
    tasks = [_task(project, n) for n in (2, 3, 4)]
    project.queue.add(tasks, fence)
    project.leases.release(fence)


def annotation(number: int) -> Annotation:
    """What Kim said of a picture."""
    sample = sample_id(picture(number))
    label = CLASSES[number % 2]
    told = annotation_id(sample, label, "kim", "round")
    return Annotation(told, sample, label, "kim", "person", None, at(number), "round")


def _segment(project: Project, numbers: range) -> Path:
    writer = CaptureWriter(project.layout.capture)
    for n in numbers:
        writer.append(answer(n, picture(n), BUNDLE, label=CLASSES[n % 2]))
    writer.close()
    return sealed_segments(project.layout.capture)[-1]


def rendition(number: int) -> bytes:
    """What labellers may see of a picture."""
    return noise(1000 + number, SIDE)


def _version(project: Project) -> PolicyVersion:
    assert project.rules.version is not None
    return project.rules.version


def _clear(project: Project, numbers: Sequence[int], fence: Fence) -> None:
    version = _version(project)
    made = [
        NewRendition(
            sample_id(picture(n)), version, rendition(n), "PNG", SIDE, SIDE, regions=(), held=None
        )
        for n in numbers
    ]
    project.data.renditions.add(made, at(0))
    judged = [
        Judged(each.sample, version, RenditionId(digest_bytes(each.data)), None) for each in made
    ]
    project.clearances.record(judged, fence, at(0))


def _task(project: Project, number: int) -> LabelTask:
    sample = sample_id(picture(number))
    return LabelTask(
        id=LabelTaskId(f"t{number}"),
        cleared=project.clearances.cleared([sample], _version(project))[sample],
        round="round",
        purpose="train",
        suggestion="upright",
        suggested_by=BUNDLE,
        suggestion_confidence=0.9,
        created_at=at(0),
    )
