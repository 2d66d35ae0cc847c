"""Forgetting: nothing of a sample is left in any file, whenever it was interrupted."""

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.clock import at
from tests.support.stored import (
    ANNA,
    BUNDLE,
    CLASSES,
    COUNT,
    anna,
    annotation,
    check_all_but_anna,
    files_of,
    filled,
    holding,
    picture,
    rendition,
)

from everloop.app.assemble import assemble
from everloop.data.erase import rows_left
from everloop.data.folder import FolderBlobs
from everloop.data.rewriting import Rewriting
from everloop.data.samples import NewSample
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.data.take import take
from everloop.errors import Conflict, Refused
from everloop.ids import SampleId
from everloop.loop.forget import Forgot, Wanted, forget
from everloop.loop.project import Project
from everloop_runtime.ids import sample_id


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full project that tests copy."""
    folder = tmp_path_factory.mktemp("template") / "project"
    filled(folder)
    return folder


@pytest.fixture
def local(template: Path, tmp_path: Path) -> Project:
    """A full project with its data in its folder."""
    shutil.copytree(template, tmp_path / "project")
    return assemble(tmp_path / "project")


@pytest.fixture(params=["folder", "radosgw"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    """A full project, its data on each storage."""
    if request.param == "folder":
        found: Project = request.getfixturevalue("local")
        return found
    store = request.getfixturevalue(request.param)
    return filled(tmp_path / "project", getattr(store, "store", store))


def _forget_anna(project: Project, second: float = 100, **options: bool) -> Forgot:
    return forget(project, Wanted(subject="anna"), by="ann", now=at(second), **options)


def test_nothing_of_a_subject_is_left_in_any_file(project: Project) -> None:
    for number in ANNA:
        assert holding(project, number)
    done = _forget_anna(project)
    told: Any = done.certificate.told
    for number in ANNA:
        assert holding(project, number) == []
    assert not any(rendition(3)[200:300] in text for _, text in files_of(project))
    assert any(rendition(4)[200:300] in text for _, text in files_of(project))
    assert rows_left(project.data.place, anna()) == {}
    assert told["samples"] == anna()
    assert told["removed"]["bytes.lance"] == 3
    assert told["removed"]["predictions.lance"] == 2
    assert told["removed"]["rendition_bytes.lance"] == told["removed"]["clearances"] == 1
    assert told["removed"]["annotations.lance"] == 3
    assert told["removed"]["captured answers"] == 1
    assert told["removed"]["label_tasks"] == 1
    assert told["removed"]["rows of snapshots"] >= 3
    assert told["proof"]["found"] == 0
    assert told["proof"]["found_before"] > 3
    assert told["bundles_withdrawn"] == [BUNDLE]
    check_all_but_anna(project)


def test_the_next_snapshot_is_the_one_that_a_store_without_them_takes(local: Project) -> None:
    _forget_anna(local)
    taken = take(local.data, classes=CLASSES, now=at(300))
    other = DataStore(local.layout.root / "other")
    numbers = [n for n in range(COUNT) if n not in ANNA]
    new = [NewSample(picture(n), "", "s", "s") for n in numbers]
    other.samples.add(new, at(0), split=SplitRule(0.3))
    other.annotations.append([annotation(n) for n in numbers])
    assert take(other, classes=CLASSES, now=at(9)).id == taken.id


def test_what_was_forgotten_is_not_taken_in_again(local: Project) -> None:
    _forget_anna(local)
    again = [NewSample(picture(n), "", "s", "s") for n in (3, 99)]
    assert local.data.samples.add(again, at(200), split=SplitRule(0.3)) == (sample_id(picture(99)),)
    assert holding(local, 3) == []


def test_asking_again_gives_the_same_certificate(local: Project) -> None:
    first = _forget_anna(local)
    assert _forget_anna(local, 200).certificate == first.certificate
    by_id = forget(local, Wanted(anna()), by="ann", now=at(300))
    assert by_id.certificate.number == 2
    local.audit.check()


def test_what_was_never_there_cannot_be_forgotten(local: Project) -> None:
    with pytest.raises(Refused, match="no sample about that subject"):
        forget(local, Wanted(subject="nobody"), by="ann", now=at(0))
    known = anna()[0]
    with pytest.raises(Refused, match="nothing was forgotten"):
        forget(local, Wanted([known, SampleId("0" * 64)]), by="ann", now=at(0))
    assert local.data.samples.read([known])


def test_a_table_that_nobody_told_of_stops_it(local: Project) -> None:
    stray = local.layout.data / "secret.lance" / "data"
    stray.mkdir(parents=True)
    (stray / "1.lance").write_bytes(b"x")
    with pytest.raises(Refused, match=r"secret\.lance"):
        _forget_anna(local)


def test_a_bundle_that_serves_is_not_withdrawn_and_says_so(local: Project) -> None:
    local.layout.routes.write_text(f'{{"champion": "{BUNDLE}"}}')
    with pytest.raises(Conflict, match="deploy another one first"):
        _forget_anna(local)
    assert not local.audit.entries()
    assert [Path(name).parent.name for name in holding(local, 3)] == ["golden"]
    local.layout.routes.unlink()
    assert _forget_anna(local).certificate.told["bundles_withdrawn"] == [BUNDLE]


def test_rows_of_a_writer_that_was_cut_short_go_when_nobody_writes(local: Project) -> None:
    folder = local.layout.data / "bytes.lance" / "data"
    (left,) = [p for p in folder.iterdir() if picture(3) in p.read_bytes()]
    (folder / "0101.lance").write_bytes(left.read_bytes())
    (folder / ".draft-1").write_bytes(picture(14))
    with pytest.raises(Conflict, match="--alone"):
        _forget_anna(local)
    _forget_anna(local, alone=True)
    assert not any(holding(local, number) for number in ANNA)


_STEPS = (
    (FolderBlobs, "put"),
    (FolderBlobs, "delete"),
    (Rewriting, "remove"),
    (Rewriting, "purge"),
)


@pytest.mark.parametrize("stop_at", [0, 1, 4, 7, 13, 15, 18, 21, 24])
def test_interrupted_anywhere_it_goes_on_where_it_was(
    stop_at: int, local: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = itertools.count()

    def stopping(work: Callable[..., Any]) -> Callable[..., Any]:
        def stop_or_work(*given: Any, **named: Any) -> Any:
            # Before even steps, and after odd ones had their effect.
            step = next(steps)
            if step == stop_at and step % 2 == 0:
                raise KeyboardInterrupt
            done = work(*given, **named)
            if step == stop_at:
                raise KeyboardInterrupt
            return done

        return stop_or_work

    with monkeypatch.context() as patched:
        for owner, name in _STEPS:
            patched.setattr(owner, name, stopping(getattr(owner, name)))
        with pytest.raises(KeyboardInterrupt):
            _forget_anna(local)
    done = _forget_anna(local, 200)
    assert done.certificate.told["samples"] == anna()
    assert not any(holding(local, number) for number in ANNA)
    check_all_but_anna(local)
