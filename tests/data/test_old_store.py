"""A store that the first version of Everloop wrote, under the code of today.

`store_of_0_1.tar.gz` holds 12 pictures of two classes, added in two steps of 8 and 4, each
followed by a snapshot; between them a person called one upright bar lying.
"""

import tarfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from tests.support.clock import at
from tests.support.pictures import bar, noise

from everloop.data.samples import NewSample
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop_runtime.ids import sample_id

FIRST = "91cc908b2c4381d099aea6aa14eb2e4feb7f38ce27cd63b9df55b449179958e3"
SECOND = "a50f85d0aa1b16c0bf7d7133e2076260e0f4a2945934b007cc61c1dd8b949e79"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with tarfile.open(Path(__file__).with_name("store_of_0_1.tar.gz")) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "store"


def test_an_old_store_reads_as_it_did(folder: Path) -> None:
    store = DataStore(folder)
    pictures = [bar(number % 2 == 1, number) for number in range(12)]
    ids = [sample_id(picture) for picture in pictures]
    assert store.samples.read(ids) == pictures
    facts = store.samples.facts()
    assert facts.column("id").to_pylist() == ids
    assert facts.column("group").null_count == 12
    counts = store.labelled_counts()
    assert (counts.train, counts.holdout) == (9, 3)
    standing = store.annotations.current()[ids[1]]
    assert (standing.label, standing.by) == ("lying", "ann")


def test_an_old_store_takes_new_samples_with_all_that_is_known_of_them(folder: Path) -> None:
    store = DataStore(folder)
    new = NewSample(
        noise(1), "a", "s", "s", group="p1", subject="ann", taken_at=at(5), meta={"camera": "3"}
    )
    added = store.samples.add([NewSample(bar(True, 1), "", "s", "s"), new], at(9), split=_SPLIT)
    assert added == (sample_id(noise(1)),)
    row = store.samples.facts().to_pylist()[-1]
    assert (row["group"], row["subject"], row["taken_at"]) == ("p1", "ann", at(5))
    assert row["meta"] == '{"camera":"3"}'


_SPLIT = SplitRule(0.2)


def _add(arguments: tuple[Path, int]) -> None:
    folder, first = arguments
    DataStore(folder).samples.add(
        (NewSample(noise(first + n), "", "s", "s", group=f"g{first}") for n in range(5)),
        at(0),
        split=_SPLIT,
    )


def test_two_processes_may_widen_an_old_store_at_once(folder: Path) -> None:
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        list(pool.map(_add, [(folder, 100), (folder, 200)]))
    groups = DataStore(folder).samples.facts().column("group").to_pylist()
    assert (groups.count(None), groups.count("g100"), groups.count("g200")) == (12, 5, 5)
