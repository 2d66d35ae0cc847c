"""Examined pictures found by name and by look, at a cost that follows what is asked and what came.

The table of examinations is cut into runs of whole fragments, a later run being less than half as
long as the one before, and each run is indexed in a file of this machine's cache. How the table is
cut follows from its list of fragments alone, and a file is named by the fragments it covers. So
nothing has to be kept in step: what an append, a deletion or a compaction changed has another
name, is made when it is first asked for, and what has no name any more is removed.

Names are sorted; looks are sorted by their codes (`everloop.data.looks`).
"""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from everloop.data.examined import SIGNATURE_LENGTH
from everloop.data.looks import TABLES, codes_of, name_of_codes, probes_of
from everloop.data.tables import LanceTable

if TYPE_CHECKING:
    import lance
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_FORM = "look/1"
"""Names how a run's file is made; files of another name are made anew."""
_NAME = 64
_QUERIES = 256
_COMPARED = 262_144


class _Fragment(NamedTuple):
    file: str
    deleted: int
    rows: int
    opened: "lance.LanceFragment"


@dataclass(frozen=True)
class _Run:
    """The index of some rows on end."""

    first: int
    """The table's row that is the run's first."""
    table: "pa.Table"

    def rows_of(self, names: "NDArray[np.bytes_]") -> "NDArray[np.int64]":
        """The table's row of each name, the first of equal ones; -1 where there is none."""
        import numpy as np

        places = np.minimum(np.searchsorted(self._names, names), len(self._names) - 1)
        rows = self._column("name_row").to_numpy()[places] + self.first
        return np.where(self._names[places] == names, rows, -1)

    def meeting(self, probes: "NDArray[np.uint32]") -> "tuple[NDArray[np.int64], ...]":
        """Queries and rows of this run that share a code, by probes `[Q, tables, n]`; each once."""
        import numpy as np

        met = []
        for number in range(TABLES):
            codes = self._column(f"code_{number}").to_numpy()
            rows = self._column(f"code_row_{number}").to_numpy()
            asked = probes[:, number].ravel()
            start = np.searchsorted(codes, asked)
            count = np.searchsorted(codes, asked, side="right") - start
            query = np.repeat(np.arange(len(asked)) // probes.shape[2], count)
            within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
            met.append(query * self.table.num_rows + rows[np.repeat(start, count) + within])
        return np.divmod(np.unique(np.concatenate(met)), self.table.num_rows)

    @cached_property
    def signatures(self) -> "NDArray[np.float16]":
        """`[N, 64]`, in the order of the table."""
        import numpy as np

        flat = np.frombuffer(self._column("signature").buffers()[1], np.float16)
        return flat.reshape(-1, SIGNATURE_LENGTH)

    @cached_property
    def _names(self) -> "NDArray[np.bytes_]":
        import numpy as np

        return np.frombuffer(self._column("name").buffers()[1], f"S{_NAME}")

    def _column(self, name: str) -> "pa.Array":
        return self.table.column(name).chunk(0)


class ExaminedIndex:
    """Follows one table with the columns `id`, `by` and `signature`."""

    def __init__(self, table: LanceTable, folder: Path, by: str) -> None:
        self._table = table
        self._folder = folder
        self._by = by
        self._opened: dict[str, _Run] = {}

    def rows_of(self, samples: Sequence[str]) -> "NDArray[np.int64]":
        """The first row of each sample in the table, as it was examined last; -1 for none."""
        import numpy as np

        names = np.array([name.encode() for name in samples], f"S{_NAME}")
        found = np.full(len(names), -1, np.int64)
        for run in self.runs() if len(names) else ():
            found = np.where(found < 0, run.rows_of(names), found)
        return found

    def alike(
        self, rows: "NDArray[np.int64]", least: float, most: int
    ) -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
        """Pairs of one of `rows` and another row whose signatures have a cosine of `least`; of
        each row at most so many of the nearest."""
        import numpy as np

        runs, pairs = self.runs(), [np.empty((0, 2), np.int64)]
        for start in range(0, len(rows), _QUERIES):
            part = rows[start : start + _QUERIES]
            signatures = _signatures(runs, part)
            probes = probes_of(signatures)
            found = [_near(run, part, signatures, probes, least) for run in runs]
            query, row, cosine = (np.concatenate(each) for each in zip(*found, strict=True))
            order = np.lexsort((-cosine, query))
            query, row = query[order], row[order]
            rank = np.arange(len(query)) - np.searchsorted(query, query)
            pairs.append(np.stack([part[query], row], axis=1)[rank < most])
        told = np.concatenate(pairs)
        return told[:, 0], told[:, 1]

    def runs(self) -> Sequence[_Run]:
        """The runs of the table's newest version, oldest first; made where they are missing."""
        dataset, cuts = self._table.dataset(), list[list[_Fragment]]()
        for fragment in _fragments(dataset):
            tail = [fragment]
            while cuts and _rows(cuts[-1]) < 2 * _rows(tail):
                tail = [*cuts.pop(), *tail]
            cuts.append(tail)
        opened: dict[str, _Run] = {}
        first = 0
        for cut in cuts:
            key = self._key(cut)
            known = self._opened.get(key)
            # A run that is known may lie elsewhere since rows before it went.
            opened[key] = _Run(first, self._open(key, cut) if known is None else known.table)
            first += _rows(cut)
        is_new = opened.keys() != self._opened.keys()
        self._opened = opened
        if is_new:
            self._remove_others()
        return list(opened.values())

    def _key(self, cut: Iterable[_Fragment]) -> str:
        covered = [(each.file, each.deleted) for each in cut]
        told = repr((_FORM, self._by, name_of_codes(), covered))
        return f"{hashlib.sha256(told.encode()).hexdigest()}.arrow"

    def _open(self, key: str, cut: Sequence[_Fragment]) -> "pa.Table":
        import pyarrow as pa

        path = self._folder / key
        if not path.is_file():
            self._write(path, _indexed(self._read(cut)))
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()

    def _read(self, cut: Sequence[_Fragment]) -> "pa.Table":
        """Names and signatures; those made in another way have none."""
        import pyarrow as pa
        import pyarrow.compute as pc

        scanned = self._table.scan(["id", "by", "signature"], [each.opened for each in cut])
        rows = pa.concat_tables(scanned).combine_chunks()
        names = pc.if_else(pc.equal(rows.column("by"), self._by), rows.column("id"), "")
        return pa.table({"name": names, "signature": rows.column("signature")})

    def _write(self, path: Path, table: "pa.Table") -> None:
        import pyarrow as pa

        self._folder.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as draft,
            pa.ipc.new_file(draft, table.schema) as writer,
        ):
            writer.write_table(table)
        # Nobody sees half a file; two processes make the same one. A lost one is made anew.
        Path(draft.name).replace(path)

    def _remove_others(self) -> None:
        # Who still has one open goes on in the removed file.
        for path in self._folder.iterdir():
            if path.name not in self._opened and path.suffix == ".arrow":
                path.unlink(missing_ok=True)


def _fragments(dataset: "lance.LanceDataset | None") -> Iterator[_Fragment]:
    for fragment in [] if dataset is None else dataset.get_fragments():
        told = fragment.metadata
        rows = int(told.num_rows)
        if rows:
            yield _Fragment(told.files[0].path, int(told.num_deletions or 0), rows, fragment)


def _rows(cut: Iterable[_Fragment]) -> int:
    return sum(each.rows for each in cut)


def _indexed(rows: "pa.Table") -> "pa.Table":
    import numpy as np
    import pyarrow as pa

    names = np.array([name.encode() for name in rows.column("name").to_pylist()], f"S{_NAME}")
    by_name = np.argsort(names, kind="stable")
    flat = rows.column("signature").combine_chunks()
    # Fixed-size values lie one after the other, after those that a slice leaves out.
    vectors = np.frombuffer(flat.buffers()[1], np.float16).reshape(-1, SIGNATURE_LENGTH)
    vectors = vectors[flat.offset : flat.offset + len(flat)]
    columns = {
        "name": pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(_NAME), len(names), [None, pa.py_buffer(names[by_name].tobytes())]
        ),
        "name_row": by_name.astype(np.int32),
        "signature": flat,
    }
    codes = codes_of(vectors)
    for number in range(TABLES):
        order = np.argsort(codes[:, number], kind="stable")
        columns[f"code_{number}"] = codes[order, number]
        columns[f"code_row_{number}"] = order.astype(np.int32)
    return pa.table(columns)


def _signatures(runs: Sequence[_Run], rows: "NDArray[np.int64]") -> "NDArray[np.float32]":
    import numpy as np

    found = np.zeros((len(rows), SIGNATURE_LENGTH), np.float32)
    for run in runs:
        here = (rows >= run.first) & (rows < run.first + run.table.num_rows)
        found[here] = run.signatures[rows[here] - run.first]
    return found


def _near(
    run: _Run,
    rows: "NDArray[np.int64]",
    signatures: "NDArray[np.float32]",
    probes: "NDArray[np.uint32]",
    least: float,
) -> "tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]":
    """Queries, rows of the table and cosines of those that meet and look alike."""
    import numpy as np

    query, local = run.meeting(probes)
    cosine = np.empty(len(query), np.float32)
    for start in range(0, len(query), _COMPARED):
        part = slice(start, start + _COMPARED)
        others = run.signatures[local[part]].astype(np.float32)
        cosine[part] = np.einsum("ij,ij->i", signatures[query[part]], others)
    row = local + run.first
    kept = (cosine >= least) & (row != rows[query])
    return query[kept], row[kept], cosine[kept]
