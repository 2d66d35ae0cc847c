"""Cleaning rules: samples that people leave out of every new snapshot, and why."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from everloop.data.location import Place
from everloop.data.tables import LanceTable
from everloop.ids import SampleId


class Exclusions:
    """Statements that a sample is left out, or is not any more; the last one of each stands."""

    def __init__(self, place: Place) -> None:
        import pyarrow as pa

        text = pa.string()
        self._table = LanceTable(
            place / "exclusions.lance",
            pa.schema(
                [
                    *((name, text) for name in ("sample", "reason", "by")),
                    ("at", pa.timestamp("us", tz="UTC")),
                    ("out", pa.bool_()),
                ]
            ),
        )

    def leave_out(self, samples: Sequence[SampleId], reason: str, *, by: str, now: datetime) -> int:
        """Leave samples out of every later snapshot; how many were not left out already."""
        known = self.current()
        return self._say([s for s in samples if s not in known], reason, by, now, out=True)

    def take_back(self, samples: Sequence[SampleId], *, by: str, now: datetime) -> int:
        """Let samples in again; how many were left out."""
        known = self.current()
        return self._say([s for s in samples if s in known], "", by, now, out=False)

    def _say(
        self, samples: Sequence[SampleId], reason: str, by: str, now: datetime, *, out: bool
    ) -> int:
        count = len(samples)
        if count:
            self._table.append(
                self._table.table(
                    {
                        "sample": samples,
                        "reason": [reason] * count,
                        "by": [by] * count,
                        "at": [now] * count,
                        "out": [out] * count,
                    }
                )
            )
        return count

    @property
    def version(self) -> int:
        """Grows with each statement; 0 before the first."""
        return self._table.version()

    def current(self) -> Mapping[SampleId, str]:
        """Every sample that is left out now, and why; sorted."""
        last: dict[SampleId, str | None] = {}
        for row in self._table.rows(["sample", "reason", "out"]).to_pylist():
            last[row["sample"]] = row["reason"] if row["out"] else None
        return {sample: reason for sample, reason in sorted(last.items()) if reason is not None}
