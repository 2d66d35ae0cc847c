"""Batches: every picture has a row, bad ones a reason, and a kill costs at most a few parts."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.support.bundles import make_bundle
from tests.support.pictures import noise
from tests.support.projects import everloop

from everloop.batch import run as running
from everloop.batch.plan import PART, folder_of
from everloop.batch.run import run_batch
from everloop.batch.sources import FolderSource, find_source
from everloop.batch.work import Runner
from everloop.errors import Conflict, Refused
from everloop_runtime.admission import Admission
from everloop_runtime.ids import digest_bytes
from everloop_runtime.images import DEFAULT_LIMITS
from everloop_runtime.library import Predictor


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    bundle = make_bundle(tmp_path / "bundles")
    return Runner(tmp_path / "bundles" / bundle, bundle, DEFAULT_LIMITS)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """More than three parts, in two folders, three of them bad."""
    folder = tmp_path / "pictures"
    for number in range(3 * PART + 7):
        place = folder / ("a" if number % 2 else "b/c") / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(noise(number))
    (folder / "a" / "cut.png").write_bytes(noise(1)[:60])
    (folder / "a" / "page.png").write_bytes(b"<html></html>")
    (folder / "z.png").write_bytes(noise(5, side=9))
    (folder / ".hidden").write_bytes(b"x")
    return folder


def test_every_picture_has_the_answer_of_the_library_or_a_reason(
    tmp_path: Path, runner: Runner, pictures: Path
) -> None:
    out, told = tmp_path / "out" / "answers.parquet", []
    result = run_batch(
        runner, FolderSource(pictures), out, workers=2, progress=lambda *at: told.append(at)
    )
    assert (result.pictures, result.failed, result.resumed) == (3 * PART + 10, 2, 0)
    assert told[0] == (0, result.pictures) and told[-1] == (result.pictures, result.pictures)
    table = pq.read_table(out)
    assert table.schema.metadata[b"everloop.bundle"].decode() == runner.bundle
    assert [path.name for path in out.parent.iterdir()] == ["answers.parquet"]
    rows = {row["source"]: row for row in table.to_pylist()}
    assert len(rows) == result.pictures
    assert "cannot be decoded" in rows["a/cut.png"]["error"]
    assert "not one of the formats" in rows["a/page.png"]["error"]
    predictor = Predictor(runner.path, runner.bundle, admission=Admission(trial=None))
    for name in ("b/c/0.png", "a/1.png", "z.png"):
        answer, data = predictor.predict(pictures / name), (pictures / name).read_bytes()
        assert rows[name]["label"] == answer.label and rows[name]["error"] is None
        assert rows[name]["sample"] == digest_bytes(data)
        assert rows[name]["probabilities"] == pytest.approx(answer.probabilities, abs=1e-7)


def test_lists_stores_and_lance_are_read_and_written(
    tmp_path: Path, runner: Runner, pictures: Path
) -> None:
    import lance

    with (pictures / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "path"], ["1", "a/1.png"], ["2", "gone.png"]])
    (pictures / "list.jsonl").write_text('{"path": "a/1.png"}\n')
    (pictures / "list.txt").write_text("a/1.png\nz.png\n")
    run_batch(
        runner, find_source(str(pictures / "list.csv"), None), tmp_path / "x.lance", workers=1
    )
    first, second = lance.dataset(str(tmp_path / "x.lance")).to_table().to_pylist()
    assert first["label"] and "cannot be read" in second["error"]
    assert list(find_source(str(pictures / "list.jsonl"), None).names()) == ["a/1.png"]
    assert list(find_source(str(pictures / "list.txt"), None).names()) == ["a/1.png", "z.png"]
    with pytest.raises(Refused, match="no folder or list"):
        find_source(str(tmp_path / "nothing"), None)
    with pytest.raises(Refused, match="name one with --project"):
        find_source("store", None)


def test_a_killed_batch_goes_on_and_ends_as_an_unbroken_one(
    tmp_path: Path, runner: Runner, pictures: Path
) -> None:
    out = tmp_path / "answers.parquet"
    command = [sys.executable, "-m", "everloop.app", "predict", "--batch", str(pictures)]
    command += ["--out", str(out), "--bundle", str(runner.path), "--workers", "1"]
    process = subprocess.Popen(command, cwd=tmp_path, start_new_session=True)
    parts = folder_of(out)
    while not list(parts.glob("part-*")):
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not out.exists()
    done = {path.name: path.stat().st_mtime_ns for path in parts.glob("part-*")}
    other = make_bundle(tmp_path / "bundles", 1.0)
    stranger = Runner(tmp_path / "bundles" / other, other, DEFAULT_LIMITS)
    with pytest.raises(Refused, match="holds an unfinished batch"):
        run_batch(stranger, FolderSource(pictures), out, workers=1)
    assert {p.name: p.stat().st_mtime_ns for p in parts.glob("part-*")} == done
    result = run_batch(runner, FolderSource(pictures), out, workers=1)
    assert result.resumed >= PART
    whole = tmp_path / "whole.parquet"
    run_batch(runner, FolderSource(pictures), whole, workers=2)
    assert pq.read_table(out).equals(pq.read_table(whole))


def test_a_picture_that_ends_its_process_has_a_reason_and_the_rest_answers(
    tmp_path: Path, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.support import dying

    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number:02}.png").write_bytes(noise(number))
    (folder / "13.png").write_bytes(dying.POISON)
    monkeypatch.setattr(running, "load", dying.load)
    out = tmp_path / "answers.parquet"
    result = run_batch(runner, FolderSource(folder), out, workers=2)
    rows = pq.read_table(out).to_pylist()
    assert result.failed == 1 and len(rows) == 20
    assert [row["source"] for row in rows if row["error"]] == ["13.png"]
    assert "was ended" in rows[13]["error"]


def test_what_cannot_be_written_or_read_is_refused(
    tmp_path: Path, runner: Runner, pictures: Path
) -> None:
    source = FolderSource(pictures)
    with pytest.raises(Refused, match=r"\.parquet and \.lance are written"):
        run_batch(runner, source, tmp_path / "x.csv", workers=1)
    (tmp_path / "x.parquet").touch()
    with pytest.raises(Refused, match="is there already"):
        run_batch(runner, source, tmp_path / "x.parquet", workers=1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(Refused, match="there is no picture"):
        run_batch(runner, FolderSource(tmp_path / "empty"), tmp_path / "y.parquet", workers=1)
    with running._alone(tmp_path / "z.parquet"), pytest.raises(Conflict, match="another process"):
        run_batch(runner, source, tmp_path / "z.parquet", workers=1)
    said = everloop(None, "predict", "--batch", str(pictures))
    assert said.code == 2 and "--out" in said.err
