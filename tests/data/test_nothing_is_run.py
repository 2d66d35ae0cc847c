"""No file of a source is ever loaded in a way that runs what is in it."""

import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.layouts import ANIMALS, CELLS, picture, put, take_in, told

from everloop.data.formats.detect import installed
from everloop.data.store import DataStore
from everloop.errors import Refused
from everloop.tasks.tabular import TabularRegression
from everloop.tasks.task import Task


class _Evil:
    """Makes a folder when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self._mark = str(mark)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self._mark,)


def _source(folder: Path, mark: Path) -> Path:
    """Pickles under every name that some loader would take for its own."""
    evil = pickle.dumps(_Evil(mark))
    array = io.BytesIO()
    np.save(array, np.array([_Evil(mark)], object), allow_pickle=True)
    names = ("1.pkl", "2.pt", "3.png", "model.pth", "data.pickle", "a.csv", "b.parquet", "c.json")
    for name in (*names, "data.yaml", "labels/9.txt", "annotations/d.json", "e.xml", "f.joblib"):
        put(folder / "cat" / name, evil)
    put(folder / "cat" / "5.npy", array.getvalue())
    put(folder / "dog" / "6.png", picture(6))
    return folder


@pytest.mark.parametrize("task", [ANIMALS, CELLS, TabularRegression("y", ["x"])])
def test_what_would_run_code_when_loaded_is_never_loaded(task: Task, tmp_path: Path) -> None:
    mark = tmp_path / "was-run"
    folder = _source(tmp_path / "in", mark)
    with pytest.raises(FileExistsError):
        # The files do what they say where somebody loads them.
        mark.mkdir()
        pickle.loads((folder / "cat" / "1.pkl").read_bytes())  # noqa: S301 - that is the test
    mark.rmdir()
    read = 0
    for number, name in enumerate(installed()):
        try:
            take_in(DataStore(tmp_path / f"store-{number}"), folder, task, format_name=name)
            read += 1
        except Refused:
            continue
    assert read
    assert not mark.exists()


def test_a_pickle_named_as_a_picture_is_set_aside_as_none(tmp_path: Path) -> None:
    folder, store = _source(tmp_path / "in", tmp_path / "was-run"), DataStore(tmp_path / "store")
    report = take_in(store, folder, format_name="class-folders")
    assert report.added == 1 and set(report.quarantined) == {"not-an-image"}
    assert {"cat/1.pkl", "cat/2.pt", "cat/3.png", "cat/5.npy"} <= set(told(store))
