"""What examining each sample found: one row a sample, in a dataset of its own."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.data.examined import SIGNATURE_BYTES, SIGNATURE_LENGTH, THUMBNAIL_SIDE, Examined
from everloop.data.examined_index import ExaminedIndex
from everloop.data.location import Place
from everloop.data.tables import LanceTable
from everloop.ids import SampleId

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

EXAMINATION = "examine/1"
"""Names how the figures are made; figures of another name are made anew."""
FIGURES = Examined._fields[:9]
_ROWS = 4096


class Examinations:
    """Only grows. A sample examined twice keeps its first row; one may be missing."""

    def __init__(self, place: Place, cache: Path) -> None:
        import pyarrow as pa

        whole, figure = pa.int32(), pa.float32()
        kinds = [pa.string(), whole, whole, whole, whole, figure, figure, figure, figure]
        self._schema = pa.schema(
            [
                pa.field("id", pa.string()),
                pa.field("by", pa.string()),
                *(pa.field(name, kind) for name, kind in zip(FIGURES, kinds, strict=True)),
                pa.field("signature", pa.binary(SIGNATURE_BYTES)),
                pa.field("thumbnail", pa.binary(THUMBNAIL_SIDE**2)),
            ]
        )
        self._table = LanceTable(place / "examined.lance", self._schema)
        self._index = ExaminedIndex(self._table, cache / "examined", EXAMINATION)

    def append(self, examined: Mapping[SampleId, Examined]) -> None:
        """Add what is known of samples; what is there is not asked, which would cost the whole."""
        import pyarrow as pa

        if not examined:
            return
        found = zip(*examined.values(), strict=True)
        columns: dict[str, Sequence[Any]] = {
            "id": list(examined),
            "by": [EXAMINATION] * len(examined),
            **dict(zip(Examined._fields, found, strict=True)),
        }
        self._table.append(pa.table(columns, self._schema))

    def follow(self) -> None:
        """Bring what this machine keeps of the table up to date; it holds nothing else then."""
        self._index.runs()

    def count(self) -> int:
        """How many rows there are."""
        return self._table.count()

    def missing(self, samples: Iterable[SampleId]) -> list[SampleId]:
        """Those of `samples` that were not examined yet."""
        asked = list(samples)
        rows = self._index.rows_of(asked).tolist()
        return [name for name, row in zip(asked, rows, strict=True) if row < 0]

    def alike(
        self, samples: Sequence[SampleId], least: float, most: int
    ) -> Sequence[tuple[SampleId, SampleId]]:
        """Pairs of one of some examined samples and another one that looks like it from afar, of
        each sample at most so many: signatures with a cosine of `least`.

        Costs what is asked, not the whole; see `ExaminedIndex` for what it misses.
        """
        rows = self._index.rows_of(samples)
        first, second = self._index.alike(rows[rows >= 0], least, most)
        names = (self._names(each.tolist()) for each in (first, second))
        return [pair for pair in zip(*names, strict=True) if pair[0] != pair[1]]

    def _names(self, rows: list[int]) -> list[SampleId]:
        names: list[SampleId] = self._table.take(rows, ["id"]).column("id").to_pylist()
        return names

    def figures(self, samples: Sequence[SampleId]) -> "pa.Table":
        """`FIGURES` of samples that were examined, in the order asked for."""
        return self._take(samples, list(FIGURES))

    def thumbnails(self, samples: Sequence[SampleId]) -> "NDArray[np.uint8]":
        """Thumbnails `[N, 32, 32]` of samples that were examined, in the order asked for."""
        import numpy as np

        flat = self._binary(samples, "thumbnail")
        return np.frombuffer(flat, np.uint8).reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE)

    def signatures(self, samples: Sequence[SampleId]) -> "NDArray[np.float16]":
        """Signatures `[N, 64]` of samples that were examined, in the order asked for."""
        import numpy as np

        flat = self._binary(samples, "signature")
        return np.frombuffer(flat, np.float16).reshape(-1, SIGNATURE_LENGTH)

    def shorter_sides(self, samples: Sequence[SampleId]) -> "NDArray[np.int64]":
        """Pixels of the shorter side of samples that were examined, `[N]`."""
        import numpy as np

        table = self._take(samples, ["width", "height"])
        wide, high = (table.column(name).to_numpy() for name in ("width", "height"))
        return np.asarray(np.minimum(wide, high), np.int64)

    def all_signatures(self) -> "tuple[list[SampleId], NDArray[np.float16]]":
        """Every sample that was examined, once, and its signature `[N, 64]`."""
        import numpy as np

        told = self._table.rows(["id", "by"])
        first: dict[str, int] = {}
        makers = told.column("by").to_pylist()
        for row, (name, by) in enumerate(zip(told.column("id").to_pylist(), makers, strict=True)):
            if by == EXAMINATION:
                first.setdefault(name, row)
        if not first:
            return [], np.empty((0, SIGNATURE_LENGTH), np.float16)
        flat = self._table.rows(["signature"]).column("signature").combine_chunks()
        # Fixed-size values lie one after the other, after those that a slice leaves out.
        values = np.frombuffer(flat.buffers()[1], np.float16).reshape(-1, SIGNATURE_LENGTH)
        signatures = values[flat.offset : flat.offset + len(flat)]
        return [SampleId(name) for name in first], signatures[list(first.values())]

    def _take(self, samples: Sequence[SampleId], columns: list[str]) -> "pa.Table":
        return self._table.take(self._index.rows_of(samples).tolist(), columns)

    def _binary(self, samples: Sequence[SampleId], column: str) -> bytes:
        return b"".join(self._take(samples, [column]).column(column).to_pylist())


class ExaminationLog:
    """Collects what an import finds, and writes it a few thousand samples at a time."""

    def __init__(self, examinations: Examinations) -> None:
        self._examinations = examinations
        self._held: dict[SampleId, Examined] = {}

    def __enter__(self) -> "ExaminationLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def add(self, sample: SampleId, examined: Examined) -> None:
        """Keep what was found of a sample."""
        self._held[sample] = examined
        if len(self._held) >= _ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        if self._held:
            self._examinations.append(self._held)
            self._held = {}
