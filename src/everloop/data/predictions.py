"""Captured answers: appended segment by segment, read by window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from everloop.data.forgotten import Forgotten
from everloop.data.location import Place
from everloop.data.tables import LanceTable, text
from everloop.ids import BundleId, PredictionId, SampleId
from everloop_runtime.capture import Captured

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_PLAIN = ["id", "sample", "bundle", "role", "key", "status", "error", "label", "segment"]
_CHUNK = 100_000
_NAMED = 500
"""Ids in one condition."""
_OK = "status = 'ok'"
_GIVEN = "role != 'shadow'"
"""A shadow's answer is nobody's: the one that was given has the same id."""


@dataclass(frozen=True, slots=True)
class Window:
    """Some answers of one bundle, in the order they were given."""

    ids: tuple[PredictionId, ...]
    samples: tuple[SampleId, ...]
    values: "NDArray[np.float32]"
    """The numbers of each answer in one row, `[n, ...]`: its probabilities, say."""
    embeddings: "NDArray[np.float32]"
    """`[n, D]`"""
    at: tuple[datetime, ...]
    keys: tuple[str, ...]
    """What each request was drawn by: where it came from, if its client said so."""


class Predictions:
    """Every captured request, one row each; a segment is added once."""

    def __init__(self, place: Place, forgotten: Forgotten) -> None:
        import pyarrow as pa

        self._forgotten = forgotten
        self._table = LanceTable(
            place / "predictions.lance",
            pa.schema(
                [
                    *(pa.field(name, pa.string()) for name in _PLAIN),
                    pa.field("at", pa.timestamp("us", tz="UTC")),
                    pa.field("latency_ms", pa.float32()),
                    pa.field("confidence", pa.float32()),
                    pa.field("probabilities", pa.list_(pa.float32())),
                    pa.field("embedding", pa.list_(pa.float32())),
                ]
            ),
        )

    def append(self, records: Sequence[Captured], segment: str) -> int:
        """Add a segment's records in one commit; 0 when the segment is there already.

        Answers about forgotten samples are passed over.
        """
        import pyarrow as pa

        gone = self._forgotten.ids()
        records = [record for record in records if record.sample not in gone]
        if not records or self._table.count(f"segment = {text(segment)}"):
            return 0
        columns: dict[str, Any] = {
            "id": [r.prediction for r in records],
            "segment": [segment] * len(records),
            **{
                name: [getattr(r, name) for r in records]
                for name in ("sample", "bundle", "role", "key", "status", "error", "label")
            },
        }
        arrays = {name: pa.array(columns[name], pa.string()) for name in _PLAIN}
        moments = [datetime.fromtimestamp(r.at, UTC) for r in records]
        arrays["at"] = pa.array(moments, pa.timestamp("us", tz="UTC"))
        arrays["latency_ms"] = pa.array([r.latency_ms for r in records], pa.float32())
        arrays["confidence"] = pa.array([r.confidence for r in records], pa.float32())
        for name in ("probabilities", "embedding"):
            values = [list(getattr(r, name)) for r in records]
            arrays[name] = pa.array(values, pa.list_(pa.float32()))
        self._table.append(pa.table(arrays))
        return len(records)

    def count(self, bundle: BundleId) -> int:
        """How many answers of a bundle there are."""
        return self._table.count(f"bundle = {text(bundle)} AND {_OK}")

    def window(self, bundle: BundleId, start: int, size: int) -> Window:
        """Answers `start` to `start + size` of a bundle; fewer where there are fewer."""
        import numpy as np

        columns = ["id", "sample", "at", "key", "probabilities", "embedding"]
        where = f"bundle = {text(bundle)} AND {_OK}"
        rows = self._table.window(columns, where, start, size)

        def matrix(name: str) -> "NDArray[np.float32]":
            values = rows.column(name).combine_chunks().flatten().to_numpy(zero_copy_only=False)
            return np.asarray(values, np.float32).reshape(rows.num_rows, -1)

        return Window(
            tuple(rows.column("id").to_pylist()),
            tuple(rows.column("sample").to_pylist()),
            matrix("probabilities") if rows.num_rows else np.empty((0, 0), np.float32),
            matrix("embedding") if rows.num_rows else np.empty((0, 0), np.float32),
            tuple(rows.column("at").to_pylist()),
            tuple(rows.column("key").to_pylist()),
        )

    def embedding(self, bundle: BundleId, sample: SampleId) -> "NDArray[np.float32] | None":
        """How a bundle saw a sample last, `[D]`; None where it did not."""
        import numpy as np

        where = f"sample = {text(sample)} AND bundle = {text(bundle)} AND {_OK}"
        seen = self._table.rows(["embedding"], where).column("embedding").to_pylist()
        return np.array(seen[-1], np.float32) if seen and seen[-1] else None

    def seen(self, bundle: BundleId, most: int) -> "tuple[pa.ChunkedArray, NDArray[np.float32]]":
        """Samples, and how a bundle saw them, `[n, D]`: among the newest `most` rows, in order."""
        import numpy as np
        import pyarrow.compute as pc

        start = max(0, self._table.count() - most)
        rows = self._table.since(["sample", "bundle", "status", "embedding"], start, most)
        own = pc.and_(pc.equal(rows["bundle"], bundle), pc.equal(rows["status"], "ok"))
        rows = rows.filter(pc.and_(own, pc.greater(pc.list_value_length(rows["embedding"]), 0)))
        if not rows.num_rows:
            return rows["sample"], np.empty((0, 0), np.float32)
        flat = rows["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return rows["sample"], np.asarray(flat, np.float32).reshape(rows.num_rows, -1)

    def embeddings(
        self, start: int, most: int, wide: int
    ) -> "tuple[NDArray[np.float32], NDArray[np.bool_]]":
        """How rows `start` to `start + most` were seen, `[n, wide]`, and which have that, `[n]`:
        a row that keeps none, or one of another length, has not."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        column = self._table.since(["embedding"], start, most)["embedding"]
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
        is_there = lengths == wide
        seen = np.zeros((len(lengths), wide), np.float32)
        flat = column.filter(pa.array(is_there)).combine_chunks().flatten()
        seen[is_there] = flat.to_numpy(zero_copy_only=False).reshape(-1, wide)
        return seen, is_there

    def labels(
        self, bundle: BundleId, start: int, most: int
    ) -> list[tuple[PredictionId, str | None, datetime]]:
        """What answers `start` to `start + most` of a bundle said, and when."""
        where = f"bundle = {text(bundle)} AND {_OK}"
        rows = self._table.window(["id", "label", "at"], where, start, most)
        told = (rows.column(name).to_pylist() for name in ("id", "label", "at"))
        return list(zip(*told, strict=True))

    def total(self) -> int:
        """How many rows there are, of all bundles and roles, failures too."""
        return self._table.count()

    def from_row(self, start: int, most: int, also: Sequence[str] = ()) -> "pa.Table":
        """Rows `start` to `start + most` without their vectors, in the order they were appended;
        `also`: further columns."""
        columns = ["id", "sample", "bundle", "role", "status", "label", *also]
        return self._table.since([*columns, "at", "latency_ms", "confidence"], start, most)

    def between(self, since: datetime, until: datetime) -> "pa.Table":
        """All requests from `since` to before `until`, without their vectors, as they came in.

        Read from the end, so that a short time costs little however much there is before it.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        end, found = self.total(), []
        while end > 0:
            start = max(0, end - _CHUNK)
            rows = self.from_row(start, end - start)
            end = start
            late = pc.greater_equal(rows["at"], pa.scalar(since))
            if not pc.any(late).as_py():
                break
            found.append(rows.filter(pc.and_(late, pc.less(rows["at"], pa.scalar(until)))))
        return pa.concat_tables([*reversed(found)]) if found else self.from_row(0, 0)

    def moves(self) -> int:
        """Grows when rows were taken out: the numbers of rows are void then."""
        return self._table.moves()

    def samples_since(self, start: int, most: int) -> Mapping[PredictionId, SampleId]:
        """The samples that the requests of rows `start` to `start + most` were about."""
        rows = self._table.since(["id", "sample"], start, most)
        names = (rows.column(name).to_pylist() for name in ("id", "sample"))
        return dict(zip(*names, strict=True))

    def samples_of(self, predictions: Sequence[PredictionId]) -> Mapping[PredictionId, SampleId]:
        """The samples that captured requests were about; those that are not in are left out."""
        found: dict[PredictionId, SampleId] = {}
        for start in range(0, len(predictions), _NAMED):
            named = ", ".join(map(text, predictions[start : start + _NAMED]))
            rows = self._table.rows(["id", "sample"], f"id IN ({named})").to_pylist()
            found.update((row["id"], row["sample"]) for row in rows)
        return found

    def get(self, prediction: PredictionId) -> Mapping[str, Any] | None:
        """One captured request by its id."""
        columns = [*_PLAIN, "at", "latency_ms", "confidence"]
        rows = self._table.rows(columns, f"id = {text(prediction)} AND {_GIVEN}").to_pylist()
        if not rows:
            return None
        # Where a canary failed and the champion answered, the answer is the champion's.
        found: dict[str, Any] = max(rows, key=lambda row: row["status"] == "ok")
        found["at"] = found["at"].isoformat()
        return found

    def ids(self) -> list[PredictionId]:
        """The ids of all captured requests that were answered, in order."""
        rows = self._table.rows(["id"], f"{_OK} AND {_GIVEN}")
        found: list[PredictionId] = rows.column("id").to_pylist()
        return found
