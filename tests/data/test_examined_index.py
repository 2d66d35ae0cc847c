"""Examined pictures are found by name and by look, and nothing is kept of what is gone."""

from collections.abc import Sequence
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from everloop.data.examined_index import ExaminedIndex
from everloop.data.tables import LanceTable
from everloop_runtime.ids import sample_id

SCHEMA = pa.schema([("id", pa.string()), ("by", pa.string()), ("signature", pa.binary(128))])


def _id(number: int) -> str:
    return sample_id(b"%d" % number)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float16]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float16)


def _append(
    table: LanceTable, names: Sequence[str], vectors: NDArray[np.float16], by: str = "it"
) -> None:
    signatures = [vector.tobytes() for vector in vectors]
    columns = {"id": list(names), "by": [by] * len(names), "signature": signatures}
    table.append(pa.table(columns, SCHEMA))


def _table(place: Path) -> LanceTable:
    return LanceTable(place / "examined.lance", SCHEMA)


def test_what_looks_alike_is_found_among_many_that_came_little_by_little(tmp_path: Path) -> None:
    table, generator = _table(tmp_path), np.random.default_rng(0)
    index = ExaminedIndex(table, tmp_path / "cache", "it")
    plain = generator.normal(size=(3000, 64))
    for start in range(0, 3000, 300):
        part = range(start, start + 300)
        _append(table, [_id(n) for n in part], _unit(plain[start : start + 300]))
        assert len(index.runs()) <= 4
    copies = _unit(plain[1000:1400] + 0.25 * generator.normal(size=(400, 64)))
    _append(table, [_id(n) for n in range(3000, 3400)], copies)
    first, second = index.alike(np.arange(3000, 3400), 0.9, 8)
    assert (second == first - 2000).all()
    assert len(first) >= 396
    again = ExaminedIndex(table, tmp_path / "cache", "it")
    assert np.array_equal(again.alike(np.arange(3000, 3400), 0.9, 8)[0], first)


def test_of_each_one_only_the_nearest_are_told(tmp_path: Path) -> None:
    table, generator = _table(tmp_path), np.random.default_rng(1)
    one = generator.normal(size=64)
    shifts = np.arange(20)[:, None] * 0.02 * generator.normal(size=(20, 64))
    _append(table, [_id(n) for n in range(20)], _unit(one + shifts))
    first, second = ExaminedIndex(table, tmp_path / "cache", "it").alike(np.array([0]), 0.8, 3)
    assert first.tolist() == [0, 0, 0]
    assert second.tolist() == [1, 2, 3]


def test_the_first_row_counts_and_only_of_the_examination_in_use(tmp_path: Path) -> None:
    table, vectors = _table(tmp_path), _unit(np.random.default_rng(2).normal(size=(3, 64)))
    index = ExaminedIndex(table, tmp_path / "cache", "it")
    assert index.rows_of([_id(0)]).tolist() == [-1]
    _append(table, [_id(0), _id(1), _id(0)], vectors, by="an older one")
    _append(table, [_id(2), _id(0), _id(0)], vectors)
    _append(table, [_id(0), _id(2), _id(3)], vectors)
    assert index.rows_of([_id(n) for n in (0, 1, 2, 3, 4)]).tolist() == [4, -1, 3, 8, -1]


def test_what_is_gone_from_the_table_is_gone_from_the_files(tmp_path: Path) -> None:
    table, vectors = _table(tmp_path), _unit(np.random.default_rng(3).normal(size=(200, 64)))
    index = ExaminedIndex(table, tmp_path / "cache", "it")
    for start in (0, 100):
        names = [_id(n) for n in range(start, start + 100)]
        _append(table, names, vectors[start : start + 100])
        index.runs()
    lance.dataset(str(tmp_path / "examined.lance")).delete(f"id = '{_id(7)}'")
    assert index.rows_of([_id(6), _id(7), _id(8), _id(150)]).tolist() == [6, -1, 7, 149]
    told = b"".join(path.read_bytes() for path in (tmp_path / "cache").iterdir())
    assert _id(8).encode() in told
    assert _id(7).encode() not in told
    assert vectors[7].tobytes() not in told
    lance.dataset(str(tmp_path / "examined.lance")).optimize.compact_files()
    assert index.rows_of([_id(6), _id(150)]).tolist() == [6, 149]
    assert len(list((tmp_path / "cache").iterdir())) == len(index.runs()) == 1
